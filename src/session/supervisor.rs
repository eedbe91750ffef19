//! All sessions of a run: started together, changed together, stopped together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::host::Host;
use super::keeper::{Command, Keeper, Shared};
use super::leaving::{End, InFlight, Leaving};
use super::name::SessionName;
use super::process::{Running, StartError};
use super::project::{Project, SessionSpec};
use super::state::{Generation, SessionSink, SessionState};

/// Commands that wait for one keeper. Each is answered before its sender goes on.
const QUEUE: usize = 4;

/// Knows which generations still have calls.
pub trait Drain: Send + Sync + 'static {
    /// Ends when nothing is in flight to `generation`, which gets no new events any more. It may never end: the caller
    /// stops waiting after a while.
    fn drained(&self, generation: &Arc<Generation>) -> BoxFuture<'static, ()>;

    /// The same, but WebSockets do not count: they end when one of their ends likes.
    fn answered(&self, generation: &Arc<Generation>) -> BoxFuture<'static, ()> {
        self.drained(generation)
    }

    /// Breaks those WebSockets.
    fn hang_up(&self, _generation: &Arc<Generation>) {}

    /// What is in flight now.
    fn in_flight(&self, generation: &Arc<Generation>) -> InFlight;
}

/// Why sessions do not run as they were declared.
#[derive(Debug)]
pub struct StartFailures(pub Vec<StartError>);

impl fmt::Display for StartFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{failure}")?;
        }
        Ok(())
    }
}

impl std::error::Error for StartFailures {}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Sessions that were not there before.
    pub started: Vec<SessionName>,
    /// Sessions with a new generation.
    pub replaced: Vec<SessionName>,
    /// Sessions that are declared no more.
    pub stopped: Vec<SessionName>,
    /// Sessions whose process already does what is declared.
    pub unchanged: Vec<SessionName>,
}

/// The sessions of a run, and the owner of their tasks. Dropping it kills their processes; [`Sessions::stop`] lets
/// their calls end.
pub struct Sessions {
    shared: Arc<Shared>,
    kept: BTreeMap<SessionName, Kept>,
    keepers: JoinSet<()>,
    /// Sessions that were removed and may still have calls.
    leaving: Vec<Leaving>,
}

struct Kept {
    spec: SessionSpec,
    commands: mpsc::Sender<Command>,
    end: End,
    ended: CancellationToken,
}

/// One session of a reload that needs a process.
struct Prepared {
    spec: SessionSpec,
    /// `None` if the old process has to end first.
    running: Option<Running>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kept.keys()).finish()
    }
}

impl Sessions {
    /// Starts all sessions of a project at once. If one does not start, none stays.
    ///
    /// # Cancellation
    /// Dropping the future kills what was started.
    pub async fn start(
        host: Arc<Host>,
        sink: Arc<dyn SessionSink>,
        drain: Arc<dyn Drain>,
        project: &Project,
    ) -> Result<Self, StartFailures> {
        let shared = Arc::new(Shared::new(host, sink, drain));
        let mut sessions =
            Self { shared, kept: BTreeMap::new(), keepers: JoinSet::new(), leaving: Vec::new() };
        sessions.apply(project).await?;
        Ok(sessions)
    }

    /// Makes the running sessions those of `project`. New processes are started first; if one does not start, nothing
    /// has changed.
    pub async fn apply(&mut self, project: &Project) -> Result<Applied, StartFailures> {
        let applied = self.bring_up(project).await?;
        Ok(Applied { stopped: self.take_down(project), ..applied })
    }

    /// The first half of [`Sessions::apply`]: what `project` declares runs, and all that it does not name still does.
    pub async fn bring_up(&mut self, project: &Project) -> Result<Applied, StartFailures> {
        self.reap();
        let mut applied = Applied::default();
        let (mut wanted, mut same) = (Vec::new(), Vec::new());
        for spec in &project.sessions {
            match self.kept.get(&spec.name) {
                Some(kept) if kept.spec.serves_for(spec) => {
                    applied.unchanged.push(spec.name.clone());
                    same.push(spec);
                }
                Some(_) => wanted.push(spec),
                None => {
                    self.shared.publish(&spec.name, SessionState::Starting);
                    wanted.push(spec);
                }
            }
        }
        let prepared = self.prepare(wanted).await?;
        for spec in same {
            self.lead_back(spec).await;
        }
        let mut failures = Vec::new();
        for Prepared { spec, running } in prepared {
            let name = spec.name.clone();
            let is_new = !self.kept.contains_key(&name);
            match self.commit(spec, running).await {
                Ok(()) if is_new => applied.started.push(name),
                Ok(()) => applied.replaced.push(name),
                Err(error) => failures.push(error),
            }
        }
        if failures.is_empty() { Ok(applied) } else { Err(StartFailures(failures)) }
    }

    /// The second half: sessions that `project` does not name are stopped, once their calls have ended. Returns them.
    pub fn take_down(&mut self, project: &Project) -> Vec<SessionName> {
        let gone = |name: &&SessionName| project.session(name).is_none();
        let gone: Vec<_> = self.kept.keys().filter(gone).cloned().collect();
        for name in &gone {
            if let Some(kept) = self.kept.remove(name) {
                kept.end.calmly.cancel();
                let Kept { spec, end: End { at_once, .. }, ended, .. } = kept;
                let times = &self.shared.host.times;
                let until = Instant::now() + times.drain + times.terminate;
                self.leaving.push(Leaving { spec, until, ended, at_once });
            }
        }
        gone
    }

    /// Sessions that were taken down and have not ended.
    pub fn leaving(&mut self) -> &[Leaving] {
        self.reap();
        &self.leaving
    }

    /// Ends the current process of a session as a crash would. False if there is no such session.
    pub async fn kill(&self, session: &SessionName) -> bool {
        match self.kept.get(session) {
            Some(kept) => kept.commands.send(Command::Kill).await.is_ok(),
            None => false,
        }
    }

    /// Lets calls end up to the grace time, then ends all processes and waits for them. Faces must be closed before.
    pub async fn stop(mut self) {
        for kept in self.kept.values() {
            kept.end.calmly.cancel();
        }
        while let Some(ended) = self.keepers.join_next().await {
            report(ended);
        }
    }

    fn reap(&mut self) {
        while let Some(ended) = self.keepers.try_join_next() {
            report(ended);
        }
        self.leaving.retain(|old| !old.ended.is_cancelled());
    }

    async fn prepare(&self, specs: Vec<&SessionSpec>) -> Result<Vec<Prepared>, StartFailures> {
        let results = join_all(specs.into_iter().map(|spec| self.prepare_one(spec))).await;
        let (mut prepared, mut failures) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(one) => prepared.push(one),
                Err(failure) => failures.push(failure),
            }
        }
        if failures.is_empty() {
            return Ok(prepared);
        }
        for Prepared { spec, .. } in &prepared {
            self.forget_if_new(&spec.name, "another session of the project did not start");
        }
        let end = |running: Running| running.end(CancellationToken::new());
        join_all(prepared.into_iter().filter_map(|one| one.running).map(end)).await;
        Err(StartFailures(failures))
    }

    async fn prepare_one(&self, spec: &SessionSpec) -> Result<Prepared, StartError> {
        let old = self.kept.get(&spec.name);
        if old.is_some_and(|old| old.spec.excludes(spec)) {
            return Ok(Prepared { spec: spec.clone(), running: None });
        }
        join_all(self.leaving.iter().filter(|old| old.holds_up(spec)).map(Leaving::ended)).await;
        let started = self.shared.start(spec).await;
        if started.is_err() {
            // Why is said where the error goes.
            self.forget_if_new(&spec.name, "it does not start");
        }
        Ok(Prepared { spec: spec.clone(), running: Some(started?) })
    }

    fn forget_if_new(&self, session: &SessionName, why: &str) {
        if !self.kept.contains_key(session) {
            self.shared.publish(session, SessionState::Down { why: why.to_owned() });
        }
    }

    /// An edited comment makes the same bundle of sources whose lines are others.
    async fn lead_back(&mut self, spec: &SessionSpec) {
        let (Some(compiled), Some(kept)) = (&spec.compiled, self.kept.get_mut(&spec.name)) else { return };
        let known = kept.spec.compiled.as_ref().and_then(|known| known.source_map.as_ref());
        if known == compiled.source_map.as_ref() {
            return;
        }
        let (reply, answer) = oneshot::channel();
        let command = Command::LeadBack { compiled: compiled.clone(), reply };
        if kept.commands.send(command).await.is_ok() && answer.await.is_ok() {
            kept.spec.compiled = Some(compiled.clone());
        }
    }

    async fn commit(&mut self, spec: SessionSpec, running: Option<Running>) -> Result<(), StartError> {
        let Some(kept) = self.kept.get_mut(&spec.name) else {
            // A new session always comes with its process: there is no old one that shares its objects.
            if let Some(running) = running {
                self.keep(spec, running);
            }
            return Ok(());
        };
        let (reply, answer) = oneshot::channel();
        let prepared = running.map(Box::new);
        let command = Command::Replace { spec: Box::new(spec.clone()), prepared, reply };
        let told = kept.commands.send(command).await.is_ok();
        match answer.await {
            Ok(Ok(())) => {
                kept.spec = spec;
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                tracing::error!(session = %spec.name, told, "a session's task is gone");
                Ok(())
            }
        }
    }

    fn keep(&mut self, spec: SessionSpec, running: Running) {
        let (commands, queue) = mpsc::channel(QUEUE);
        let end = End::default();
        let keeper = Keeper::new(self.shared.clone(), spec.clone(), running, queue, end.clone());
        let ended = CancellationToken::new();
        let last = ended.clone().drop_guard();
        self.keepers.spawn(async move {
            let _last = last;
            keeper.run().await;
        });
        self.kept.insert(spec.name.clone(), Kept { spec, commands, end, ended });
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the task of a session failed");
    }
}
