//! Registries that outlive the owner of the private folder.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::VIEW;

/// What a command keeps that runs in a registry of its own: as long as it is there, the next owner of the private folder
/// leaves that registry where it is, if the one before was killed.
#[derive(Debug)]
pub struct Held {
    /// Locked, and never handed to a child.
    _folder: File,
}

impl Held {
    /// Takes hold of a registry.
    ///
    /// # Errors
    /// It is not there.
    pub fn of(view: &Path) -> io::Result<Self> {
        let folder = File::open(view)?;
        rustix::fs::flock(&folder, FlockOperation::NonBlockingLockShared)?;
        Ok(Self { _folder: folder })
    }
}

/// Whether a command runs that takes the folder for its registry. The lock goes with that command, however it ends.
pub(super) fn is_held(path: &Path) -> bool {
    let is_folder = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    let locked = || {
        let folder = File::open(path).ok()?;
        rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).err()
    };
    is_folder && is_view_name(path) && locked() == Some(rustix::io::Errno::WOULDBLOCK)
}

pub(super) fn is_view_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.strip_prefix(VIEW).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
