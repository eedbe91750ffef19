//! When a project is to be compiled again.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// How long to wait for more once something has changed: editors write, rename and write again.
const SETTLE: Duration = Duration::from_millis(20);

/// Folders in which nobody writes sources by hand.
const NO_SOURCES: [&str; 3] = [".git", ".wrangler", "node_modules"];

/// Systems give a user some thousands of watches, for all programs together.
const MAX_FOLDERS: usize = 1_000;

/// Watches files, there or not, through the folders that hold them.
#[derive(Debug)]
pub struct Watch {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
    wanted: Arc<Mutex<Wanted>>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Wanted {
    files: BTreeSet<PathBuf>,
    /// Folders below which any other file counts as well.
    below: Vec<PathBuf>,
}

impl Wanted {
    fn has(&self, path: &Path) -> bool {
        let is_source = |root| path.strip_prefix(root).is_ok_and(|rest| !rest.iter().any(holds_no_sources));
        self.files.contains(path) || self.below.iter().any(is_source)
    }
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// The system has no more watches to give.
    pub fn new() -> notify::Result<Self> {
        let (wanted, changed) = (Arc::new(Mutex::new(Wanted::default())), Arc::new(Notify::new()));
        let (asked, tell) = (wanted.clone(), changed.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            let counts = match event {
                Ok(Event { kind: EventKind::Access(_), .. }) => false,
                Ok(event) => event.need_rescan() || event.paths.iter().any(|path| asked.has(path)),
                // Something was lost, so anything may have changed.
                Err(_) => true,
            };
            if counts {
                tell.notify_one();
            }
        })?;
        Ok(Self { watcher, folders: BTreeSet::new(), wanted, changed })
    }

    /// Watches these files from now on, and whatever comes or changes below these folders: what does not compile may
    /// lack a file that nobody can name. What happened to those that were watched before is still told.
    pub fn follow(&mut self, files: BTreeSet<PathBuf>, below: Vec<PathBuf>) {
        // What was installed changes by being installed again, all of it at once, in folders by the thousand.
        let own = files.iter().filter(|file| !file.iter().any(|part| part == "node_modules"));
        let mut folders: BTreeSet<_> = own.filter_map(|file| file.parent()).map(Path::to_owned).collect();
        below.iter().for_each(|root| add_below(root, &mut folders));
        for gone in self.folders.difference(&folders) {
            let _ = self.watcher.unwatch(gone);
        }
        // Also those that are watched: a folder may have been removed and made again. One that is not there has nothing
        // that could change; it is tried again next time.
        folders.retain(|folder| self.watcher.watch(folder, RecursiveMode::NonRecursive).is_ok());
        self.folders = folders;
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Wanted { files, below };
    }

    /// Returns when something has changed.
    ///
    /// # Cancellation
    /// Safe: a change that was heard of is told by the next call.
    pub async fn changed(&self) {
        self.changed.notified().await;
        let heard = Heard(&self.changed);
        tokio::time::sleep(SETTLE).await;
        std::mem::forget(heard);
        // What was heard meanwhile is what was waited for.
        let _ = futures::FutureExt::now_or_never(self.changed.notified());
    }
}

pub(super) fn holds_no_sources(name: &OsStr) -> bool {
    NO_SOURCES.iter().any(|known| name == *known)
}

/// The folder and those below it in which there may be sources.
fn add_below(root: &Path, folders: &mut BTreeSet<PathBuf>) {
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop().filter(|_| folders.len() < MAX_FOLDERS) {
        let entries = folder.read_dir().into_iter().flatten().flatten();
        // Links are not followed: they may lead in a circle.
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        open.extend(inner.filter(|entry| !holds_no_sources(&entry.file_name())).map(|entry| entry.path()));
        folders.insert(folder);
    }
}

/// Gives a change back that nobody was told of.
struct Heard<'a>(&'a Notify);

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}
