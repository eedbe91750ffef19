//! Sessions that others start: what runs under `jackfield run`, what has registered by itself, what was attached.
//!
//! One task knows them all. It reads their registries, follows their processes, and writes for each `jackfield run`
//! a registry of its own, in which every worker leads to a face of that caller alone.

mod member;
mod publish;
mod trouble;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::control::problem::{Code, Problem};
use crate::control::shape::{Attach, Attached, Run, Running};
use crate::net::Endpoint;
use crate::registry::{self, Entry, View, Watch};
use crate::router::{Change, Links, Router};
use crate::session::{
    Generation, Listener, Process, RuntimeDir, Services, SessionName, SessionSink, SessionState, scope,
};
use member::{Member, NEWS, News, Source, What, follow};
use publish::Faces;
use trouble::{Trouble, Troubles};

/// Operators at a time; each waits for its answer.
const QUEUE: usize = 16;

/// The tools write their entries' time of change every ten seconds, and so do we.
const TOUCH_EVERY: Duration = Duration::from_secs(10);

/// How long a name keeps its meaning after its session has ended. Whoever calls it meanwhile waits for its successor,
/// and does not land in another scope.
const REMEMBER: Duration = Duration::from_secs(90);

/// What the task can be asked for.
pub(super) enum Ask {
    Run(Run, oneshot::Sender<Result<Running, Problem>>),
    Attach(Attach, oneshot::Sender<Result<Attached, Problem>>),
}

/// The way to the task.
#[derive(Clone)]
pub(super) struct Handle {
    pub asks: mpsc::Sender<Ask>,
    /// Whether nothing runs that somebody joined.
    pub idle: watch::Receiver<bool>,
}

/// A command that runs in a registry of its own.
struct Runs {
    view: View,
    name: Option<String>,
    scope: Option<String>,
    /// The caller, from the moment that it has registered.
    session: Option<SessionName>,
}

/// What the tasks tell that watch folders and processes.
enum Seen {
    Changed(Source),
    RunEnded(u64),
}

pub(super) struct Joined {
    table: Arc<Links>,
    sink: Arc<dyn SessionSink>,
    runtime: Arc<RuntimeDir>,
    asks: mpsc::Receiver<Ask>,
    idle: watch::Sender<bool>,
    news: (mpsc::Sender<News>, mpsc::Receiver<News>),
    seen: (mpsc::Sender<Seen>, mpsc::Receiver<Seen>),
    /// Watches and followers. They end with this.
    tasks: JoinSet<()>,
    runs: HashMap<u64, Runs>,
    members: Vec<Member>,
    faces: Faces,
    troubles: Troubles,
    /// For runs, followers and generations alike.
    last_number: u64,
}

impl Joined {
    /// `registries` are the folders in which sessions register that nobody runs for us.
    pub fn new(
        router: &Arc<Router>,
        sink: Arc<dyn SessionSink>,
        runtime: Arc<RuntimeDir>,
        registries: Vec<PathBuf>,
    ) -> (Self, Handle) {
        let (asks, queue) = mpsc::channel(QUEUE);
        let (idle, is_idle) = watch::channel(true);
        let mut joined = Self {
            table: router.links().clone(),
            sink,
            faces: Faces::new(router.clone(), runtime.clone()),
            runtime,
            asks: queue,
            idle,
            news: mpsc::channel(NEWS),
            seen: mpsc::channel(NEWS),
            tasks: JoinSet::new(),
            runs: HashMap::new(),
            members: Vec::new(),
            troubles: Troubles::default(),
            last_number: 0,
        };
        for folder in registries {
            joined.watch(folder.clone(), Source::Registry(folder));
        }
        (joined, Handle { asks, idle: is_idle })
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Works until whoever may ask has gone.
    ///
    /// # Cancellation
    /// Everything that joined is left alone, and the registries that were made for it are removed.
    pub async fn run(mut self) {
        let mut touch = tokio::time::interval(TOUCH_EVERY);
        touch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut revisions = self.table.subscribe();
        loop {
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.answer(ask),
                    None => return,
                },
                Some(seen) = self.seen.1.recv() => match seen {
                    Seen::Changed(source) => self.look(&source),
                    Seen::RunEnded(run) => self.end_run(run),
                },
                Some(news) = self.news.1.recv() => self.learn(news),
                Ok(()) = revisions.changed() => {}
                Some(_) = self.tasks.join_next() => continue,
                _ = touch.tick() => {
                    self.runs.values().for_each(|run| run.view.touch());
                    self.forget();
                }
            }
            self.publish();
            let busy = !self.runs.is_empty()
                || self
                    .members
                    .iter()
                    .any(|member| member.source == Source::Attached && member.ended.is_none());
            self.idle.send_if_modified(|idle| std::mem::replace(idle, !busy) == busy);
        }
    }

    fn answer(&mut self, ask: Ask) {
        // Who asked may have gone; its run ends by itself then.
        match ask {
            Ask::Run(run, reply) => drop(reply.send(self.begin_run(run))),
            Ask::Attach(attach, reply) => drop(reply.send(self.attach(attach))),
        }
    }

    fn begin_run(&mut self, run: Run) -> Result<Running, Problem> {
        let Run { pid, name, scope } = run;
        if let Some(name) = &name {
            SessionName::scoped(name, scope.as_deref())
                .map_err(|error| Problem::new(Code::BadRequest, error.to_string()))?;
        }
        let number = self.number();
        let folder = self.runtime.view(number);
        let view = View::create(&folder).map_err(|error| {
            Problem::new(Code::Failed, format!("cannot make the registry {}: {error}", folder.display()))
        })?;
        self.watch(folder.clone(), Source::Run(number));
        let (process, seen) = (Process::of(pid), self.seen.0.clone());
        self.tasks.spawn(async move {
            process.ended().await;
            let _ = seen.send(Seen::RunEnded(number)).await;
        });
        self.runs.insert(number, Runs { view, name, scope, session: None });
        Ok(Running { registry: folder })
    }

    fn attach(&mut self, attach: Attach) -> Result<Attached, Problem> {
        let bad = |error: String| Problem::new(Code::BadRequest, error);
        let Attach { address, name, scope, service } = attach;
        let debug_port: Endpoint =
            address.parse().map_err(|error: crate::net::EndpointError| bad(error.to_string()))?;
        let session = SessionName::scoped(&name, scope.as_deref()).map_err(|error| bad(error.to_string()))?;
        if let Some(known) = self.table.load().session(&session)
            && matches!(known.state, SessionState::Up(_))
        {
            return Err(bad(format!("there is a session {session} already"))
                .hint("give another --name, or a --scope to tell the two apart"));
        }
        let services = Services::alike(service.unwrap_or_else(|| name.clone()));
        let entry = Entry { debug_port, services, queues: Vec::new(), instance: None };
        self.members.retain(|member| member.session != session);
        self.add(session.clone(), Source::Attached, name, entry);
        Ok(Attached { session })
    }

    fn watch(&mut self, folder: PathBuf, source: Source) {
        let seen = self.seen.0.clone();
        self.tasks.spawn(async move {
            let mut watch = Watch::new(&folder);
            while seen.send(Seen::Changed(source.clone())).await.is_ok() {
                watch.changed().await;
            }
        });
    }

    /// Reads a registry, and follows what is new in it.
    fn look(&mut self, source: &Source) {
        let (found, name, wanted) = match source {
            Source::Run(number) => {
                let Some(run) = self.runs.get(number) else { return };
                (run.view.registered(), run.name.clone(), run.scope.clone())
            }
            Source::Registry(folder) => (registry::list(folder), None, None),
            Source::Attached => return,
        };
        let error = found.as_ref().err().map(ToString::to_string);
        self.troubles.note(source, Trouble::Read, error);
        let Ok(found) = found else { return };
        for (file, error) in &found.refused {
            tracing::debug!(?source, file, %error, "a registry entry is passed over");
        }
        let cut = found.is_cut.then(|| format!("more than {}", registry::MAX_ENTRIES));
        self.troubles.note(source, Trouble::Length, cut);
        let mut alone = name.filter(|_| found.entries.len() == 1);
        self.end_missing(source, &found.entries, "it has unregistered");
        for (worker, entry) in found.entries {
            let known = |member: &Member| member.source == *source && member.worker == worker;
            match self.members.iter().position(known) {
                // The file of one that was killed stays; what it says is over. One that went and came back as it
                // was is news: tools write an entry again that somebody has removed.
                Some(index)
                    if self
                        .members
                        .get(index)
                        .is_some_and(|member| member.entry == entry && !member.is_missing) =>
                {
                    continue;
                }
                Some(index) => {
                    let old = self.members.swap_remove(index);
                    self.add(old.session.clone(), source.clone(), worker, entry);
                }
                None => {
                    let name = alone.take().unwrap_or_else(|| worker.clone());
                    let scope = match source {
                        Source::Run(_) => wanted.clone(),
                        _ => folder_of(&entry.debug_port).and_then(|folder| scope::of_folder(&folder)),
                    };
                    match self.free_name(&name, scope) {
                        Ok(session) => self.add(session, source.clone(), worker, entry),
                        Err(error) => tracing::warn!(worker, %error, "a worker has no name for a session"),
                    }
                }
            }
        }
        self.name_run(source);
    }

    /// The caller behind a run's faces is its first worker.
    fn name_run(&mut self, source: &Source) {
        let Source::Run(number) = source else { return };
        let mut own = self.members.iter().filter(|member| member.source == *source);
        let first = own.next().map(|member| member.session.clone());
        if let Some(run) = self.runs.get_mut(number).filter(|run| run.session.is_none()) {
            run.session = first;
        }
    }

    /// The name itself, unless a session that lives has it: then with a number behind its scope.
    fn free_name(&self, name: &str, scope: Option<String>) -> Result<SessionName, crate::session::NameError> {
        let table = self.table.load();
        let taken = |name: &SessionName| {
            self.members.iter().any(|member| member.session == *name && member.ended.is_none())
                || table.session(name).is_some_and(|session| !session.origin.is_joined())
        };
        let wanted = SessionName::scoped(name, scope.as_deref())?;
        let mut free = wanted.clone();
        let mut number = 1;
        while taken(&free) {
            number += 1;
            let scope =
                wanted.scope().map_or_else(|| number.to_string(), |scope| format!("{scope}-{number}"));
            free = SessionName::scoped(name, Some(&scope))?;
        }
        Ok(free)
    }

    fn add(&mut self, session: SessionName, source: Source, worker: String, entry: Entry) {
        if let Err(error) =
            self.table.change(vec![Change::JoinSession(session.clone(), source.origin())], None)
        {
            return tracing::warn!(%session, %error, "a session could not join");
        }
        // One that ended, perhaps elsewhere: this is its successor.
        self.members.retain(|member| member.session != session);
        let (id, port) = (self.number(), entry.debug_port.clone());
        let is_registered = source != Source::Attached;
        let follower = follow(session.clone(), id, port, is_registered, self.news.0.clone());
        let watch = self.tasks.spawn(follower);
        let member = Member { session, source, worker, entry, id, ended: None, is_missing: false, watch };
        self.members.push(member);
    }

    fn learn(&mut self, news: News) {
        let News { session, id, what } = news;
        let number = self.number();
        let current = |member: &&mut Member| member.session == session && member.id == id;
        let Some(member) = self.members.iter_mut().find(current) else { return };
        member.ended = matches!(what, What::Ended(_)).then(Instant::now);
        let state = match what {
            What::Up(listener) => SessionState::Up(Arc::new(generation(member, number, listener.as_ref()))),
            What::Missing(why) | What::Ended(why) => SessionState::Down { why },
        };
        self.sink.publish(&session, state);
    }

    fn end_missing(&mut self, source: &Source, entries: &BTreeMap<String, Entry>, why: &str) {
        let mut gone = Vec::new();
        for member in &mut self.members {
            if member.source != *source || entries.contains_key(&member.worker) {
                continue;
            }
            member.is_missing = true;
            if member.ended.is_none() {
                member.ended = Some(Instant::now());
                member.watch.abort();
                gone.push(member.session.clone());
            }
        }
        for session in gone {
            self.sink.publish(&session, SessionState::Down { why: why.to_owned() });
        }
    }

    fn end_run(&mut self, number: u64) {
        if self.runs.remove(&number).is_some() {
            let why = "the command under `jackfield run` has ended";
            let source = Source::Run(number);
            self.end_missing(&source, &BTreeMap::new(), why);
            self.troubles.forget(&source);
        }
    }

    /// Takes sessions away that ended long ago. One that somebody was linked to on purpose stays.
    fn forget(&mut self) {
        let over = |member: &Member| member.ended.is_some_and(|ended| ended.elapsed() >= REMEMBER);
        let runs = &self.runs;
        let table = &self.table;
        self.members.retain(|member| {
            if !over(member) {
                return true;
            }
            let dropped = table.change(vec![Change::DropSession(member.session.clone())], None).is_ok();
            // A file that is still there must not be taken for a new session.
            let stays = match &member.source {
                Source::Run(number) => runs.contains_key(number),
                Source::Registry(folder) => folder.join(&member.worker).exists(),
                Source::Attached => false,
            };
            stays || !dropped
        });
    }

    fn publish(&mut self) {
        let table = self.table.snapshot();
        let runs = &self.runs;
        self.faces.keep(|caller| runs.values().any(|run| run.session.as_ref() == Some(caller)));
        for (number, run) in &mut self.runs {
            let Some(session) = &run.session else { continue };
            let source = Source::Run(*number);
            let own = |name: &str| {
                self.members.iter().any(|member| member.source == source && member.session.name() == name)
            };
            let published = self.faces.publish(session, own, &self.members, &table, &mut run.view);
            let error = published.err().map(|error| format!("{session}: {error}"));
            self.troubles.note(&source, Trouble::Write, error);
        }
    }
}

fn generation(member: &Member, number: u64, listener: Option<&Listener>) -> Generation {
    Generation {
        session: member.session.clone(),
        number,
        pid: listener.map_or(0, |listener| listener.pid),
        debug_port: member.entry.debug_port.clone(),
        services: member.entry.services.clone(),
        http_sockets: HashMap::new(),
        front_socket: None,
        cf_header: String::new(),
    }
}

/// Where the tool runs that started the process behind a port.
fn folder_of(port: &Endpoint) -> Option<PathBuf> {
    Listener::of(port)?.folder()
}
