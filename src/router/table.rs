//! The link table: one immutable snapshot behind one atomic pointer.
//!
//! Readers take the snapshot once per event and see links and session states of the same moment. Writers are rare:
//! they copy the maps (of `Arc`s), change the copy and publish it under the next revision.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::change::{Change, ChangeError};
use super::draft::Draft;
use super::link::{LinkName, Revision};
use super::snapshot::{Doubt, Session, Snapshot};
use crate::session::{Generation, SessionName, SessionSink, SessionState, is_seen_alive};

/// How long events wait for news of a generation in doubt. The end of a process is known within a few milliseconds.
const DOUBT_FOR: Duration = Duration::from_millis(100);

/// The table. Shared by all faces, the supervisor and the control API.
#[derive(Debug)]
pub struct Links {
    current: ArcSwap<Snapshot>,
    /// Held from reading the snapshot that a change starts from until its successor is published, so no change is
    /// ever built on a stale one.
    writing: Mutex<()>,
    /// Sent after `current` is stored: whoever is woken finds at least that revision.
    published: watch::Sender<Revision>,
}

impl Default for Links {
    fn default() -> Self {
        Self::new()
    }
}

impl Links {
    /// An empty table at revision 0.
    pub fn new() -> Self {
        Self {
            current: ArcSwap::default(),
            writing: Mutex::new(()),
            published: watch::Sender::new(Revision::default()),
        }
    }

    /// The snapshot of this moment, cheaply: for the length of one lookup, never across an await.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// The snapshot of this moment, to keep.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Applies all of `changes` in order as one step, or none of them.
    ///
    /// With `expected`, only if no link has changed since that revision. Returns the revision from which on the
    /// changes hold; if they change nothing, that is the current one.
    pub fn change(&self, changes: Vec<Change>, expected: Option<Revision>) -> Result<Revision, ChangeError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot();
        if let Some(expected) = expected
            && expected < before.relinked
        {
            return Err(ChangeError::Stale { expected, found: before.relinked });
        }
        let draft = Draft::apply(&before, changes)?;
        Ok(match draft.finish() {
            Some(after) => self.publish_snapshot(after),
            None => before.revision,
        })
    }

    /// Makes sure that a session that joined has the link by which it calls. Which session is meant the rules say,
    /// from now on at every change, until an operator says otherwise.
    pub fn adopt(&self, link: &LinkName) {
        if self.load().link(link).is_none() {
            // Refused only if the session has gone; then there is nobody to tell.
            let _ = self.change(vec![Change::Adopt(link.clone())], None);
        }
    }

    /// Sees every revision from now on. A receiver may skip revisions, but never misses the last one.
    pub fn subscribe(&self) -> watch::Receiver<Revision> {
        self.published.subscribe()
    }

    /// Waits for the first snapshot about which `ready` has an answer.
    ///
    /// # Cancellation
    /// Safe: nothing is kept between snapshots.
    pub async fn until<T>(&self, mut ready: impl FnMut(&Arc<Snapshot>) -> Option<T>) -> T {
        // Subscribed before the first look, so that a publication between look and wait is not missed.
        let mut published = self.published.subscribe();
        loop {
            published.mark_unchanged();
            if let Some(answer) = ready(&self.snapshot()) {
                return answer;
            }
            if published.changed().await.is_err() {
                // The sender lives in `self`, so this cannot happen while we are borrowed from it.
                std::future::pending::<()>().await;
            }
        }
    }

    /// A connection to that generation was lost, though it is up as far as we were told: new events wait for news of it,
    /// for a moment. Not if its process is seen to live: workerd closes a caller's connection without an answer where a
    /// worker fails because another has gone, and there are no news to come then.
    pub(super) fn doubt(&self, generation: &Generation) {
        let concerns = |snapshot: &Snapshot| {
            snapshot.is_newest(&generation.session, generation.number) && !snapshot.is_doubted(generation)
        };
        if !concerns(&self.load()) || is_seen_alive(generation.pid) {
            return;
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot();
        if concerns(&before) {
            let (session, number) = (generation.session.clone(), generation.number);
            let mut after = Snapshot { revision: before.revision.next(), ..Snapshot::clone(&before) };
            after.doubted.push(Doubt { session, number, since: Instant::now() });
            self.publish_snapshot(after);
        }
    }

    /// Ends what has been in doubt for long enough. Returns when to come again, if there is more.
    pub(super) fn trust(&self) -> Option<Instant> {
        if self.load().doubted.is_empty() {
            return None;
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot();
        let mut after = Snapshot { revision: before.revision.next(), ..Snapshot::clone(&before) };
        after.doubted.retain(|doubt| doubt.since.elapsed() < DOUBT_FOR);
        let next = after.doubted.iter().map(|doubt| doubt.since + DOUBT_FOR).min();
        if after.doubted.len() < before.doubted.len() {
            self.publish_snapshot(after);
        }
        next
    }

    /// Only under `writing`.
    fn publish_snapshot(&self, snapshot: Snapshot) -> Revision {
        let revision = snapshot.revision;
        self.current.store(Arc::new(snapshot));
        self.published.send_replace(revision);
        revision
    }
}

impl SessionSink for Links {
    /// A state of a session that the table does not (or no longer) know is dropped: a reload took the session away
    /// while its last process was still on its way out.
    fn publish(&self, name: &SessionName, state: SessionState) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot();
        let Some(session) = before.sessions.get(name) else { return };
        let mut after = Snapshot::clone(&before);
        after.revision = before.revision.next();
        let queues = match &state {
            SessionState::Up(generation) => generation.services.queues().map(str::to_owned).collect(),
            // What it consumes waits for it, as everything does.
            SessionState::Starting | SessionState::Down { .. } => session.queues.clone(),
        };
        let session = Session { state, queues, since: SystemTime::now(), ..Session::clone(session) };
        after.sessions.insert(name.clone(), Arc::new(session));
        // This is the news that was waited for.
        after.doubted.retain(|doubt| doubt.session != *name);
        self.publish_snapshot(after);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::router::Route;
    use crate::session::Services;

    fn up(number: u64) -> Arc<Generation> {
        Arc::new(Generation {
            session: "api".parse().unwrap(),
            number,
            // Nobody's.
            pid: 0,
            release: None,
            debug_port: PathBuf::new().into(),
            services: Services::alike(String::new()),
            http_sockets: Default::default(),
            front_socket: None,
            cf_header: String::new(),
        })
    }

    #[test]
    fn events_wait_for_news_of_a_generation_in_doubt_and_not_for_long() {
        let links = Links::new();
        let name: SessionName = "api".parse().unwrap();
        let define = Change::DefineSession { session: name.clone(), classes: Vec::new(), exports: None };
        links.change(vec![define], None).unwrap();
        let is_ready = || matches!(links.load().route(&LinkName::direct(name.clone())), Route::Ready(..));
        let (first, second) = (up(1), up(2));
        let alive = Generation { pid: std::process::id(), ..Generation::clone(&first) };
        links.publish(&name, SessionState::Up(Arc::new(alive.clone())));
        links.doubt(&alive);
        assert_eq!(is_ready(), cfg!(target_os = "linux"), "its process is seen to live");
        links.publish(&name, SessionState::Up(first.clone()));
        links.doubt(&first);
        links.doubt(&first);
        assert!(!is_ready());
        assert!(links.trust().is_some_and(|at| at > Instant::now()), "not yet");
        // News, whatever they are, end it; what has been replaced is in nobody's way.
        links.publish(&name, SessionState::Up(second.clone()));
        assert!(is_ready());
        links.doubt(&first);
        assert!(is_ready());
        links.doubt(&second);
        assert!(!is_ready());
        let long = Instant::now() + Duration::from_secs(20);
        while links.trust().is_some() {
            assert!(Instant::now() < long, "it is never trusted again");
            std::thread::yield_now();
        }
        assert!(is_ready());
    }
}
