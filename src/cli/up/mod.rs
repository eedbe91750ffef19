//! `jackfield up`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::account::{Account, Written};
use super::failure::Failure;
use super::place::Place;
use super::progress::FetchBar;
use super::settings::{Keep, UpSettings};
use super::signals::{Signals, Wish};
use crate::control::{Daemon, Operator, Parts, Teller, Told, Worker, server};
use crate::registry;
use crate::router::switch::{Settings, TraceFile};
use crate::router::{Links, Router};
use crate::session::{Project, RuntimeDir, Times, workerd};

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
    account: Teller,
    /// Whether it was started for a command, and may go when nothing runs.
    in_background: bool,
}

/// Blocks until the project has been stopped.
pub(super) fn run(settings: UpSettings, as_json: bool) -> Result<(), Failure> {
    let UpSettings { place, keep } = settings;
    let account = Account::new(as_json);
    let project = Project::load(&place.file)
        .map_err(|error| Failure::project(error).hint("nothing was started; put it right and try again"))?;
    // Without a runtime: it may block for as long as npm downloads, and Ctrl-C should simply end it.
    let options = workerd::Options::from_env(&project.root).map_err(Failure::failed)?;
    let found = workerd::locate(&options, &mut FetchBar::default()).map_err(Failure::failed)?;
    account.begins(Some(&project.file), Vec::new(), &found);
    let (account, written) = account.beside()?;
    let prepared = Prepared { project, workerd: found.path, keep, account, in_background: false };
    prepared.told(written)
}

/// The same for a command that needs a daemon. Its standard output tells that command when it is ready, and is closed
/// then.
pub(super) fn in_background(place: Place, ingress: Option<u16>) -> Result<(), Failure> {
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
    let (account, written) = Account::new(true).beside()?;
    let keep = Keep { trace_frames: None, grace: Times::default().drain, ingress };
    let prepared = Prepared { project, workerd, keep, account, in_background: true };
    prepared.told(written)
}

impl Prepared {
    /// Runs, and waits until all that was told is written.
    fn told(self, written: Written) -> Result<(), Failure> {
        let ended = super::runtime()?.block_on(self.run());
        written.wait();
        ended
    }

    async fn run(self) -> Result<(), Failure> {
        let mut signals =
            Signals::new().map_err(|error| Failure::failed(format!("cannot watch signals: {error}")))?;
        let (account, in_background) = (self.account.clone(), self.in_background);
        let started = tokio::select! {
            biased;
            () = signals.stop() => return Err(Failure::failed("stopped before everything was up")),
            started = self.start() => started?,
        };
        keep(started, signals, &account, in_background).await
    }

    async fn start(self) -> Result<Started, Failure> {
        let Self { project, workerd, keep, account, .. } = self;
        let Keep { trace_frames, grace, ingress } = keep;
        let runtime = RuntimeDir::claim(&project.file).map_err(Failure::failed)?;
        let socket = RuntimeDir::control_socket(runtime.folder());
        let router = router(trace_frames.as_deref())?;
        let listener = server::bind(&socket)
            .map_err(|error| Failure::failed(format!("cannot listen at {}: {error}", socket.display())))?;
        let times = Times { drain: grace, ..Times::default() };
        let (output, watcher) = (Arc::new(account.clone()), Arc::new(account.clone()));
        let registries = registry::defaults();
        let parts = Parts { project, workerd, times, runtime, router, output, watcher, registries, ingress };
        let (daemon, worker) = Daemon::start(parts).await?;
        account.tell(Told::Ready {
            control: socket,
            ingress: daemon.status().ingress,
            sessions: daemon.sessions().sessions,
            links: daemon.links().links,
        });
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

/// Answers operators and signals until the daemon has been stopped.
async fn keep(
    started: Started,
    mut signals: Signals,
    account: &Teller,
    in_background: bool,
) -> Result<(), Failure> {
    let Started { daemon, worker, listener } = started;
    let close = CancellationToken::new();
    let mut work = std::pin::pin!(worker.run());
    let mut serve = std::pin::pin!(server::serve(listener, daemon.clone(), close.clone()));
    // Owned here, so that what signals began does not outlive the daemon.
    let mut wishes = JoinSet::new();
    let (mut working, mut stopping) = (true, false);
    loop {
        let wish = tokio::select! {
            biased;
            wish = signals.next() => wish,
            () = daemon.idle(), if in_background && !stopping => Wish::Stop,
            () = &mut work, if working => {
                // All is stopped; what is left are answers on their way to operators.
                working = false;
                close.cancel();
                continue;
            }
            () = &mut serve => break,
            Some(_) = wishes.join_next() => continue,
        };
        let (daemon, account) = (daemon.clone(), account.clone());
        match wish {
            Wish::Reload => {
                wishes.spawn(async move {
                    account.tell(match daemon.reload().await {
                        Ok(reloaded) => Told::Reloaded(reloaded),
                        Err(error) => Told::ReloadFailed { error },
                    });
                });
            }
            Wish::Stop if stopping => {
                return Err(Failure::failed("stopped at once; calls in progress were broken"));
            }
            Wish::Stop => {
                stopping = true;
                account.tell(Told::Stopping {});
                wishes.spawn(async move {
                    drop(daemon.down().await);
                });
            }
        }
    }
    account.tell(Told::Stopped {});
    Ok(())
}
