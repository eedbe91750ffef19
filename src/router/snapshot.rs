//! What the link table is at one moment.

use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::change::{Change, ChangeError};
use super::draft::Draft;
use super::link::{Link, LinkName, Revision};
use super::origin::Origin;
use super::rule::Choice;
use crate::net::Endpoint;
use crate::rpc::FastMap;
use crate::session::project::Storage;
use crate::session::{Exports, Generation, Nearest, Release, SessionName, SessionState};

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
    pub(super) doubted: Vec<Doubt>,
}

/// A process that dies closes its connections before its listeners, and its end is learned a little later still. What
/// is sent to it in between is lost although it could have waited.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    pub session: SessionName,
    pub number: u64,
    pub since: Instant,
}

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

    pub(super) fn is_doubted(&self, generation: &Generation) -> bool {
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
    pub(in crate::router) fn instead(&self, name: &LinkName) -> Option<SessionName> {
        let link = self.links.get(name)?;
        // Where the rules do not choose, they name all.
        let target = link.rule.as_ref().map_or(Some(link.target.session()), Choice::session)?;
        let is_up = |session: &&Arc<Session>| matches!(session.state, SessionState::Up(_));
        let alike = |session: &&Arc<Session>| session.name.name() == target.name() && session.name != *target;
        let is_elsewhere = |session: &&Arc<Session>| session.name.scope() != name.session.scope();
        let up = self.sessions().into_iter().filter(is_up).filter(alike);
        up.min_by_key(is_elsewhere).map(|session| session.name.clone())
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
