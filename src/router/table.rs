//! The link table: one immutable snapshot behind one atomic pointer.
//!
//! Readers take the snapshot once per event and see links and session states of the same moment. Writers are rare:
//! they copy the maps (of `Arc`s), change the copy and publish it under the next revision.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::change::{Change, ChangeError};
use super::draft::Draft;
use super::link::{Link, LinkName, Revision};
use super::origin::Origin;
use super::rule::Choice;
use crate::net::Endpoint;
use crate::rpc::FastMap;
use crate::session::project::Storage;
use crate::session::{
    Exports, Generation, Nearest, Release, SessionName, SessionSink, SessionState, is_seen_alive,
};

/// A Durable Object class that actor links may point at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// As the session exports it.
    pub name: String,
    /// How its objects are named; callers must make ids the same way.
    pub storage: Storage,
}

/// A session as the table knows it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its name.
    pub name: SessionName,
    /// Its Durable Object classes.
    pub classes: Arc<[Class]>,
    /// What its script exports, where that is known.
    pub exports: Option<Arc<Exports>>,
    /// The queues that it consumes, as far as it was seen to run.
    pub queues: Arc<[String]>,
    /// How it came here.
    pub origin: Origin,
    /// The file that it answers by, if it is a fake.
    pub fake: Option<Arc<Path>>,
    /// Whether it takes events.
    pub state: SessionState,
    /// When it entered this state.
    pub since: SystemTime,
}

impl Session {
    /// Its entrypoints, the default export first, as `default`. Where the exports are not known, those that plain HTTP
    /// reaches.
    pub fn entrypoint_names(&self) -> Vec<String> {
        if let Some(exports) = &self.exports {
            return exports.entrypoint_names().map(str::to_owned).collect();
        }
        let SessionState::Up(generation) = &self.state else { return Vec::new() };
        let mut names: Vec<_> = generation.http_sockets.keys().collect();
        names.sort();
        names.into_iter().map(|name| name.clone().unwrap_or_else(|| "default".to_owned())).collect()
    }

    /// The class of that name.
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.iter().find(|class| class.name == name)
    }
}

/// Everything that routing an event needs, as of one revision. Immutable.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Of this snapshot: link changes and session states count alike.
    pub revision: Revision,
    /// The last revision that changed a link. What optimistic changes are compared with, since a restarted session
    /// should not spoil them.
    pub relinked: Revision,
    /// With the direct way to each session among them.
    pub(super) links: FastMap<LinkName, Arc<Link>>,
    pub(super) sessions: FastMap<SessionName, Arc<Session>>,
    /// Generations that are up as far as we were told, and from which a connection was lost: nearly always none.
    doubted: Vec<Doubt>,
}

/// A process that dies closes its connections before its listeners, and its end is learned a little later still. What
/// is sent to it in between is lost although it could have waited.
#[derive(Clone, Debug)]
struct Doubt {
    session: SessionName,
    number: u64,
    since: Instant,
}

/// How long events wait for news of a generation in doubt. The end of a process is known within a few milliseconds.
pub(super) const DOUBT_FOR: Duration = Duration::from_millis(100);

/// Where an event on a link goes at this moment.
#[derive(Clone, Debug)]
pub enum Route {
    /// To this generation.
    Ready(Arc<Link>, Arc<Generation>),
    /// Nowhere yet: it parks until a later snapshot says otherwise. The text says why the target cannot take it.
    Parked(Arc<Link>, String),
    /// There is no such link (any more).
    Gone,
}

impl Snapshot {
    /// The link of that name.
    pub fn link(&self, name: &LinkName) -> Option<&Arc<Link>> {
        self.links.get(name)
    }

    /// The session of that name.
    pub fn session(&self, name: &SessionName) -> Option<&Arc<Session>> {
        self.sessions.get(name)
    }

    /// The session that an operator means by a name: that very one, or the only one of that name in any scope.
    pub fn meant(&self, name: SessionName) -> SessionName {
        name.meant_among(self.sessions.keys())
    }

    /// Whether that change could be made, by itself.
    ///
    /// # Errors
    /// Why not.
    pub fn allows(&self, change: Change) -> Result<(), ChangeError> {
        Draft::apply(self, vec![change]).map(drop)
    }

    /// All links, by name. The direct ways to sessions are none.
    pub fn links(&self) -> Vec<&Arc<Link>> {
        let mut all: Vec<_> = self.links.values().filter(|link| !link.name.is_direct()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// All sessions, by name.
    pub fn sessions(&self) -> Vec<&Arc<Session>> {
        let mut all: Vec<_> = self.sessions.values().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Whether new events go to that generation of the session.
    pub fn is_newest(&self, session: &SessionName, number: u64) -> bool {
        let state = self.sessions.get(session).map(|session| &session.state);
        matches!(state, Some(SessionState::Up(generation)) if generation.number == number)
    }

    fn is_doubted(&self, generation: &Generation) -> bool {
        self.doubted
            .iter()
            .any(|doubt| doubt.number == generation.number && doubt.session == generation.session)
    }

    /// What an event is told that came by `name` and found nothing there.
    pub(in crate::router) fn gone(&self, name: &LinkName) -> String {
        let (what, all) = match name.is_direct() {
            true => ("session", "`jackfield ls` shows those that there are."),
            false => ("link", "`jackfield links` shows those that there are."),
        };
        let like = match name.is_direct() {
            true => Nearest::session(&name.session, self.sessions.keys()),
            false => {
                let own =
                    self.links.keys().filter(|known| known.session == name.session && !known.is_direct());
                let Nearest(like) = Nearest::of(&name.binding, own.map(|known| &known.binding));
                Nearest(like.map(|binding| format!("{}/{binding}", name.session)))
            }
        };
        match like {
            Nearest(Some(_)) => format!("There is no {what} {name}{like} {all}"),
            Nearest(None) => format!("There is no {what} {name}. {all}"),
        }
    }

    /// Why the caller of a link cannot call methods of a target: their releases do not fit.
    pub(in crate::router) fn misfit(&self, link: &LinkName, target: &Generation) -> Option<String> {
        let SessionState::Up(caller) = &self.sessions.get(&link.session)?.state else { return None };
        let (ours, theirs) = (caller.release.as_ref()?, target.release.as_ref()?);
        if ours.can_call(theirs) {
            return None;
        }
        let (worker, caller, needed) = (&link.binding, &link.session, Release::needed());
        Some(format!(
            "Worker \"{worker}\" is not compatible with this version of the dev server: {ours} cannot call methods on \
             {theirs}. Please update the tool that runs {caller}, to one with {needed}; fetch() and WebSockets work \
             (`jackfield explain {link}` tells more)."
        ))
    }

    /// Another session of the name of a link's target which takes events, where the target does not.
    pub(in crate::router) fn instead(&self, link: &LinkName) -> Option<SessionName> {
        let link = self.links.get(link)?;
        // Where the rules do not choose, they name all.
        let target = link.rule.as_ref().map_or(Some(link.target.session()), Choice::session)?;
        let is_up = |session: &&Arc<Session>| matches!(session.state, SessionState::Up(_));
        let alike = |session: &&Arc<Session>| session.name.name() == target.name() && session.name != *target;
        self.sessions().into_iter().filter(is_up).find(alike).map(|session| session.name.clone())
    }

    /// The session that gets what `sender` sends to a queue: chosen among its consumers as among sessions of one name.
    pub(in crate::router) fn consumer(
        &self,
        sender: &SessionName,
        queue: &str,
    ) -> Result<SessionName, String> {
        let consumes = |session: &&Arc<Session>| {
            session.name != *sender && session.queues.iter().any(|known| known == queue)
        };
        let all = self.sessions.values().filter(consumes).map(|session| session.name.clone()).collect();
        match Choice::among(sender, all) {
            Some(Choice::SameScope(session) | Choice::Only(session)) => Ok(session),
            Some(choice) => Err(format!("Which session consumes the queue {queue} is not clear: {choice}.")),
            None => Err(format!("No session consumes the queue {queue}.")),
        }
    }

    /// Whether new events go to a generation with this debug port.
    pub fn has_debug_port(&self, port: &Endpoint) -> bool {
        self.sessions.values().any(|session| {
            matches!(&session.state, SessionState::Up(generation) if generation.debug_port == *port)
        })
    }

    /// Follows a link to the newest listening generation of its target.
    pub fn route(&self, name: &LinkName) -> Route {
        let Some(link) = self.links.get(name) else { return Route::Gone };
        if let Some(choice) = link.rule.as_ref().filter(|choice| choice.session().is_none()) {
            return Route::Parked(link.clone(), choice.to_string());
        }
        let session = link.target.session();
        let why = match self.sessions.get(session).map(|session| &session.state) {
            Some(SessionState::Up(generation)) if self.is_doubted(generation) => format!(
                "session {session} has lost a connection, and may be ending (generation {})",
                generation.number
            ),
            Some(SessionState::Up(generation)) => return Route::Ready(link.clone(), generation.clone()),
            Some(SessionState::Starting) => format!("session {session} is starting"),
            Some(SessionState::Down { why }) => format!("session {session} is down: {why}"),
            None => format!("there is no session {session}"),
        };
        Route::Parked(link.clone(), why)
    }
}

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
