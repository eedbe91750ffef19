//! When to look at a folder again.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// How often to look although nothing was heard: a folder may vanish and come back, and some file systems tell nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long to wait for more once something has changed: a session writes all of its workers at once.
const SETTLE: Duration = Duration::from_millis(3);

/// Watches one folder, there or not.
#[derive(Debug)]
pub struct Watch {
    folder: PathBuf,
    changed: Arc<Notify>,
    /// With the folder that it watches, since another one may take its name; `None` while there is none.
    watcher: Option<(RecommendedWatcher, (u64, u64))>,
}

impl Watch {
    /// Begins to watch. What happens before the first [`Watch::changed`] is not missed.
    pub fn new(folder: &Path) -> Self {
        let mut watch = Self { folder: folder.to_owned(), changed: Arc::new(Notify::new()), watcher: None };
        watch.attach();
        watch
    }

    fn attach(&mut self) {
        let there = self.folder.metadata().map(|meta| (meta.dev(), meta.ino())).ok();
        if self.watcher.as_ref().map(|(_, watched)| *watched) == there {
            return;
        }
        let changed = self.changed.clone();
        let tell = move |event: notify::Result<Event>| {
            // Our own looks are no change.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                // One permit is enough for any number of events: the whole folder is looked at.
                changed.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(tell).and_then(|mut watcher| {
            watcher.watch(&self.folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        self.watcher = watcher.ok().zip(there);
    }

    /// Returns when the folder may have changed.
    ///
    /// # Cancellation
    /// Safe: a change that was heard of is told by the next call.
    pub async fn changed(&mut self) {
        match tokio::time::timeout(LOOK_EVERY, self.changed.notified()).await {
            // A touch of ours is heard too; looking costs less than telling it apart.
            Ok(()) => tokio::time::sleep(SETTLE).await,
            Err(_) => self.attach(),
        }
    }
}
