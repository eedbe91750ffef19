//! A batch of changes on its way into the table.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::change::{Change, ChangeError};
use super::link::{Link, LinkName, Target};
use super::origin::Origin;
use super::rule::Choice;
use super::snapshot::{Class, Session, Snapshot};
use crate::session::{Exports, Nearest, SessionName, SessionState};

/// A batch on its way: a private copy of the snapshot.
pub(super) struct Draft {
    next: Snapshot,
    relinked: bool,
    changed: bool,
}

impl Draft {
    pub(super) fn apply(before: &Snapshot, changes: Vec<Change>) -> Result<Self, ChangeError> {
        let mut next = before.clone();
        next.revision = before.revision.next();
        let mut draft = Self { next, relinked: false, changed: false };
        let mut moved = HashSet::new();
        for change in changes {
            if let Change::Retarget { link, .. } = &change
                && !moved.insert(link.clone())
            {
                return Err(ChangeError::Twice { link: link.clone() });
            }
            draft.step(change)?;
        }
        draft.follow_rules();
        draft.check()?;
        Ok(draft)
    }

    /// The snapshot to publish, if it differs from the one before.
    pub(super) fn finish(self) -> Option<Snapshot> {
        let Self { mut next, relinked, changed } = self;
        if relinked {
            next.relinked = next.revision;
        }
        changed.then_some(next)
    }

    fn step(&mut self, change: Change) -> Result<(), ChangeError> {
        match change {
            Change::Retarget { link, to, props } => {
                self.adopt(&link);
                let Some(old) = self.next.links.get(&link) else { return Err(self.unknown_link(link)) };
                if props.as_ref().is_some_and(|props| !props.is_object()) {
                    return Err(ChangeError::PropsNotAnObject { link });
                }
                let session = to.session.clone();
                let Some(target) = old.target.kind().target(to, props) else {
                    return Err(ChangeError::NotAClass { link, session });
                };
                self.check_ids(&link, &old.target, &target)?;
                let accepts_props = old.accepts_props;
                self.set(link, target, accepts_props);
            }
            Change::DefineLink { link, target, accepts_props } => {
                let (was, wanted) = (self.next.links.get(&link).map(|old| old.target.kind()), target.kind());
                if let Some(was) = was.filter(|was| *was != wanted) {
                    return Err(ChangeError::OtherKind { link, was, wanted });
                }
                self.set(link, target, accepts_props);
            }
            Change::Seek { link, target } => {
                let worker = target.session().name().to_owned();
                let choice = Choice::of(&link.session, &worker, self.next.sessions.keys());
                self.set_by_rule(&link, target, Some(worker), choice);
            }
            Change::Adopt(link) => {
                if !self.adopt(&link) {
                    return Err(self.unknown_session(link.session));
                }
            }
            Change::JoinSession(session, origin) => {
                self.define_session(session.clone(), Vec::new(), None);
                self.originate(session, origin);
            }
            Change::DefineFake { generation, classes, file } => {
                let name = generation.session.clone();
                self.define_session(name.clone(), classes, None);
                if let Some(known) = self.next.sessions.get(&name) {
                    let state = SessionState::Up(generation);
                    let fake =
                        Session { origin: Origin::Fake, fake: Some(file), state, ..Session::clone(known) };
                    self.next.sessions.insert(name, Arc::new(fake));
                }
            }
            Change::DropLink(link) => {
                if self.next.links.remove(&link).is_none() {
                    return Err(self.unknown_link(link));
                }
                self.relinked = true;
            }
            Change::DefineSession { session, classes, exports } => {
                self.define_session(session.clone(), classes, exports);
                let was = self.next.sessions.get(&session).map(|known| known.origin);
                self.originate(session, was.filter(|was| was.is_declared()).unwrap_or_default());
            }
            Change::Originate(session, origin) => self.originate(session, origin),
            Change::DropSession(session) => {
                if self.next.sessions.remove(&session).is_none() {
                    return Err(self.unknown_session(session));
                }
                // The direct way to it is no link of anybody's.
                self.relinked |=
                    self.next.links.keys().any(|name| name.session == session && !name.is_direct());
                self.next.links.retain(|name, _| name.session != session);
                self.changed = true;
            }
        }
        self.changed |= self.relinked;
        Ok(())
    }

    /// The stand-in for a namespace in the calling process makes ids without asking, by what it was started with.
    fn check_ids(&self, link: &LinkName, old: &Target, new: &Target) -> Result<(), ChangeError> {
        let class = |target: &Target| match target {
            Target::ActorClass { session, class } => self.next.sessions.get(session)?.class(class).cloned(),
            Target::Entrypoint { .. } => None,
        };
        match (class(old), class(new)) {
            (Some(Class { storage: was, .. }), Some(Class { name, storage: wanted })) if was != wanted => {
                let (link, session) = (link.clone(), new.session().clone());
                Err(ChangeError::OtherIds { link, was, session, class: name, wanted })
            }
            _ => Ok(()),
        }
    }

    fn set(&mut self, name: LinkName, target: Target, accepts_props: bool) {
        let same = |old: &Arc<Link>| {
            old.rule.is_none() && old.target == target && old.accepts_props == accepts_props
        };
        if self.next.links.get(&name).is_some_and(same) {
            return;
        }
        let (revision, since) = (self.next.revision, Instant::now());
        let link =
            Link { name: name.clone(), target, accepts_props, rule: None, worker: None, revision, since };
        self.next.links.insert(name, Arc::new(link));
        self.relinked = true;
    }

    fn define_session(&mut self, name: SessionName, classes: Vec<Class>, exports: Option<Arc<Exports>>) {
        let old = self.next.sessions.get(&name);
        if old.is_some_and(|old| *old.classes == *classes && old.exports == exports) {
            return;
        }
        let (state, since) = match old {
            Some(old) => (old.state.clone(), old.since),
            None => (SessionState::Starting, SystemTime::now()),
        };
        let direct = LinkName::direct(name.clone());
        self.next.links.entry(direct.clone()).or_insert_with(|| {
            let target = Target::Entrypoint { session: name.clone(), entrypoint: None, props: None };
            let (revision, since) = (self.next.revision, Instant::now());
            // Whoever may come this way may as well say what it wants.
            Arc::new(Link {
                name: direct,
                target,
                accepts_props: true,
                rule: None,
                worker: None,
                revision,
                since,
            })
        });
        let origin = old.map(|old| old.origin).unwrap_or_default();
        let queues = old.map(|old| old.queues.clone()).unwrap_or_default();
        let session = Session {
            name: name.clone(),
            classes: classes.into(),
            exports,
            queues,
            origin,
            fake: None,
            state,
            since,
        };
        self.next.sessions.insert(name, Arc::new(session));
        self.changed = true;
    }

    fn originate(&mut self, session: SessionName, origin: Origin) {
        if let Some(known) = self.next.sessions.get(&session).filter(|known| known.origin != origin) {
            let known = Session { origin, ..Session::clone(known) };
            self.next.sessions.insert(session, Arc::new(known));
            self.changed = true;
        }
    }

    /// Whether the link is there now. One of a session that joined comes as it is asked for.
    fn adopt(&mut self, name: &LinkName) -> bool {
        if self.next.links.contains_key(name) {
            return true;
        }
        let joined = self.next.sessions.get(&name.session).is_some_and(|session| session.origin.is_joined());
        if joined {
            let choice = Choice::of(&name.session, &name.binding, self.next.sessions.keys());
            let target = Target::Entrypoint { session: name.session.clone(), entrypoint: None, props: None };
            self.set_by_rule(name, target, None, choice);
        }
        joined
    }

    /// Lets the rules choose again: sessions may have come or gone.
    fn follow_rules(&mut self) {
        let choose = |link: &Link| {
            let was = link.rule.as_ref()?;
            let is = Choice::of(&link.name.session, link.wanted(), self.next.sessions.keys());
            (*was != is).then(|| (link.clone(), is))
        };
        let moved: Vec<_> = self.next.links.values().filter_map(|link| choose(link)).collect();
        for (Link { name, target, worker, .. }, choice) in moved {
            self.set_by_rule(&name, target, worker, choice);
        }
    }

    fn set_by_rule(&mut self, name: &LinkName, target: Target, worker: Option<String>, choice: Choice) {
        // Where there is no choice, the target is never asked for.
        let session = choice.session().unwrap_or(&name.session).clone();
        let target = target.at(session);
        // What goes where it went has not moved.
        let same = self.next.links.get(name).filter(|old| old.rule.is_some() && old.target == target);
        let (revision, since) =
            same.map_or_else(|| (self.next.revision, Instant::now()), |old| (old.revision, old.since));
        // Props go with the calls of a session that joined, as they do without us.
        let (accepts_props, name) = (worker.is_none(), name.clone());
        // Whoever changes links by what it saw must see those that moved, and not what is said of the others.
        self.relinked |= same.is_none();
        self.changed = true;
        let link = Link { name, target, accepts_props, rule: Some(choice), worker, revision, since };
        self.next.links.insert(link.name.clone(), Arc::new(link));
    }

    /// What every published table keeps: both ends of each link are known sessions, and what it leads to exists, as far
    /// as that is known.
    fn check(&self) -> Result<(), ChangeError> {
        for link in self.next.links() {
            if !self.next.sessions.contains_key(&link.name.session) {
                return Err(self.unknown_session(link.name.session.clone()));
            }
            if link.rule.is_some() {
                // The rules choose by names alone; what the session lacks its callers are told.
                continue;
            }
            let aimed = link.target.session();
            let Some(session) = self.next.sessions.get(aimed) else {
                return Err(if link.revision == self.next.revision {
                    self.unknown_session(aimed.clone())
                } else {
                    ChangeError::StillAimed { link: link.name.clone(), session: aimed.clone() }
                });
            };
            match &link.target {
                Target::ActorClass { class, .. } => has_class(session, class)?,
                Target::Entrypoint { entrypoint, .. } => has_entrypoint(session, entrypoint.as_deref())?,
            }
        }
        Ok(())
    }

    fn unknown_link(&self, link: LinkName) -> ChangeError {
        let nearest = Nearest::of(&link, self.next.links.keys().filter(|name| !name.is_direct()));
        ChangeError::UnknownLink { link, nearest }
    }

    fn unknown_session(&self, session: SessionName) -> ChangeError {
        let nearest = Nearest::session(&session, self.next.sessions.keys());
        ChangeError::UnknownSession { session, nearest }
    }
}

fn has_class(session: &Session, class: &str) -> Result<(), ChangeError> {
    if session.origin.is_joined() || session.class(class).is_some() {
        return Ok(());
    }
    let nearest = Nearest::of(class, session.classes.iter().map(|class| &class.name));
    Err(ChangeError::UnknownClass { session: session.name.clone(), class: class.to_owned(), nearest })
}

fn has_entrypoint(session: &Session, entrypoint: Option<&str>) -> Result<(), ChangeError> {
    let Some(exports) = session.exports.as_ref().filter(|known| !known.has_entrypoint(entrypoint)) else {
        return Ok(());
    };
    let aim = |name: &str| format!("{}#{name}", session.name);
    let likest = Nearest::of(entrypoint.unwrap_or("default"), exports.entrypoint_names());
    Err(ChangeError::UnknownEntrypoint {
        session: session.name.clone(),
        entrypoint: entrypoint.map(str::to_owned),
        exports: exports.clone(),
        nearest: Nearest(likest.0.map(|name| aim(&name))),
    })
}
