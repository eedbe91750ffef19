//! Folders that are ours alone, and the lock that says which process they belong to.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::runtime_dir::{LOCK, RuntimeDirError, base, failed};

/// Creates the folder if needed, and refuses one that others could reach into.
pub(super) fn make_private(folder: &Path) -> Result<(), RuntimeDirError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("create", folder)(error)),
    }
    check_private(folder)
}

/// Refuses a folder that others could reach into.
pub(super) fn check_private(folder: &Path) -> Result<(), RuntimeDirError> {
    // Without following a link: somebody may have put one there before us.
    let meta = folder.symlink_metadata().map_err(failed("look at", folder))?;
    let refuse = |why: String, hint: &str| {
        Err(RuntimeDirError::Unsafe { folder: folder.to_owned(), why, hint: hint.to_owned() })
    };
    let us = rustix::process::geteuid().as_raw();
    if !meta.is_dir() {
        return refuse("it is a link or a file, not a folder".into(), "remove it");
    }
    if meta.uid() != us {
        return refuse(format!("it belongs to user {}, and we are {us}", meta.uid()), "remove it");
    }
    let mode = meta.mode() & 0o777;
    if mode & 0o077 != 0 {
        let hint = format!("run `chmod 700 {}`", folder.display());
        return refuse(format!("others may enter it (mode {mode:o})"), &hint);
    }
    Ok(())
}

/// Whether a socket lies where those of all our daemons lie, however its path is written.
pub fn is_own_socket(socket: &Path) -> bool {
    let base = std::path::absolute(base()).unwrap_or_else(|_| base());
    let real = |path: &Path| path.canonicalize().ok();
    let is_below = |(socket, base): (PathBuf, PathBuf)| socket.starts_with(base);
    socket.starts_with(&base) || real(socket).zip(real(&base)).is_some_and(is_below)
}

/// Makes us the one owner of the folder.
pub(super) fn take_lock(folder: &Path, project: &Path) -> Result<File, RuntimeDirError> {
    let path = folder.join(LOCK);
    loop {
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut owner = String::new();
                let _ = (&lock).take(20).read_to_string(&mut owner);
                let owner =
                    owner.lines().next().filter(|owner| !owner.is_empty()).unwrap_or("unknown").to_owned();
                return Err(RuntimeDirError::Held { project: project.to_owned(), owner });
            }
            Err(error) => return Err(failed("lock", &path)(error.into())),
        }
        // The owner before us may have removed the file between our open and our lock: then we hold a lock on nothing.
        let held = lock.metadata().map_err(failed("look at", &path))?;
        match path.symlink_metadata() {
            Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => {}
            _ => {
                make_private(folder)?;
                continue;
            }
        }
        lock.set_len(0).map_err(failed("write", &path))?;
        // The project for whoever lists what runs: the name of the folder does not tell.
        let text = format!("{}\n{}\n", std::process::id(), project.display());
        lock.write_all(text.as_bytes()).map_err(failed("write", &path))?;
        return Ok(lock);
    }
}
