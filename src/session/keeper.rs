//! The task that keeps one session running: restarts it when it falls, replaces it when it is told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::host::Host;
use super::leaving::{End, INSTANT};
use super::name::SessionName;
use super::process::{Ended, Running, StartError};
use super::project::{Compiled, SessionSpec};
use super::state::{Generation, SessionSink, SessionState};
use super::supervisor::Drain;

/// What the keepers of all sessions share.
pub(super) struct Shared {
    pub(super) host: Arc<Host>,
    pub(super) sink: Arc<dyn SessionSink>,
    pub(super) drain: Arc<dyn Drain>,
    /// For every session that ever was, so that no number and no socket path comes twice.
    last: Mutex<HashMap<SessionName, Last>>,
}

/// A start that comes to nothing makes no generation, and still nobody may meet its sockets again.
#[derive(Default)]
struct Last {
    start: u64,
    generation: u64,
}

impl Shared {
    pub(super) fn new(host: Arc<Host>, sink: Arc<dyn SessionSink>, drain: Arc<dyn Drain>) -> Self {
        Self { host, sink, drain, last: Mutex::default() }
    }

    fn next(&self, session: &SessionName, counter: impl FnOnce(&mut Last) -> &mut u64) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counter(last.entry(session.clone()).or_default());
        *counter += 1;
        *counter
    }

    pub(super) async fn start(&self, spec: &SessionSpec) -> Result<Running, StartError> {
        let start = self.next(&spec.name, |last| &mut last.start);
        Running::start(&self.host, spec, start).await
    }

    /// Lets events go to a process from now on.
    fn serve(&self, running: &mut Running) {
        let session = running.generation().session.clone();
        let generation = running.serve(self.next(&session, |last| &mut last.generation));
        self.publish(&session, SessionState::Up(generation));
    }

    pub(super) fn publish(&self, session: &SessionName, state: SessionState) {
        self.sink.publish(session, state);
    }
}

/// What a keeper can be told.
pub(super) enum Command {
    /// Run this from now on. A process that is up already comes along, unless the session stores objects: then the old
    /// one has to end first.
    Replace {
        spec: Box<SessionSpec>,
        prepared: Option<Box<Running>>,
        reply: oneshot::Sender<Result<(), StartError>>,
    },
    /// The process is as it should be, and its sources have other lines.
    LeadBack { compiled: Arc<Compiled>, reply: oneshot::Sender<()> },
    /// End the process as a crash would.
    Kill,
}

pub(super) struct Keeper {
    shared: Arc<Shared>,
    spec: SessionSpec,
    now: Now,
    /// Starts and falls in a row without a healthy generation between them.
    failures: u32,
    commands: mpsc::Receiver<Command>,
    end: End,
    /// Old generations whose calls are still running.
    retiring: JoinSet<()>,
}

enum Now {
    Up { running: Box<Running>, since: Instant },
    Down { restart_at: Instant },
}

enum Event {
    Stop,
    Told(Command),
    Ended(Ended),
    RestartDue,
}

impl Keeper {
    /// For a process that is up already.
    pub(super) fn new(
        shared: Arc<Shared>,
        spec: SessionSpec,
        mut running: Running,
        commands: mpsc::Receiver<Command>,
        end: End,
    ) -> Self {
        shared.serve(&mut running);
        let now = Now::Up { running: Box::new(running), since: Instant::now() };
        Self { shared, spec, now, failures: 0, commands, end, retiring: JoinSet::new() }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.event().await {
                Event::Stop => return self.end().await,
                Event::Told(Command::Replace { spec, prepared, reply }) => {
                    let done = self.replace(*spec, prepared).await;
                    // Who asked may have gone; what was asked for is done.
                    let _ = reply.send(done);
                }
                Event::Told(Command::LeadBack { compiled, reply }) => {
                    if let Now::Up { running, .. } = &self.now {
                        running.lead_back_by(compiled.clone());
                    }
                    self.spec.compiled = Some(compiled);
                    let _ = reply.send(());
                }
                Event::Told(Command::Kill) => {
                    if let Now::Up { running, .. } = &mut self.now {
                        running.kill();
                    }
                }
                Event::Ended(ended) => self.fell(ended),
                Event::RestartDue => self.restart().await,
            }
        }
    }

    async fn event(&mut self) -> Event {
        loop {
            let of_process = async {
                match &mut self.now {
                    Now::Up { running, .. } => Event::Ended(running.exited().await),
                    Now::Down { restart_at } => {
                        sleep_until(*restart_at).await;
                        Event::RestartDue
                    }
                }
            };
            tokio::select! {
                biased;
                () = self.end.calmly.cancelled() => return Event::Stop,
                told = self.commands.recv() => return told.map_or(Event::Stop, Event::Told),
                event = of_process => return event,
                Some(_) = self.retiring.join_next() => {}
            }
        }
    }

    fn fell(&mut self, ended: Ended) {
        let (generation, since) = match &self.now {
            Now::Up { running, since } => (running.generation().number, *since),
            Now::Down { .. } => return,
        };
        if since.elapsed() >= self.shared.host.times.healthy {
            self.failures = 0;
        }
        self.wait_to_restart(format!("workerd {ended} (generation {generation})"));
    }

    /// The first failure after a healthy time costs no pause.
    fn wait_to_restart(&mut self, why: String) {
        let times = &self.shared.host.times;
        let pause = match self.failures {
            0 => Duration::ZERO,
            failures => {
                let doubled = times.first_pause.saturating_mul(1 << failures.min(16).saturating_sub(1));
                doubled.min(times.longest_pause)
            }
        };
        self.failures = self.failures.saturating_add(1);
        self.now = Now::Down { restart_at: Instant::now() + pause };
        let next = if pause.is_zero() { "at once".to_owned() } else { format!("in {pause:?}") };
        self.publish(SessionState::Down { why: format!("{why}; it is started again {next}") });
    }

    async fn restart(&mut self) {
        self.publish(SessionState::Starting);
        let started = self.start(&self.spec).await;
        match started {
            Ok(running) => self.up(running),
            Err(error) => self.wait_to_restart(error.to_string()),
        }
    }

    /// A start takes as long as the process likes; a stop does not wait for it.
    async fn start(&self, spec: &SessionSpec) -> Result<Running, StartError> {
        tokio::select! {
            biased;
            () = self.end.calmly.cancelled() => Err(StartError::Stopped { session: spec.name.clone() }),
            started = self.shared.start(spec) => started,
        }
    }

    fn up(&mut self, mut running: Running) {
        self.shared.serve(&mut running);
        self.now = Now::Up { running: Box::new(running), since: Instant::now() };
    }

    async fn replace(&mut self, spec: SessionSpec, prepared: Option<Box<Running>>) -> Result<(), StartError> {
        self.failures = 0;
        if let Some(running) = prepared {
            let old = std::mem::replace(&mut self.now, Now::Down { restart_at: Instant::now() });
            self.spec = spec;
            // New events must find the new generation before the old one is asked whether it is idle.
            self.up(*running);
            if let Now::Up { running, .. } = old {
                self.retire(*running);
            }
            return Ok(());
        }
        self.publish(SessionState::Starting);
        let old = std::mem::replace(&mut self.now, Now::Down { restart_at: Instant::now() });
        if let Now::Up { running, .. } = old {
            let calls = handed_over(self.shared.clone(), running.generation().clone());
            retire(*running, calls, self.end.at_once.clone()).await;
        }
        // One that was replaced earlier may still be on its way out with the same objects.
        while self.retiring.join_next().await.is_some() {}
        match self.start(&spec).await {
            Ok(running) => {
                self.spec = spec;
                self.up(running);
                Ok(())
            }
            // It was surveyed, and still the new one does not start: back to the old one.
            Err(error) => {
                self.restart().await;
                Err(error)
            }
        }
    }

    /// The second phase of a shutdown: the first closed the faces, so no new calls come.
    async fn end(mut self) {
        self.publish(SessionState::Down { why: "it was stopped".to_owned() });
        let now = std::mem::replace(&mut self.now, Now::Down { restart_at: Instant::now() });
        if let Now::Up { running, .. } = now {
            self.retire(*running);
        }
        while self.retiring.join_next().await.is_some() {}
    }

    fn retire(&mut self, running: Running) {
        let calls = self.shared.drain.drained(running.generation());
        let calls = timeout(self.shared.host.times.drain, calls).map(drop);
        self.retiring.spawn(retire(running, calls, self.end.at_once.clone()));
    }

    fn publish(&self, state: SessionState) {
        self.shared.publish(&self.spec.name, state);
    }
}

/// Lets the calls of a generation end by themselves for a while while everybody waits for its successor, and says so.
async fn handed_over(shared: Arc<Shared>, generation: Arc<Generation>) {
    let Shared { sink, drain, host, .. } = &*shared;
    let times = &host.times;
    let without_sockets = async {
        sleep(times.hand_over_sockets).await;
        drain.answered(&generation).await;
    };
    let over = async {
        tokio::select! {
            () = drain.drained(&generation) => {}
            () = without_sockets => {}
        }
    };
    let tell = async {
        sleep(INSTANT).await;
        let in_flight = drain.in_flight(&generation);
        let limit = if in_flight.calls == 0 { times.hand_over_sockets } else { times.hand_over };
        sink.waiting(&generation.session, in_flight, (limit + times.terminate).saturating_sub(INSTANT));
        std::future::pending().await
    };
    tokio::select! {
        biased;
        _ = timeout(times.hand_over, over) => {}
        () = tell => {}
    }
    // A process that is asked to end waits for its peers.
    drain.hang_up(&generation);
}

/// Waits for the calls of a generation, then ends its process.
async fn retire(mut running: Running, calls: impl Future<Output = ()>, at_once: CancellationToken) {
    tokio::select! {
        biased;
        () = at_once.cancelled() => {}
        _ = running.exited() => {}
        () = calls => {}
    }
    running.end(at_once).await;
}
