//! The cache folder: one file per release, and the work folders of fetches under way.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{FetchProgress, FetchStep, Pin, WorkerdError, native, trust};

const WORK_PREFIX: &str = "fetch-";

/// The cached binary, if a whole one is there.
///
/// A binary appears under its name by a rename after it was written and synced, so a file of the right size is the
/// whole file; the size catches what file systems lose in a crash, and costs nothing to check.
///
/// # Errors
/// Where others could have put it there.
pub(super) fn binary(cache: &Path, pin: &Pin) -> Result<Option<PathBuf>, WorkerdError> {
    let path = cache.join(file_name(pin));
    let whole =
        fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.len() == pin.binary_bytes);
    if !whole || !native::is_executable_file(&path) {
        return Ok(None);
    }
    check(cache, &path)?;
    Ok(Some(path))
}

/// Name, version, and enough of the hash that a changed pin never meets an old file.
pub(super) fn file_name(pin: &Pin) -> String {
    let hash = pin.sha512.get(..12).unwrap_or(&pin.sha512);
    format!("{}-{}-{hash}", pin.label, pin.version)
}

fn check(cache: &Path, path: &Path) -> Result<(), WorkerdError> {
    let canonical = fs::canonicalize(path).map_err(|source| WorkerdError::Cache {
        doing: "look at",
        path: path.to_owned(),
        source,
    })?;
    match trust::objection_to_file(&canonical) {
        None => Ok(()),
        Some(why) => Err(WorkerdError::UnsafeCache { path: cache.to_owned(), why }),
    }
}

/// The right to change the cache, held by one process at a time; it ends with the process.
pub(super) struct Lock {
    cache: PathBuf,
    _file: File,
}

impl Lock {
    /// Creates the cache folder if need be, and waits for the lock.
    pub(super) fn take(cache: &Path, progress: &mut dyn FetchProgress) -> Result<Self, WorkerdError> {
        let fail = |doing, path: &Path, source| WorkerdError::from_cache(doing, path, 0, source);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(cache)
            .map_err(|source| fail("create the folder", cache, source))?;
        check(cache, cache)?;
        let path = cache.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| fail("open", &path, source))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            progress.step(FetchStep::WaitingForAnother, 0);
            while let Err(error) = flock(&file, FlockOperation::LockExclusive) {
                if error != rustix::io::Errno::INTR {
                    return Err(fail("lock", &path, error.into()));
                }
            }
        }
        Ok(Self { cache: cache.to_owned(), _file: file })
    }

    /// A fresh private folder inside the cache, so that a rename out of it stays on one file system.
    ///
    /// Only holders of the lock have such folders, so whatever is there belongs to a process that died, and goes.
    pub(super) fn work_folder(&self) -> io::Result<WorkFolder> {
        for entry in fs::read_dir(&self.cache)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(WORK_PREFIX.as_bytes()) {
                // An npm that outlived its parent may still write there; the next fetch gets the rest.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let mut number = u64::from(std::process::id());
        loop {
            let path = self.cache.join(format!("{WORK_PREFIX}{number}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(WorkFolder { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1 << 32,
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts a finished binary under its name.
    pub(super) fn publish(&self, finished: &Path, pin: &Pin) -> io::Result<PathBuf> {
        let path = self.cache.join(file_name(pin));
        fs::rename(finished, &path)?;
        File::open(&self.cache)?.sync_all()?;
        Ok(path)
    }
}

/// A folder that goes when its fetch is over.
pub(super) struct WorkFolder {
    path: PathBuf,
}

impl WorkFolder {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // What stays behind is removed by the next fetch.
        let _ = fs::remove_dir_all(&self.path);
    }
}
