//! Running a candidate to see that it is a workerd with the options that we start it with.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Pin, Source, WorkerdError, child};

/// A workerd answers in 15 ms; a machine under load may take a hundred times that. Whatever takes longer is not one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Options that a session cannot do without.
const NEEDED: [&str; 2] = ["--debug-port", "--control-fd"];

/// What the binary answers to `--version`; not asked of one that is known.
///
/// # Errors
/// Where it does not run, is something else, or lacks an option.
pub(super) fn version(path: &Path, found: Source, pin: &Pin) -> Result<String, WorkerdError> {
    // What the cache has is the pinned release, checked by its hash, and ran when it was fetched.
    if let (Source::Cache, Some(version)) = (found, pin.date()) {
        return Ok(version);
    }
    let cannot_run = |why: String| WorkerdError::CannotRun { path: path.to_owned(), found, why };
    let said = output(path, &["--version"]).map_err(cannot_run)?;
    let Some(version) = said.trim().strip_prefix("workerd ").map(str::to_owned) else {
        return Err(cannot_run(format!("it answers {:?} to --version", excerpt(&said))));
    };
    if pin.date().as_deref() != Some(version.as_str()) {
        let help = output(path, &["serve", "--help"]).map_err(cannot_run)?;
        if let Some(missing) = NEEDED.into_iter().find(|option| !help.contains(option)) {
            return Err(WorkerdError::TooOld { path: path.to_owned(), found, version, missing });
        }
    }
    Ok(version)
}

pub(in crate::session) fn output(path: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = child::start(&mut command).map_err(|error| explain(&error))?;
    // Both answers fit into a pipe's buffer, so reading may wait for the end; what writes more than that runs into the
    // deadline.
    let deadline = Instant::now() + PATIENCE;
    let status = child::wait(&mut child, || Instant::now() < deadline)
        .map_err(|error| error.to_string())?
        .ok_or_else(|| format!("it does not answer {} in {PATIENCE:?}", arguments.join(" ")))?;
    let mut said = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut said).map_err(|error| format!("its answer cannot be read: {error}"))?;
    }
    if status.success() { Ok(said) } else { Err(format!("{} ends with {status}", arguments.join(" "))) }
}

/// An executable whose loader is missing fails with "not found", which misleads.
fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "the system cannot start it (on a musl system such as Alpine, glibc is missing)".to_owned()
        }
        _ => error.to_string(),
    }
}

fn excerpt(text: &str) -> String {
    text.trim().chars().take(60).collect()
}
