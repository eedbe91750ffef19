//! Which project is meant, and where its daemon listens.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::control::Client;
use crate::session::RuntimeDir;
use crate::session::project::FILE_NAME;

/// A project file and the socket of its daemon.
#[derive(Debug)]
pub(super) struct Place {
    /// The project file, absolute, with links resolved.
    pub(super) file: PathBuf,
    socket: PathBuf,
}

impl Place {
    /// The project that `file` names, or the nearest one at or above `here`.
    pub(super) fn find(file: Option<&Path>, here: &Path) -> Result<Self, Failure> {
        let file = match file {
            Some(file) => named(&here.join(file))?,
            None => nearest(here)?,
        };
        let folder = RuntimeDir::folder_of(&file).map_err(Failure::usage)?;
        Ok(Self { file, socket: RuntimeDir::control_socket(&folder) })
    }

    pub(super) fn client(&self) -> Client {
        Client::new(&self.socket)
    }
}

/// A folder stands for the project file in it. A file that is gone still names the daemon that was started for it.
fn named(file: &Path) -> Result<PathBuf, Failure> {
    let file = if file.is_dir() { file.join(FILE_NAME) } else { file.to_owned() };
    let missing = |error| {
        Failure::usage(format!("cannot find {}: {error}", file.display()))
            .hint("name a project file, or leave it out inside a project")
    };
    match (file.canonicalize(), file.parent(), file.file_name()) {
        (Ok(file), _, _) => Ok(file),
        (Err(_), Some(folder), Some(name)) => Ok(folder.canonicalize().map_err(missing)?.join(name)),
        (Err(error), _, _) => Err(missing(error)),
    }
}

fn nearest(here: &Path) -> Result<PathBuf, Failure> {
    let mut files = here.ancestors().map(|folder| folder.join(FILE_NAME));
    let found = files.find(|file| file.is_file()).ok_or_else(|| {
        Failure::usage(format!("there is no {FILE_NAME} in {} or a folder above it", here.display()))
            .hint("name one with --file, or start in the folder of the project")
    })?;
    named(&found)
}
