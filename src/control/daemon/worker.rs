//! The one task that starts, replaces and stops: what it does is done in the order in which it was asked for.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::REMEMBER;
use super::audience::Audience;
use super::faces::Faces;
use super::joined::Joined;
use super::plan::{Plan, plan, relinked};
use super::projects::Projects;
use crate::control::problem::{Code, Problem};
use crate::control::shape::{Reloaded, Stopped};
use crate::control::told::Teller;
use crate::router::{Change, Links, Origin, Router, Snapshot, retarget};
use crate::session::{Host, Leaving, Project, RuntimeDir, SessionName, Sessions, survey};

/// Who asks waits for the answer, so this is the number of operators at a time.
pub(super) const QUEUE: usize = 16;

/// What the worker can be asked for.
pub(super) enum Command {
    /// Reads the daemon's own project again.
    Reload(oneshot::Sender<Result<Reloaded, Problem>>),
    /// Runs the project of a guest instead of what it ran before.
    Guest {
        number: u64,
        project: Project,
        teller: Teller,
        reply: oneshot::Sender<Result<Reloaded, Problem>>,
    },
    /// Ends the sessions of a guest, once their calls have; the answer is those, and does not wait for it.
    Leave {
        number: u64,
        reply: oneshot::Sender<Result<Vec<Leaving>, Problem>>,
    },
    /// Says which sessions are ending.
    Leaving(oneshot::Sender<Vec<Leaving>>),
    Down(oneshot::Sender<Stopped>),
}

/// Owns the sessions of a run. Dropping it kills them; [`Worker::run`] stops them when it is told to.
pub struct Worker {
    pub(super) host: Arc<Host>,
    /// All that runs, as one.
    pub(super) project: Arc<ArcSwap<Project>>,
    pub(super) projects: Projects,
    pub(super) audience: Arc<Audience>,
    pub(super) sessions: Sessions,
    pub(super) desk: Desk,
    /// What others started; it works beside all that is done here.
    pub(super) joined: Option<Joined>,
    /// Sessions of guests that have left, and when.
    pub(super) left: Vec<(SessionName, Instant)>,
    pub(super) commands: mpsc::Receiver<Command>,
    /// Cancelled when a stop is on its way, so that it need not wait for a reload.
    pub(super) stopping: CancellationToken,
}

/// What the worker works on besides the sessions.
pub(super) struct Desk {
    pub(super) table: Arc<Links>,
    pub(super) router: Arc<Router>,
    pub(super) faces: Faces,
    pub(super) runtime: Arc<RuntimeDir>,
    /// How long events in flight may take to end when all is stopped.
    pub(super) grace: Duration,
}

impl Worker {
    /// Works until it is told to stop; then stops the sessions, closes the faces, removes the folder, and answers.
    ///
    /// # Cancellation
    /// Dropping the future is the second Ctrl-C: processes are killed, calls in progress break, the folder is removed.
    pub async fn run(mut self) {
        let mut beside = JoinSet::new();
        if let Some(joined) = self.joined.take() {
            beside.spawn(joined.run());
        }
        let mut stopped_for = Vec::new();
        loop {
            let forget = self.left.first().map(|(_, left)| *left + REMEMBER);
            let command = tokio::select! {
                biased;
                command = self.commands.recv() => command,
                () = until(forget) => {
                    self.forget();
                    continue;
                }
            };
            let Some(command) = command else { break };
            match command {
                // Who asked may have gone; it is done all the same.
                Command::Reload(reply) => {
                    let done = unless(self.stopping.clone(), self.reload()).await;
                    let _ = reply.send(done);
                }
                Command::Guest { number, project, teller, reply } => {
                    let done = unless(self.stopping.clone(), self.guest(number, project, teller)).await;
                    let _ = reply.send(done);
                }
                Command::Leave { number, reply } => {
                    let done = unless(self.stopping.clone(), self.leave(number)).await;
                    let _ = reply.send(done);
                }
                Command::Leaving(reply) => drop(reply.send(self.sessions.leaving().to_vec())),
                Command::Down(reply) => {
                    stopped_for.push(reply);
                    break;
                }
            }
        }
        let Self { host, project, sessions, desk, mut commands, .. } = self;
        // They hold the private folder, which is to go with the sessions.
        drop(host);
        beside.shutdown().await;
        let names: Vec<_> = project.load().sessions.iter().map(|spec| spec.name.clone()).collect();
        desk.stop(sessions).await;
        commands.close();
        while let Some(command) = commands.recv().await {
            match command {
                Command::Reload(reply) | Command::Guest { reply, .. } => drop(reply.send(Err(going_down()))),
                Command::Leave { reply, .. } => drop(reply.send(Err(going_down()))),
                Command::Leaving(reply) => drop(reply),
                Command::Down(reply) => stopped_for.push(reply),
            }
        }
        for reply in stopped_for {
            let _ = reply.send(Stopped { pid: std::process::id(), sessions: names.clone() });
        }
    }

    async fn reload(&mut self) -> Result<Reloaded, Problem> {
        let old = self.projects.own.clone();
        let project = load(old.file.clone()).await?;
        self.projects.admit(None, &project, &self.desk.table.snapshot()).map_err(unchanged)?;
        let project = survey(&self.host, project, Some(&old)).await.map_err(unchanged)?;
        self.apply(self.projects.with_own(project)).await
    }

    async fn guest(&mut self, number: u64, project: Project, teller: Teller) -> Result<Reloaded, Problem> {
        self.projects.admit(Some(number), &project, &self.desk.table.snapshot())?;
        let before = self.projects.guest(number).cloned();
        let trusted = trust_bundles(project.clone(), before.as_ref());
        let surveyed = survey(&self.host, trusted, before.as_ref()).await?;
        let applied = self.apply(self.projects.with_guest(number, surveyed, teller)).await;
        if applied.as_ref().is_err_and(|problem| problem.code == Code::StartFailed) {
            // What is wrong with a script is told best by a look at it.
            survey(&self.host, project, before.as_ref()).await?;
        }
        applied
    }

    async fn leave(&mut self, number: u64) -> Result<Vec<Leaving>, Problem> {
        if self.projects.guest(number).is_none() {
            return Ok(Vec::new());
        }
        let removed = self.apply(self.projects.without_guest(number)).await?.removed;
        let leaving = self.sessions.leaving().iter();
        Ok(leaving.filter(|old| removed.contains(old.session())).cloned().collect())
    }

    /// Makes what runs that which is wanted, all of it or nothing.
    async fn apply(&mut self, projects: Projects) -> Result<Reloaded, Problem> {
        self.audience.seat(projects.tellers(), &projects.own);
        let applied = self.become_all(projects.all()).await;
        match applied.is_ok() {
            true => self.projects = projects,
            false => self.audience.seat(self.projects.tellers(), &self.projects.own),
        }
        applied
    }

    async fn become_all(&mut self, project: Project) -> Result<Reloaded, Problem> {
        let old = self.project.load_full();
        let plan = plan(Some(&old), &project, &self.desk.table.snapshot());
        let bound = self.desk.faces.bind(&project).map_err(unchanged);
        if let Err(problem) = bound.and_then(|()| self.desk.prepare(&plan)) {
            self.desk.faces.settle(&old);
            return Err(problem);
        }
        let applied = match self.sessions.bring_up(&project).await {
            Ok(applied) => applied,
            Err(failures) => {
                self.desk.undo(plan);
                self.desk.faces.settle(&old);
                return Err(unchanged(Problem::new(Code::StartFailed, failures.to_string())));
            }
        };
        // Whatever leads to a session that goes is led elsewhere before it does.
        self.desk.faces.settle(&project);
        let Plan { before, after, close, .. } = plan;
        let now = self.desk.table.snapshot();
        let moved = relinked(&before.into_iter().chain(after.clone()).collect::<Vec<_>>(), &now);
        let router = &*self.desk.router;
        let in_force = retarget(&self.desk.table, router, router, after, None, false).await?;
        close.iter().for_each(|face| self.desk.faces.close(face));
        let removed = self.sessions.take_down(&project);
        self.remember(&removed, &project, &now);
        self.project.store(Arc::new(project));
        Ok(Reloaded {
            revision: in_force.revision,
            added: applied.started,
            restarted: applied.replaced,
            removed,
            relinked: moved,
        })
    }

    /// What guests leave behind keeps its name's meaning for a while, and may be anybody's.
    fn remember(&mut self, removed: &[SessionName], project: &Project, now: &Snapshot) {
        self.left.retain(|(session, _)| project.session(session).is_none());
        let is_guest =
            |session: &&SessionName| now.session(session).is_some_and(|known| known.origin == Origin::Dev);
        for session in removed.iter().filter(is_guest) {
            let change = Change::Originate(session.clone(), Origin::Left);
            if let Err(error) = self.desk.table.change(vec![change], None) {
                tracing::debug!(%session, %error, "a session whose command has ended is not let go");
            }
            self.left.push((session.clone(), Instant::now()));
        }
    }

    /// Takes sessions away whose guests left long ago. One that somebody was linked to on purpose stays.
    fn forget(&mut self) {
        let is_due = |(_, left): &(SessionName, Instant)| left.elapsed() >= REMEMBER;
        for (session, _) in self.left.extract_if(.., |left| is_due(left)).collect::<Vec<_>>() {
            let known = self.desk.table.snapshot();
            if known.session(&session).is_none_or(|known| known.origin != Origin::Left) {
                continue;
            }
            if let Err(error) = self.desk.table.change(vec![Change::DropSession(session.clone())], None) {
                tracing::debug!(%session, %error, "a session whose command has ended stays");
            }
        }
    }
}

/// Takes what bundles say of their exports for sessions that replace none: a trial takes as long as their start. One that
/// is replaced may have to end first, so its successor is tried before.
fn trust_bundles(mut project: Project, before: Option<&Project>) -> Project {
    for spec in &mut project.sessions {
        if before.is_none_or(|before| before.session(&spec.name).is_none()) {
            spec.exports = spec.compiled.as_ref().and_then(|compiled| compiled.exports.clone());
        }
    }
    project
}

/// `None` is never.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

impl Desk {
    /// Opens faces and puts new sessions and links into the table; all of it or nothing.
    pub(super) fn prepare(&mut self, plan: &Plan) -> Result<(), Problem> {
        let opened = plan.open.iter().try_for_each(|face| {
            let failed = |error| Problem::new(Code::Failed, format!("{face} cannot be opened: {error}"));
            self.faces.open(face).map_err(failed)
        });
        let done = opened.and_then(|()| Ok(self.table.change(plan.before.clone(), None).map(drop)?));
        if done.is_err() {
            plan.open.iter().for_each(|face| self.faces.close(face));
        }
        done
    }

    fn undo(&mut self, plan: Plan) {
        // Refused only if an operator moved a link to one of the new sessions meanwhile. Then the session stays in the
        // table, down, and the next reload deals with it.
        if let Err(error) = self.table.change(plan.undo, None) {
            tracing::warn!(%error, "a failed reload leaves traces in the link table");
        }
        plan.open.iter().for_each(|face| self.faces.close(face));
    }

    async fn stop(self, sessions: Sessions) {
        let Self { router, faces, runtime, grace, .. } = self;
        // First what callers wait for, then the processes: in this order every answer still finds its way.
        router.stop(grace).await;
        sessions.stop().await;
        drop(faces);
        // The last owner: with it the folder goes, and the next daemon may come.
        if Arc::into_inner(runtime).is_none() {
            tracing::warn!("somebody still holds the private folder; it goes with the process");
        }
    }
}

/// Reads the project on a thread that may block.
async fn load(file: PathBuf) -> Result<Project, Problem> {
    let loaded = tokio::task::spawn_blocking(move || Project::load(&file)).await;
    let loaded =
        loaded.map_err(|error| Problem::new(Code::Failed, format!("reading the project failed: {error}")))?;
    loaded.map_err(unchanged)
}

/// What is begun when a stop comes is given up.
async fn unless<T>(
    stopping: CancellationToken,
    done: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    stopping.run_until_cancelled(done).await.unwrap_or_else(|| Err(going_down()))
}

fn unchanged(error: impl Into<Problem>) -> Problem {
    error.into().hint("what ran before still runs; put it right and reload again")
}

pub(super) fn going_down() -> Problem {
    Problem::new(Code::Stopping, "the daemon is stopping").hint("start it again with `jackfield up`")
}
