//! The daemon itself: sessions, table and faces put together, and the operator in front of them.

mod audience;
mod develop;
mod faces;
mod facts;
mod fakes;
mod joined;
mod plan;
mod projects;
mod worker;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::explain;
use super::operator::Operator;
use super::problem::{Code, Problem};
use super::rows;
use super::shape::{
    Attach, Attached, ChangeRequest, Changed, EndDev, Ending, Events, Explanation, FakeRequest,
    Links as LinkRows, Move, Placed, Places, Reloaded, Run, Running, Sessions as SessionRows, Status,
    Stopped, millis,
};
use super::told::{Telling, telling};
use crate::router::switch::Counts;
use crate::router::{Aim, Change, Face, Front, LinkName, Links, Moved, Revision, Router, Snapshot, retarget};
use crate::session::wrangler::Request;
use crate::session::{
    Host, OutputSink, Project, RuntimeDir, SessionSink, SessionState, Sessions, Times, survey,
};

use audience::Audience;
use develop::{Busy, Guest, Guests};
use faces::Faces;
use facts::Known;
use fakes::{Fakes, Staged};
use joined::{Ask, Joined};
use projects::Projects;
pub use worker::Worker;
use worker::{Command, Desk, QUEUE};

/// What a daemon is made of.
pub struct Parts {
    /// What to run.
    pub project: Project,
    /// With what.
    pub workerd: PathBuf,
    /// How long things may take.
    pub times: Times,
    /// Its private folder.
    pub runtime: RuntimeDir,
    /// What serves its faces, over a table that is empty.
    pub router: Arc<Router>,
    /// Where the lines go that sessions write.
    pub output: Arc<dyn OutputSink>,
    /// Told of every state of a session, after the table.
    pub watcher: Arc<dyn SessionSink>,
    /// Where sessions register that nobody runs for us.
    pub registries: Vec<PathBuf>,
    /// Where browsers reach all sessions, by their hosts; a free port if it is not said.
    pub ingress: Option<u16>,
}

/// The running daemon, as operators see it.
pub struct Daemon {
    table: Arc<Links>,
    router: Arc<Router>,
    /// What runs now, guests included; the worker replaces it when a change has gone well.
    project: Arc<ArcSwap<Project>>,
    /// Where operators ask.
    control: PathBuf,
    /// What ends each guest, and the number of the last.
    guests: watch::Sender<Guests>,
    last_guest: AtomicU64,
    fakes: Fakes,
    port: PathBuf,
    /// Serves it.
    _tools: Face,
    /// Where browsers reach all sessions.
    front: Option<Front>,
    started: SystemTime,
    commands: mpsc::Sender<Command>,
    joined: joined::Handle,
    registries: Arc<[PathBuf]>,
    stopping: CancellationToken,
    /// Changes that were begun; they are seen through even if who asked goes away.
    changes: TaskTracker,
}

/// How long a name keeps its meaning after its session has ended. Whoever calls it meanwhile waits for its successor,
/// and does not land in another scope.
const REMEMBER: Duration = Duration::from_secs(90);

/// How long a daemon stays that has nothing to do.
const LINGER: Duration = Duration::from_secs(5);

impl Daemon {
    /// Looks at the sessions, opens the faces, and starts them. If one does not start, none stays. The worker must be run for the
    /// daemon to do anything but look.
    ///
    /// # Cancellation
    /// Dropping the future kills what was started.
    pub async fn start(parts: Parts) -> Result<(Arc<Self>, Worker), Problem> {
        let Parts { project, workerd, times, runtime, router, output, watcher, registries, ingress } = parts;
        let (runtime, table) = (Arc::new(runtime), router.links().clone());
        let failed = |error| Problem::new(Code::Failed, format!("cannot watch processes: {error}"));
        let audience = Arc::new(Audience::new(table.clone(), output, watcher));
        let host =
            Host::new(workerd, &project.root, runtime.clone(), audience.clone(), times).map_err(failed)?;
        let host = Arc::new(host);
        let project = survey(&host, project, None).await.map_err(wrong)?;
        let port = runtime.tools_port();
        let tools = router.serve_sessions(&port).map_err(|error| {
            Problem::new(Code::Failed, format!("cannot listen at {}: {error}", port.display()))
        })?;
        let front = front(&router, ingress)?;
        let fakes = Fakes::new(router.clone(), runtime.folder().to_owned());
        let faces = Faces::new(router.clone(), runtime.clone());
        let mut desk = Desk {
            table: table.clone(),
            router: router.clone(),
            faces,
            runtime: runtime.clone(),
            grace: times.drain,
        };
        desk.faces.bind(&project).map_err(wrong)?;
        desk.prepare(&plan::plan(None, &project, &table.snapshot()))?;
        let sink = audience.clone();
        let control = RuntimeDir::control_socket(runtime.folder());
        let folders = registries.clone().into();
        let (joined, handle) = Joined::new(&router, sink.clone(), runtime, registries);
        let sessions = Sessions::start(host.clone(), sink, router.clone(), &project)
            .await
            .map_err(|failures| Problem::new(Code::StartFailed, failures.to_string()))?;
        let projects = Projects::new(project.clone());
        let project = Arc::new(ArcSwap::from_pointee(project));
        let (commands, queue) = mpsc::channel(QUEUE);
        let stopping = CancellationToken::new();
        let daemon = Self {
            table,
            router,
            project: project.clone(),
            control,
            guests: watch::Sender::new(Guests::new()),
            last_guest: AtomicU64::new(0),
            fakes,
            port,
            _tools: tools,
            front,
            started: SystemTime::now(),
            commands,
            joined: handle,
            registries: folders,
            stopping: stopping.clone(),
            changes: TaskTracker::new(),
        };
        Ok((
            Arc::new(daemon),
            Worker {
                host,
                project,
                projects,
                audience,
                sessions,
                desk,
                joined: Some(joined),
                left: Vec::new(),
                commands: queue,
                stopping,
            },
        ))
    }

    /// Returns when nothing has run for a while that this daemon is there for.
    ///
    /// # Cancellation
    /// Safe.
    pub async fn idle(&self) {
        let (mut joined, mut guests) = (self.joined.idle.clone(), self.guests.subscribe());
        loop {
            let is_idle = *joined.borrow_and_update() && guests.borrow_and_update().is_empty();
            let changed = async {
                tokio::select! {
                    changed = joined.changed() => changed,
                    changed = guests.changed() => changed,
                }
            };
            // Whoever started us for a command asks for it at once; the next command comes soon after the last.
            let wait = if is_idle { LINGER } else { Duration::MAX };
            match tokio::time::timeout(wait, changed).await {
                Err(_) if is_idle && self.project.load().sessions.is_empty() => return,
                Err(_) | Ok(Ok(())) => {}
                Ok(Err(_)) => return,
            }
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| worker::going_down())?;
        answer.await.map_err(|_| worker::going_down())
    }

    fn known(&self, now: &Snapshot) -> Known {
        Known {
            router: self.router.clone(),
            project: self.project.load_full(),
            registries: self.registries.clone(),
            urls: self
                .front
                .as_ref()
                .map(|front| -> facts::Urls { Box::new(Front::urls(front.port(), now)) }),
        }
    }

    fn leases(&self) -> impl Fn(&LinkName) -> usize {
        |link| self.router.shared().leased_by(link)
    }

    /// The answer to a change, when all that began before it is over if that is waited for.
    async fn changed(&self, moved: Moved, names: &[LinkName], wait: bool) -> Changed {
        if wait {
            moved.settled(&*self.router).await;
        }
        rows::changed(&self.table.snapshot(), moved.revision, names, self.leases())
    }

    fn see_through(
        &self,
        changes: Vec<Change>,
        expected: Option<Revision>,
        cut: bool,
    ) -> impl Future<Output = Result<Moved, Problem>> + use<> {
        let (table, router) = (self.table.clone(), self.router.clone());
        let task = self.changes.spawn(async move {
            retarget(&table, &*router, &*router, changes, expected, cut).await.map_err(Problem::from)
        });
        async move {
            task.await.unwrap_or_else(|error| {
                Err(Problem::new(Code::Failed, format!("the change failed: {error}")))
            })
        }
    }
}

impl Operator for Daemon {
    fn status(&self) -> Status {
        let snapshot = self.table.snapshot();
        let sessions = snapshot.sessions();
        let Counts { began, parked, failed, broken, cut } = self.router.shared().counts();
        let is_up = |state: &SessionState| matches!(state, SessionState::Up(_));
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            project: self.project.load().file.clone(),
            port: self.port.clone(),
            ingress: self.front.as_ref().map(|front| format!("http://localhost:{}/", front.port())),
            since_ms: millis(self.started),
            revision: snapshot.revision,
            sessions: sessions.len(),
            sessions_up: sessions.iter().filter(|session| is_up(&session.state)).count(),
            links: snapshot.links().len(),
            events: Events { began, parked, failed, broken, cut },
        }
    }

    fn sessions(&self) -> SessionRows {
        let now = self.table.snapshot();
        rows::sessions(&now, &self.known(&now))
    }

    fn links(&self) -> LinkRows {
        rows::links(&self.table.snapshot(), self.leases())
    }

    async fn explain(&self, asked: String) -> Result<Explanation, Problem> {
        let now = self.table.snapshot();
        let known = self.known(&now);
        // It reads registries, which may lie on a slow disk.
        let explained = tokio::task::spawn_blocking(move || explain::explain(&asked, &now, &known));
        explained
            .await
            .map_err(|error| Problem::new(Code::Failed, format!("it cannot be explained: {error}")))?
    }

    async fn change(&self, request: ChangeRequest) -> Result<Changed, Problem> {
        if self.stopping.is_cancelled() {
            return Err(worker::going_down());
        }
        let now = self.table.snapshot();
        let changes = request.changes.iter().cloned().map(|Move { link, target, props }| {
            let link = LinkName::new(now.meant(link.session), link.binding);
            (link, Aim { session: now.meant(target.session), ..target }, props)
        });
        let changes: Vec<_> = changes.collect();
        let names: Vec<_> = changes.iter().map(|(link, ..)| link.clone()).collect();
        let changes = changes.into_iter().map(|(link, to, props)| Change::Retarget { link, to, props });
        let moved = self.see_through(changes.collect(), request.expected_revision, request.cut).await?;
        Ok(self.changed(moved, &names, request.wait).await)
    }

    async fn fake(&self, mut request: FakeRequest) -> Result<Changed, Problem> {
        if self.stopping.is_cancelled() {
            return Err(worker::going_down());
        }
        let now = self.table.snapshot();
        for link in &mut request.links {
            link.session = now.meant(link.session.clone());
        }
        let Staged { offered, changes } = self.fakes.stage(&request)?;
        let moving = self.see_through(changes, request.expected_revision, request.cut);
        let (router, stopping) = (self.router.clone(), self.stopping.clone());
        let (tell, moved) = oneshot::channel();
        // Whoever asked may go away meanwhile: the fake stays as long as links lead to it.
        self.changes.spawn(async move {
            let moved = moving.await;
            // One that nothing leads to is gone before that is told.
            let offered = moved.is_ok().then_some(offered);
            let _ = tell.send(moved);
            if let Some(offered) = offered {
                fakes::keep(offered, router, stopping).await;
            }
        });
        let moved = moved.await.map_err(|_| Problem::new(Code::Failed, "the fake failed"))??;
        Ok(self.changed(moved, &request.links, request.wait).await)
    }

    async fn run(&self, run: Run) -> Result<Running, Problem> {
        let (reply, answer) = oneshot::channel();
        self.joined.asks.send(Ask::Run(run, reply)).await.map_err(|_| worker::going_down())?;
        answer.await.map_err(|_| worker::going_down())?
    }

    fn places(&self, Places { session, texts }: Places) -> Placed {
        let (session, project) = (self.table.snapshot().meant(session), self.project.load());
        let compiled = project.session(&session).and_then(|spec| spec.compiled.as_ref());
        match compiled.and_then(|compiled| compiled.source_map.as_ref()) {
            Some(map) => Placed { texts: texts.iter().map(|text| map.back(text)).collect() },
            None => Placed { texts },
        }
    }

    fn dev(self: Arc<Self>, request: Request) -> Result<(u64, Telling), Problem> {
        if self.stopping.is_cancelled() {
            return Err(worker::going_down());
        }
        let (teller, telling) = telling();
        let number = self.last_guest.fetch_add(1, Relaxed) + 1;
        let (daemon, busy) = (self.clone(), Busy::new(&self.guests, number));
        self.changes.spawn(Guest { daemon, request: Arc::new(request), teller, busy }.run());
        Ok((number, telling))
    }

    fn end_dev(&self, EndDev { guest }: EndDev) -> Result<Ending, Problem> {
        match self.guests.borrow().get(&guest) {
            Some(end) => end.cancel(),
            None => return Err(Problem::new(Code::NotFound, format!("there is no guest {guest}"))),
        }
        Ok(Ending { pid: std::process::id() })
    }

    async fn attach(&self, attach: Attach) -> Result<Attached, Problem> {
        let (reply, answer) = oneshot::channel();
        self.joined.asks.send(Ask::Attach(attach, reply)).await.map_err(|_| worker::going_down())?;
        answer.await.map_err(|_| worker::going_down())?
    }

    async fn reload(&self) -> Result<Reloaded, Problem> {
        self.ask(Command::Reload).await?
    }

    async fn end(&self) -> Ending {
        self.stopping.cancelled().await;
        Ending { pid: std::process::id() }
    }

    async fn down(&self) -> Result<Stopped, Problem> {
        self.stopping.cancel();
        self.ask(Command::Down).await
    }
}

/// A port that nobody asked for is no reason not to start.
fn front(router: &Router, port: Option<u16>) -> Result<Option<Front>, Problem> {
    match (router.serve_front(port), port) {
        (Ok(front), _) => Ok(Some(front)),
        (Err(error), None) => {
            tracing::warn!(%error, "there is no port for browsers");
            Ok(None)
        }
        (Err(error), Some(port)) => {
            let text = format!("cannot listen at port {port} of 127.0.0.1 and ::1 for browsers: {error}");
            Err(Problem::new(Code::Failed, text)
                .hint("give another --ingress-port, or 0 for one that is free"))
        }
    }
}

fn wrong(error: impl Into<Problem>) -> Problem {
    error.into().hint("nothing was started; put it right and try again")
}
