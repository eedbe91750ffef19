//! The programs of the machine that are needed beside workerd: Node and npm.

use std::path::PathBuf;

use super::{Options, native, probe};

/// A program that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Where it lies.
    pub path: PathBuf,
    /// What it answers to `--version`, or why it does not.
    pub version: Result<String, String>,
}

/// The program of that name that a command would run. Blocks until it has said its version.
pub fn tool(options: &Options, name: &str) -> Option<Tool> {
    let mut candidates = options.path_folders().map(|folder| folder.join(name));
    let path = candidates.find(|candidate| native::is_executable_file(candidate))?;
    let version = probe::output(&path, &["--version"]).map(|said| said.trim().to_owned());
    Some(Tool { version, path })
}
