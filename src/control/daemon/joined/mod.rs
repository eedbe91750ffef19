//! Sessions that others start: what runs under `jackfield run`, what has registered by itself, what was attached.
//!
//! One task knows them all. It reads their registries, follows their processes, and writes for each `jackfield run`
//! a registry of its own, in which every worker leads to a face of that caller alone.

mod member;
mod members;
mod names;
mod publish;
mod trouble;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::REMEMBER;
use crate::control::problem::{Code, Problem};
use crate::control::shape::{Attach, Attached, Run, Running};
use crate::net::{Endpoint, EndpointError};
use crate::registry::{self, Entry, Listing, View, Watch};
use crate::router::{Links, Router};
use crate::session::{Process, RuntimeDir, Services, SessionName, SessionSink, is_own_socket};
use member::{NEWS, News, Source};
use members::{Called, Members};
use publish::Faces;
use trouble::{Trouble, Troubles};

/// Operators at a time; each waits for its answer.
const QUEUE: usize = 16;

/// The tools write their entries' time of change every ten seconds, and so do we.
const TOUCH_EVERY: Duration = Duration::from_secs(10);

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
    called: Called,
    /// The workers that its registry showed when the daemon before us was killed. Whoever calls one waits for its return.
    expected: Expected,
    /// The caller, from the moment that it has registered.
    session: Option<SessionName>,
    /// What watches its registry and its process.
    tasks: [AbortHandle; 2],
}

impl Drop for Runs {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// What the tasks tell that watch folders and processes.
enum Seen {
    /// What lies in a registry, or why that is not known; and whether it is not what was told before.
    Registry(Source, Result<Listing, String>, bool),
    RunEnded(u64),
}

pub(super) struct Joined {
    table: Arc<Links>,
    runtime: Arc<RuntimeDir>,
    asks: mpsc::Receiver<Ask>,
    idle: watch::Sender<bool>,
    news: mpsc::Receiver<News>,
    seen: (mpsc::Sender<Seen>, mpsc::Receiver<Seen>),
    /// What watches. It ends with this.
    tasks: JoinSet<()>,
    runs: HashMap<u64, Runs>,
    members: Members,
    faces: Faces,
    troubles: Troubles,
    last_run: u64,
    last_view: u64,
}

/// Workers that may come back.
struct Expected {
    since: Instant,
    workers: BTreeSet<String>,
}

impl Expected {
    /// Those that still may.
    fn now(&mut self) -> impl Iterator<Item = &str> {
        if self.since.elapsed() >= REMEMBER {
            self.workers.clear();
        }
        self.workers.iter().map(String::as_str)
    }
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
        let (tell, news) = mpsc::channel(NEWS);
        let (idle, is_idle) = watch::channel(true);
        let table = router.links().clone();
        let mut joined = Self {
            faces: Faces::new(router.clone(), runtime.clone()),
            runtime,
            asks: queue,
            idle,
            news,
            seen: mpsc::channel(NEWS),
            tasks: JoinSet::new(),
            runs: HashMap::new(),
            members: Members::new(table.clone(), sink, tell),
            table,
            troubles: Troubles::default(),
            last_run: 0,
            last_view: 0,
        };
        for folder in registries {
            joined.watch(folder.clone(), Source::Registry(folder));
        }
        (joined, Handle { asks, idle: is_idle })
    }

    /// Works until whoever may ask has gone.
    ///
    /// # Cancellation
    /// Everything that joined is left alone, and the registries that were made for it are removed.
    pub async fn run(mut self) {
        let mut touch = tokio::time::interval(TOUCH_EVERY);
        touch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut revisions = self.table.subscribe();
        let mut news = Vec::new();
        loop {
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.answer(ask),
                    None => return,
                },
                Some(seen) = self.seen.1.recv() => if !self.see(seen) {
                    continue;
                },
                // All that wait, since each step of the table costs the more the more it holds.
                _ = self.news.recv_many(&mut news, NEWS) => self.members.learn(std::mem::take(&mut news)),
                Ok(()) = revisions.changed() => {}
                Some(_) = self.tasks.join_next() => continue,
                _ = touch.tick() => {
                    self.runs.values().for_each(|run| run.view.touch());
                    self.members.forget();
                }
            }
            while let Ok(seen) = self.seen.1.try_recv() {
                self.see(seen);
            }
            // What we have changed ourselves is published here and now.
            revisions.mark_unchanged();
            self.members.give_way();
            self.publish();
            let is_attached = self.members.all().iter().any(|member| member.source == Source::Attached);
            let busy = !self.runs.is_empty() || is_attached;
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
        let Run { pid, name, scope, registry } = run;
        if let Some(name) = &name {
            SessionName::scoped(name, scope.as_deref())
                .map_err(|error| Problem::new(Code::BadRequest, error.to_string()))?;
        }
        let view = self.view(registry)?;
        let folder = view.folder().to_owned();
        let expected = Expected { since: Instant::now(), workers: view.left().clone() };
        self.last_run += 1;
        let number = self.last_run;
        let watch = self.watch(folder.clone(), Source::Run(number));
        let (process, seen) = (Process::of(pid), self.seen.0.clone());
        let end = self.tasks.spawn(async move {
            process.ended().await;
            let _ = seen.send(Seen::RunEnded(number)).await;
        });
        let called = Called { name, scope };
        self.runs.insert(number, Runs { view, called, expected, session: None, tasks: [watch, end] });
        Ok(Running { registry: folder })
    }

    /// A new registry, or the one that a command has already.
    fn view(&mut self, registry: Option<PathBuf>) -> Result<View, Problem> {
        let (folder, made) = match registry {
            Some(folder) if !self.runtime.is_view(&folder) => {
                let error = format!("{} is no registry of this daemon's", folder.display());
                return Err(Problem::new(Code::BadRequest, error));
            }
            Some(folder) if self.runs.values().any(|run| run.view.folder() == folder) => {
                let error = format!("{} is the registry of another command", folder.display());
                return Err(Problem::new(Code::BadRequest, error));
            }
            Some(folder) => (folder.clone(), View::take_over(&folder)),
            None => loop {
                self.last_view += 1;
                let folder = self.runtime.view(self.last_view);
                match View::create(&folder) {
                    // That of a command which the daemon before us had, and which will come for it.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    made => break (folder, made),
                }
            },
        };
        made.map_err(|error| {
            Problem::new(Code::Failed, format!("cannot make the registry {}: {error}", folder.display()))
        })
    }

    fn attach(&mut self, attach: Attach) -> Result<Attached, Problem> {
        let bad = |error: String| Problem::new(Code::BadRequest, error);
        let Attach { address, name, scope, service } = attach;
        let debug_port: Endpoint = address.parse().map_err(|error: EndpointError| bad(error.to_string()))?;
        let session = SessionName::scoped(&name, scope.as_deref()).map_err(|error| bad(error.to_string()))?;
        if debug_port.path().is_some_and(is_own_socket) {
            let error =
                format!("{debug_port} is a socket of jackfield's own, and behind it is a session already");
            return Err(bad(error).hint("`jackfield ls` lists the sessions"));
        }
        let services = Services::alike(service.unwrap_or(name));
        let entry = Entry { debug_port, services, queues: Vec::new(), instance: None };
        self.members.attach(session.clone(), entry)?;
        Ok(Attached { session })
    }

    fn watch(&mut self, folder: PathBuf, source: Source) -> AbortHandle {
        let seen = self.seen.0.clone();
        self.tasks.spawn(async move {
            let mut watch = Watch::new(&folder);
            let mut last = None;
            loop {
                let at = folder.clone();
                let listed = tokio::task::spawn_blocking(move || registry::list(&at)).await;
                // Cancelled only where the runtime ends.
                let Ok(found) = listed.map(|listed| listed.map_err(|error| error.to_string())) else {
                    return;
                };
                let is_new = last.as_ref() != Some(&found);
                if is_new {
                    last = Some(found.clone());
                }
                if seen.send(Seen::Registry(source.clone(), found, is_new)).await.is_err() {
                    return;
                }
                watch.changed().await;
            }
        })
    }

    /// Returns whether there is something to publish.
    fn see(&mut self, seen: Seen) -> bool {
        match seen {
            Seen::Registry(source, found, is_new) => {
                self.look(&source, found, is_new);
                is_new
            }
            Seen::RunEnded(run) => {
                self.runs.remove(&run);
                self.members.end_run(&Source::Run(run));
                self.troubles.forget(&Source::Run(run));
                true
            }
        }
    }

    fn look(&mut self, source: &Source, found: Result<Listing, String>, is_new: bool) {
        self.troubles.note(source, Trouble::Read, found.as_ref().err().cloned());
        let Ok(found) = found else { return };
        for (file, error) in found.refused.iter().filter(|_| is_new) {
            tracing::debug!(?source, file, %error, "a registry entry is passed over");
        }
        let is_cut = found.is_cut;
        let (found, called) = match source {
            Source::Run(number) => {
                let Some(run) = self.runs.get_mut(number) else { return };
                (run.view.registered(found), run.called.clone())
            }
            _ => (found, Called::default()),
        };
        let left_out = self.members.look(source, found, &called);
        let trouble = match (is_cut, left_out) {
            (true, _) => Some(format!("more than {}", registry::MAX_ENTRIES)),
            (false, 0) => None,
            (false, _) => Some(format!("{left_out} more than are followed")),
        };
        self.troubles.note(source, Trouble::Length, trouble);
        if let Source::Run(number) = source {
            self.name_run(*number, is_new);
        }
    }

    /// The caller behind a run's faces is its first worker.
    fn name_run(&mut self, number: u64, is_new: bool) {
        let Some(run) = self.runs.get_mut(&number) else { return };
        let source = Source::Run(number);
        let own = || self.members.all().iter().filter(|member| member.source == source);
        let names: Vec<_> = own().filter_map(|member| member.session.as_ref()).collect();
        if run.session.as_ref().is_none_or(|session| !names.contains(&session))
            && let Some(first) = names.first()
        {
            run.session = Some(SessionName::clone(first));
        }
        let mut ports = own().filter(|member| member.ended.is_none()).map(|member| &member.entry.debug_port);
        let first = ports.next();
        if is_new && ports.any(|port| Some(port) != first) {
            tracing::warn!(
                caller = run.session.as_ref().map(tracing::field::display),
                "several tools run under one `jackfield run`; calls of all of them count as those of the first"
            );
        }
    }

    fn publish(&mut self) {
        let table = self.table.snapshot();
        let runs = &self.runs;
        self.faces.keep(|caller| runs.values().any(|run| run.session.as_ref() == Some(caller)));
        for (number, run) in &mut self.runs {
            let Some(session) = &run.session else { continue };
            let (source, members) = (Source::Run(*number), self.members.all());
            let own = |name: &str| {
                let mut own = members.iter().filter(|member| member.source == source);
                own.any(|member| {
                    member.worker == name || member.session.as_ref().is_some_and(|own| own.name() == name)
                })
            };
            let expected = run.expected.now();
            let published = self.faces.publish(session, own, expected, &table, &mut run.view);
            let error = published.err().map(|error| format!("{session}: {error}"));
            self.troubles.note(&source, Trouble::Write, error);
        }
    }
}
