//! Why there is no private folder.

use std::io;
use std::path::{Path, PathBuf};

use super::{BASE_VARIABLE, MAX_SOCKET_PATH};

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeDirError {
    /// Somebody else could reach into it.
    #[error("{} is not safe for sockets: {why}; {hint}, or set {BASE_VARIABLE} to a folder of your own", folder.display())]
    Unsafe {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What puts it right.
        hint: String,
    },
    /// A socket in it could not be bound.
    #[error(
        "{} is too long for sockets ({length} bytes with the longest name, {MAX_SOCKET_PATH} are allowed); set {BASE_VARIABLE} to a shorter folder, such as /tmp/jf",
        folder.display()
    )]
    TooLong {
        /// The folder.
        folder: PathBuf,
        /// With the longest name.
        length: usize,
    },
    /// Another process runs this project.
    #[error("jackfield already runs for {} (process {owner}); stop it with `jackfield down`, or use another project file", project.display())]
    Held {
        /// The project file.
        project: PathBuf,
        /// Its process, as it wrote it.
        owner: String,
    },
    /// An orphan of an earlier run does not end.
    #[error(
        "process {pid}, left by a run that was killed, does not end; end it by hand (`kill -9 {pid}`) and start again"
    )]
    Orphan {
        /// The orphan.
        pid: i32,
    },
    /// The system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

pub(in crate::session) fn failed(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> RuntimeDirError {
    move |source| RuntimeDirError::Io { action, path: path.to_owned(), source }
}
