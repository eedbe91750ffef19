//! The life of members: how they are found, become sessions, end, and are forgotten.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::member::{Member, News, Source, What, follow};
use super::names::{self, is_of_another_kind};
use crate::control::daemon::REMEMBER;
use crate::control::problem::{Code, Problem};
use crate::registry::{Entry, Listing};
use crate::router::{Change, ChangeError, Links};
use crate::session::{Generation, Listener, SessionName, SessionSink, SessionState};

/// How many workers of one registry are followed. Each costs a task, and in every caller's registry a listening socket.
const FOLLOWED: usize = 256;

/// All that joined, and what makes sessions of them.
pub(super) struct Members {
    table: Arc<Links>,
    sink: Arc<dyn SessionSink>,
    all: Vec<Member>,
    news: mpsc::Sender<News>,
    /// They end with this.
    followers: JoinSet<()>,
    /// For followers and generations alike.
    last_number: u64,
}

/// What the workers of a registry are called as sessions.
#[derive(Clone, Default)]
pub(super) struct Called {
    /// Instead of the worker's own name, where there is only one.
    pub name: Option<String>,
    pub scope: Option<String>,
}

impl Members {
    pub fn new(table: Arc<Links>, sink: Arc<dyn SessionSink>, news: mpsc::Sender<News>) -> Self {
        Self { table, sink, all: Vec::new(), news, followers: JoinSet::new(), last_number: 0 }
    }

    pub fn all(&self) -> &[Member] {
        &self.all
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Follows what is new in a registry, and ends what is there no more. What runs under us becomes a session at once;
    /// what only lies in a folder does when somebody listens. Returns how many are left out.
    pub fn look(&mut self, source: &Source, found: Listing, called: &Called) -> usize {
        self.end_missing(source, &found);
        let indices = self.all.iter().enumerate().filter(|(_, member)| member.source == *source);
        let known: HashMap<_, _> = indices.map(|(index, member)| (member.worker.clone(), index)).collect();
        let mut room = FOLLOWED.saturating_sub(known.len());
        let mut alone = called.name.as_ref().filter(|_| found.entries.len() == 1);
        let (mut changes, mut left_out) = (Vec::new(), 0);
        for (worker, entry) in found.entries {
            match known.get(&worker) {
                Some(index) => self.renew(*index, entry),
                None if room == 0 => left_out += 1,
                None => {
                    room -= 1;
                    let name = alone.take().unwrap_or(&worker).clone();
                    let (id, watch) = self.follow(source, &entry);
                    let (source, scope) = (source.clone(), called.scope.clone());
                    let is_run = matches!(source, Source::Run(_));
                    self.all.push(Member {
                        source,
                        worker,
                        entry,
                        name,
                        scope,
                        session: None,
                        id,
                        ended: None,
                        is_registered: true,
                        watch,
                    });
                    if is_run {
                        changes.extend(self.join(self.all.len() - 1));
                    }
                }
            }
        }
        self.change(changes);
        left_out
    }

    /// Follows what an entry says that a member had before.
    fn renew(&mut self, index: usize, entry: Entry) {
        let Some(member) = self.all.get(index) else { return };
        // The file of one that was killed stays; what it says is over.
        if member.is_registered && member.entry == entry {
            return;
        }
        let (id, watch) = self.follow(&member.source.clone(), &entry);
        if let Some(member) = self.all.get_mut(index) {
            member.watch.abort();
            (member.id, member.watch, member.entry) = (id, watch, entry);
            (member.ended, member.is_registered) = (None, true);
        }
    }

    fn follow(&mut self, source: &Source, entry: &Entry) -> (u64, tokio::task::AbortHandle) {
        while self.followers.try_join_next().is_some() {}
        let id = self.number();
        let port = entry.debug_port.clone();
        let (service, is_registered) = (entry.services.default.clone(), *source != Source::Attached);
        (id, self.followers.spawn(follow(id, port, service, is_registered, self.news.clone())))
    }

    /// Makes a session of a debug port that an operator has named.
    ///
    /// # Errors
    /// The name is not free.
    pub fn attach(&mut self, session: SessionName, entry: Entry) -> Result<(), Problem> {
        let taken = |error: String| {
            Err(Problem::new(Code::BadRequest, error)
                .hint("give another --name, or a --scope to tell the two apart"))
        };
        if session.is_of_fake() {
            return taken(format!("{session} is what a fake is called"));
        }
        let lives = |member: &Member| {
            member.session.as_ref() == Some(&session)
                && member.ended.is_none()
                && member.source != Source::Attached
        };
        if let Some(known) = self.table.load().session(&session)
            && (!known.origin.is_joined()
                || !matches!(known.state, SessionState::Down { .. })
                || self.all.iter().any(lives))
        {
            return taken(format!("there is a session {session} already"));
        }
        let is_predecessor =
            |member: &Member| member.source == Source::Attached && member.session.as_ref() == Some(&session);
        self.all.retain(|member| !is_predecessor(member));
        let (id, watch) = self.follow(&Source::Attached, &entry);
        let change = self.take(&session, Source::Attached);
        self.all.push(Member {
            source: Source::Attached,
            worker: session.name().to_owned(),
            entry,
            name: session.name().to_owned(),
            scope: session.scope().map(str::to_owned),
            session: Some(session),
            id,
            ended: None,
            is_registered: false,
            watch,
        });
        self.change(vec![change]);
        Ok(())
    }

    /// Gives a member a name as a session.
    fn join(&mut self, index: usize) -> Option<Change> {
        let Member { name, scope, source, .. } = self.all.get(index)?;
        let source = source.clone();
        let lives = |session: &SessionName| {
            self.all.iter().any(|member| member.session.as_ref() == Some(session) && member.ended.is_none())
        };
        let free = names::free(&self.table.load(), name, scope.as_deref(), lives);
        match free {
            Ok(session) => {
                let change = self.take(&session, source);
                self.all.get_mut(index)?.session = Some(session);
                Some(change)
            }
            Err(error) => {
                tracing::warn!(worker = name, %error, "a worker cannot be a session");
                None
            }
        }
    }

    /// Whoever had the name before has ended. It is still known, as long as its file lies there, and no session.
    fn take(&mut self, session: &SessionName, source: Source) -> Change {
        for member in self.all.iter_mut().filter(|member| member.session.as_ref() == Some(session)) {
            member.session = None;
        }
        Change::JoinSession(session.clone(), source.origin())
    }

    fn change(&self, changes: Vec<Change>) {
        if let Err(error) = self.table.change(changes, None) {
            tracing::warn!(%error, "sessions could not join");
        }
    }

    /// Tells what was learned, all names in one step.
    pub fn learn(&mut self, news: Vec<News>) {
        let (mut changes, mut states) = (Vec::new(), Vec::new());
        for News { id, what } in news {
            // Late news of one that was replaced, or has unregistered, are nobody's.
            let Some(index) = self.all.iter().position(|member| member.id == id) else { continue };
            if let Some(member) = self.all.get_mut(index)
                && let What::Up { scope, .. } = &what
                && member.session.is_none()
            {
                if matches!(member.source, Source::Registry(_)) {
                    member.scope.clone_from(scope);
                }
                changes.extend(self.join(index));
            }
            let number = self.number();
            let Some(member) = self.all.get_mut(index) else { continue };
            member.ended = match what {
                What::Up { .. } => None,
                What::Ended(_) => Some(Instant::now()),
                // One that nobody ever listens behind is forgotten like one that has ended.
                What::Missing(_) if member.source == Source::Attached => {
                    member.ended.or_else(|| Some(Instant::now()))
                }
                What::Missing(_) => member.ended,
            };
            let Some(session) = &member.session else { continue };
            let state = match what {
                What::Up { listener, release, .. } => {
                    let generation = generation(session, member, number, listener.as_ref());
                    SessionState::Up(Arc::new(Generation { release, ..generation }))
                }
                What::Missing(why) | What::Ended(why) => SessionState::Down { why },
            };
            states.push((session.clone(), state));
        }
        self.change(changes);
        for (session, state) in states {
            self.sink.publish(&session, state);
        }
    }

    fn end_missing(&mut self, source: &Source, found: &Listing) {
        // Whoever is not among the first may be among the others.
        if found.is_cut {
            return;
        }
        // One that cannot be read is there: half-written, or we are out of descriptors.
        let refused: HashSet<_> = found.refused.iter().map(|(file, _)| file.as_str()).collect();
        let is_there = |worker: &str| found.entries.contains_key(worker) || refused.contains(worker);
        self.end(source, |member| !is_there(&member.worker), "it has unregistered");
    }

    /// Ends all of a registry that has gone with its command.
    pub fn end_run(&mut self, source: &Source) {
        self.end(source, |_| true, "the command under `jackfield run` has ended");
    }

    fn end(&mut self, source: &Source, is_gone: impl Fn(&Member) -> bool, why: &str) {
        let mut gone = Vec::new();
        for member in &mut self.all {
            if member.source != *source || !is_gone(member) {
                continue;
            }
            member.is_registered = false;
            if member.ended.is_none() {
                member.ended = Some(Instant::now());
                member.watch.abort();
                // What its follower has told already is not to be heard any more.
                self.last_number += 1;
                member.id = self.last_number;
                gone.extend(member.session.clone());
            }
        }
        for session in gone {
            self.sink.publish(&session, SessionState::Down { why: why.to_owned() });
        }
    }

    /// Leaves to the project, or to a fake, the names that these have taken. Who had one gets another.
    pub fn give_way(&mut self) {
        let table = self.table.snapshot();
        let displaced: Vec<_> = (self.all.iter().enumerate())
            .filter(|(_, member)| {
                member.session.as_ref().is_some_and(|session| is_of_another_kind(&table, session))
            })
            .map(|(index, member)| (index, member.source.clone(), member.entry.clone()))
            .collect();
        for (index, source, entry) in displaced {
            let lives = self.all.get(index).is_some_and(|member| member.ended.is_none());
            let follower = lives.then(|| self.follow(&source, &entry));
            let Some(member) = self.all.get_mut(index) else { continue };
            member.session = None;
            if let Some((id, watch)) = follower {
                member.watch.abort();
                (member.id, member.watch) = (id, watch);
            }
        }
    }

    /// Takes sessions away that ended long ago. One that somebody was linked to on purpose stays.
    pub fn forget(&mut self) {
        // What is not ours any more is not dropped.
        self.give_way();
        let over = |member: &Member| member.ended.is_some_and(|ended| ended.elapsed() >= REMEMBER);
        for member in self.all.iter_mut().filter(|member| over(member)) {
            let Some(session) = &member.session else { continue };
            match self.table.change(vec![Change::DropSession(session.clone())], None) {
                Ok(_) | Err(ChangeError::UnknownSession { .. }) => member.session = None,
                Err(error) => tracing::debug!(%session, %error, "a session that has ended stays"),
            }
        }
        // A file that is still there must not be taken for a new session.
        self.all.retain(|member| member.session.is_some() || member.is_registered || member.ended.is_none());
    }
}

fn generation(
    session: &SessionName,
    member: &Member,
    number: u64,
    listener: Option<&Listener>,
) -> Generation {
    Generation {
        session: session.clone(),
        number,
        pid: listener.map_or(0, |listener| listener.pid),
        release: None,
        debug_port: member.entry.debug_port.clone(),
        services: member.entry.services.clone(),
        http_sockets: HashMap::new(),
        front_socket: None,
        cf_header: String::new(),
    }
}

#[cfg(test)]
mod tests;
