//! What lies in a registry's folder at one moment.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::entry::{self, Entry, EntryError, check_worker_name};
use crate::session::is_own_socket;

/// More workers than that are not sessions that somebody runs.
pub const MAX_ENTRIES: usize = 10_000;

/// What one look at a folder found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// By worker.
    pub entries: BTreeMap<String, Entry>,
    /// Files that are passed over, and why. A name that could not be shown is escaped, and cut.
    pub refused: Vec<(String, EntryError)>,
    /// Whether there are more files than are looked at.
    pub is_cut: bool,
}

/// Reads all entries of a folder. One that is not there holds none.
///
/// # Errors
/// The folder cannot be read.
pub fn list(folder: &Path) -> io::Result<Listing> {
    let mut found = Listing::default();
    let files = match folder.read_dir() {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for (index, file) in files.enumerate() {
        if index == MAX_ENTRIES {
            found.is_cut = true;
            break;
        }
        let name = file?.file_name();
        let Some(name) = name.to_str().filter(|name| check_worker_name(name).is_ok()) else {
            let shown = name.to_string_lossy().escape_debug().take(80).collect();
            found.refused.push((shown, EntryError::Name));
            continue;
        };
        match read(&folder.join(name)) {
            Ok(Some(entry)) => drop(found.entries.insert(name.to_owned(), entry)),
            Ok(None) => {}
            Err(error) => found.refused.push((name.to_owned(), error)),
        }
    }
    Ok(found)
}

/// Reads one entry. `None`: there is none, or not any more.
pub(super) fn read(path: &Path) -> Result<Option<Entry>, EntryError> {
    let refuse = |why: String| Err(EntryError::File(why));
    // Neither a link to elsewhere nor a pipe that makes us wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return refuse(format!("it cannot be opened: {}", io::Error::from(error))),
    };
    let meta = file.metadata().map_err(|error| EntryError::File(error.to_string()))?;
    if !meta.is_file() {
        return refuse("it is no file".to_owned());
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return refuse("it belongs to another user".to_owned());
    }
    let mut bytes = Vec::new();
    let most = entry::MAX_BYTES as u64 + 1;
    match file.take(most).read_to_end(&mut bytes) {
        Ok(_) => believed(Entry::parse(&bytes)?).map(Some),
        Err(error) => refuse(format!("it cannot be read: {error}")),
    }
}

/// The faces that we publish are no sessions, and the debug ports beside them are for us alone.
fn believed(entry: Entry) -> Result<Entry, EntryError> {
    match entry.debug_port.path().is_some_and(is_own_socket) {
        true => Err(EntryError::Ours),
        false => Ok(entry),
    }
}

/// Where sessions that nobody told otherwise register: what the environment says, or the folders of the versions of
/// wrangler and Miniflare that have a debug port.
pub fn defaults() -> Vec<PathBuf> {
    let set = |name: &&str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut folders: Vec<_> = super::VARIABLES.iter().filter_map(set).collect();
    if folders.is_empty()
        && let Some(home) = std::env::home_dir()
    {
        let config = std::env::var_os("XDG_CONFIG_HOME").filter(|value| !value.is_empty());
        let config = config.map_or_else(|| home.join(".config"), PathBuf::from);
        folders = vec![config.join(".wrangler/registry"), config.join("cloudflare/dev-registry/v5")];
        // wrangler's own folder of older days is still used where it is there.
        let old = home.join(".wrangler");
        if old.is_dir() {
            folders.push(old.join("registry"));
        }
    }
    folders.dedup();
    folders
}
