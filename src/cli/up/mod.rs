//! `jackfield up`

mod account;
mod signals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::place::Place;
use super::progress::FetchBar;
use super::settings::{Keep, UpSettings};
use crate::control::{Daemon, Operator, Parts, Worker, server};
use crate::registry;
use crate::router::switch::{Settings, TraceFile};
use crate::router::{Links, Router};
use crate::session::workerd::Workerd;
use crate::session::wrangler::{self, Request, Watch};
use crate::session::{Project, RuntimeDir, Times, workerd};
use account::Account;
use signals::{Signals, Wish};

/// A daemon that runs, and the socket on which it can be asked.
struct Started {
    daemon: Arc<Daemon>,
    worker: Worker,
    listener: UnixListener,
}

/// What is known before anything runs.
struct Prepared {
    project: Project,
    workerd: PathBuf,
    keep: Keep,
    account: Arc<Account>,
    began: Instant,
    /// Whether it was started for a command, and may go when nothing runs.
    in_background: bool,
    /// What is made again when its sources change.
    watched: Option<Arc<Request>>,
}

/// Blocks until the project has been stopped.
pub(super) fn run(settings: UpSettings, as_json: bool) -> Result<(), Failure> {
    let UpSettings { place, keep } = settings;
    let began = Instant::now();
    let project = Project::load(&place.file)
        .map_err(|error| Failure::project(error).hint("nothing was started; put it right and try again"))?;
    // Without a runtime: it may block for as long as npm downloads, and Ctrl-C should simply end it.
    let options = workerd::Options::from_env(&project.root).map_err(Failure::failed)?;
    let found = workerd::locate(&options, &mut FetchBar::default()).map_err(Failure::failed)?;
    let found = Found { workerd: found, began, keep, watched: None };
    run_project(project, found, as_json)
}

/// With what a project is run.
pub(super) struct Found {
    pub(super) workerd: Workerd,
    pub(super) began: Instant,
    pub(super) keep: Keep,
    /// What is made again when its sources change.
    pub(super) watched: Option<Arc<Request>>,
}

/// Blocks until the project has been stopped.
pub(super) fn run_project(project: Project, found: Found, as_json: bool) -> Result<(), Failure> {
    let Found { workerd, began, keep, watched } = found;
    let account = Arc::new(Account::new(&project, as_json));
    account.begins(&project, &workerd);
    let workerd = workerd.path;
    let prepared = Prepared { project, workerd, keep, account, began, in_background: false, watched };
    super::runtime()?.block_on(prepared.run())
}

/// The same for a command that needs a daemon. Its standard output tells that command when it is ready, and is closed
/// then.
pub(super) fn in_background(place: Place, ingress: Option<u16>) -> Result<(), Failure> {
    let began = Instant::now();
    let there = place.file.exists();
    let project = match there {
        true => Project::load(&place.file).map_err(Failure::project)?,
        false => Project::empty(&place.file),
    };
    let workerd = match project.sessions.is_empty() {
        // Nothing to run, nothing to fetch.
        true => PathBuf::from("workerd"),
        false => {
            let options = workerd::Options::from_env(&project.root).map_err(Failure::failed)?;
            workerd::locate(&options, &mut FetchBar::default()).map_err(Failure::failed)?.path
        }
    };
    let account = Arc::new(Account::new(&project, true));
    let keep = Keep { trace_frames: None, grace: Times::default().drain, ingress };
    let prepared = Prepared { project, workerd, keep, account, began, in_background: true, watched: None };
    super::runtime()?.block_on(prepared.run())
}

impl Prepared {
    async fn run(self) -> Result<(), Failure> {
        let mut signals =
            Signals::new().map_err(|error| Failure::failed(format!("cannot watch signals: {error}")))?;
        let (account, grace, in_background) = (self.account.clone(), self.keep.grace, self.in_background);
        let sources = self.watched.clone().map(|request| Sources::new(request, &self.project)).transpose()?;
        let started = tokio::select! {
            biased;
            () = signals.stop() => return Err(Failure::failed("stopped before everything was up")),
            started = self.start() => started?,
        };
        keep(started, signals, sources, &account, grace, in_background).await
    }

    async fn start(self) -> Result<Started, Failure> {
        let Self { project, workerd, keep, account, began, .. } = self;
        let Keep { trace_frames, grace, ingress } = keep;
        let runtime = RuntimeDir::claim(&project.file).map_err(Failure::failed)?;
        let socket = RuntimeDir::control_socket(runtime.folder());
        let router = router(trace_frames.as_deref())?;
        let listener = server::bind(&socket)
            .map_err(|error| Failure::failed(format!("cannot listen at {}: {error}", socket.display())))?;
        let times = Times { drain: grace, ..Times::default() };
        let (output, watcher) = (account.clone(), account.clone());
        let registries = registry::defaults();
        let parts = Parts { project, workerd, times, runtime, router, output, watcher, registries, ingress };
        let (daemon, worker) = Daemon::start(parts).await?;
        account.ready(
            began.elapsed(),
            &daemon.status(),
            &daemon.sessions().sessions,
            &daemon.links().links,
            &socket,
        );
        Ok(Started { daemon, worker, listener })
    }
}

fn router(trace_frames: Option<&Path>) -> Result<Arc<Router>, Failure> {
    let create = |path: &Path| {
        TraceFile::create(path)
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
    };
    let settings = Settings { trace: trace_frames.map(create).transpose()?, ..Settings::default() };
    Router::start(Arc::new(Links::new()), settings)
        .map_err(|error| Failure::failed(format!("cannot start the threads of the router: {error}")))
}

/// The sources of what runs, and who watches them.
struct Sources {
    request: Arc<Request>,
    watch: Watch,
}

impl Sources {
    fn new(request: Arc<Request>, project: &Project) -> Result<Self, Failure> {
        let watch = Watch::new().map_err(|error| {
            Failure::failed(format!("cannot watch the sources: {error}"))
                .hint("the system has a limit of watches: look at fs.inotify.max_user_instances")
        })?;
        let mut sources = Self { request, watch };
        sources.follow(project, false);
        Ok(sources)
    }

    /// After a reload that failed anything may be what was missing.
    fn follow(&mut self, project: &Project, any: bool) {
        self.watch.follow(wrangler::sources(&self.request, Some(project)), any);
    }
}

async fn changed(sources: Option<&Sources>) {
    match sources {
        Some(sources) => sources.watch.changed().await,
        None => std::future::pending().await,
    }
}

/// Answers operators and signals until the daemon has been stopped.
async fn keep(
    started: Started,
    mut signals: Signals,
    mut sources: Option<Sources>,
    account: &Arc<Account>,
    grace: Duration,
    in_background: bool,
) -> Result<(), Failure> {
    let Started { daemon, worker, listener } = started;
    let close = CancellationToken::new();
    let mut work = std::pin::pin!(worker.run());
    let mut serve = std::pin::pin!(server::serve(listener, daemon.clone(), close.clone()));
    // Owned here, so that what signals began does not outlive the daemon.
    let mut wishes = JoinSet::<Option<bool>>::new();
    let (mut working, mut stopping, mut reloading) = (true, false, false);
    loop {
        let mut unasked = false;
        let wish = tokio::select! {
            biased;
            wish = signals.next() => wish,
            () = changed(sources.as_ref()), if !reloading && !stopping => {
                unasked = true;
                Wish::Reload
            }
            () = daemon.idle(), if in_background && !stopping => Wish::Stop,
            () = &mut work, if working => {
                // All is stopped; what is left are answers on their way to operators.
                working = false;
                close.cancel();
                continue;
            }
            () = &mut serve => break,
            Some(done) = wishes.join_next() => {
                if let Ok(Some(reloaded)) = done {
                    reloading = false;
                    sources.iter_mut().for_each(|sources| sources.follow(&daemon.project(), !reloaded));
                }
                continue;
            }
        };
        let (daemon, account) = (daemon.clone(), account.clone());
        match wish {
            Wish::Reload => {
                reloading = true;
                wishes.spawn(async move {
                    let reloaded = daemon.reload().await;
                    account.reloaded(&reloaded, unasked);
                    Some(reloaded.is_ok())
                });
            }
            Wish::Stop if stopping => {
                return Err(Failure::failed("stopped at once; calls in progress were broken"));
            }
            Wish::Stop => {
                stopping = true;
                account.stopping(grace);
                wishes.spawn(async move {
                    drop(daemon.down().await);
                    None
                });
            }
        }
    }
    account.stopped();
    Ok(())
}
