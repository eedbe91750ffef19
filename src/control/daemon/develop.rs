//! One guest: wrangler's projects, as long as the command that brought them listens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Daemon;
use super::worker::Command;
use crate::control::operator::Operator;
use crate::control::problem::{Code, Problem};
use crate::control::shape::Reloaded;
use crate::control::told::{Teller, Told};
use crate::session::wrangler::{self, Lasting, Loaded, Request, Watch};
use crate::session::{INSTANT, Leaving, OutputSink, Project, SessionName};

/// Said after whatever cannot be used.
const NEXT: &str = "it is tried again when something changes";

/// What ends each guest, by its number.
pub(super) type Guests = BTreeMap<u64, CancellationToken>;

/// A guest's place among them, as long as it is there.
pub(super) struct Busy {
    guests: watch::Sender<Guests>,
    number: u64,
    end: CancellationToken,
}

impl Busy {
    pub(super) fn new(guests: &watch::Sender<Guests>, number: u64) -> Self {
        let end = CancellationToken::new();
        guests.send_modify(|guests| drop(guests.insert(number, end.clone())));
        Self { guests: guests.clone(), number, end }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.guests.send_modify(|guests| drop(guests.remove(&self.number)));
    }
}

/// Keeps the sessions of a guest: compiles them, runs them, does so again when a source changes, until that is to end,
/// nobody listens, or the daemon stops.
pub(super) struct Guest {
    pub(super) daemon: Arc<Daemon>,
    pub(super) request: Arc<Request>,
    pub(super) teller: Teller,
    pub(super) busy: Busy,
}

impl Guest {
    pub(super) async fn run(self) {
        match self.keep().await {
            Ok(()) => {}
            Err(error) => self.teller.tell(Told::ReloadFailed { error }),
        }
        let is_asked = self.busy.end.is_cancelled() || self.daemon.stopping.is_cancelled();
        if is_asked {
            self.teller.tell(Told::Stopping {});
        }
        let ended = self.leave().await;
        if self.daemon.stopping.is_cancelled() {
            // Its sessions stop with all others.
            self.daemon.commands.closed().await;
        } else if let Err(error) = ended {
            tracing::warn!(%error, "what a command has left runs on");
        }
        if is_asked {
            self.teller.tell(Told::Stopped {});
        }
        self.teller.end();
        drop(self.busy);
    }

    /// Ends the sessions, once their calls have. Who asked for it and does not listen to the end has no patience with
    /// them; who was lost has not said so.
    async fn leave(&self) -> Result<(), Problem> {
        let number = self.busy.number;
        let leaving = self.daemon.ask(|reply| Command::Leave { number, reply }).await??;
        let ended = join_all(leaving.iter().map(Leaving::ended));
        let impatient = async {
            match self.busy.end.is_cancelled() {
                true => self.teller.closed().await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = ended => return Ok(()),
            () = impatient => leaving.iter().for_each(Leaving::end_at_once),
        }
        join_all(leaving.iter().map(Leaving::ended)).await;
        Ok(())
    }

    async fn keep(&self) -> Result<(), Problem> {
        let mut watch = Watch::new().map_err(|error| {
            Problem::new(Code::Failed, format!("cannot watch the sources: {error}"))
                .hint("the system has a limit of watches: look at fs.inotify.max_user_instances")
        })?;
        let (mut lasting, mut running) = (Lasting::default(), None);
        watch.follow(wrangler::sources(&self.request, &lasting, None), Vec::new());
        loop {
            let tried = tokio::select! {
                biased;
                () = self.over() => return Ok(()),
                tried = self.attempt(std::mem::take(&mut lasting)) => tried,
            };
            let failed = tried.project.is_err();
            match (tried.project, running.is_some()) {
                (Ok((project, _)), false) => {
                    self.teller.tell(self.ready(&project));
                    running = Some(project);
                }
                (Ok((project, reloaded)), true) => {
                    self.teller.tell(Told::Reloaded(reloaded));
                    running = Some(project);
                }
                (Err(error), _) => self.teller.tell(Told::ReloadFailed { error: error.hint(NEXT) }),
            }
            lasting = tried.lasting;
            let below = wrangler::folders(&self.request, &lasting, failed);
            watch.follow(wrangler::sources(&self.request, &lasting, running.as_ref()), below);
            tokio::select! {
                biased;
                () = self.over() => return Ok(()),
                () = watch.changed() => {}
            }
        }
    }

    async fn over(&self) {
        tokio::select! {
            () = self.teller.closed() => {}
            () = self.busy.end.cancelled() => {}
            () = self.daemon.stopping.cancelled() => {}
        }
    }

    /// # Cancellation
    /// The compiler is ended; what was applied stays.
    async fn attempt(&self, mut lasting: Lasting) -> Attempt {
        let (request, given_up) = (self.request.clone(), CancellationToken::new());
        let _gives_up = given_up.clone().drop_guard();
        let (teller, runtime) = (self.teller.clone(), Handle::current());
        let loaded = tokio::task::spawn_blocking(move || {
            let tell = |session: &SessionName, level, line: &str| {
                runtime.block_on(teller.room());
                teller.line(session, level, line);
            };
            (wrangler::load(&request, &mut lasting, &tell, &|| !given_up.is_cancelled()), lasting)
        });
        let loaded = loaded.await;
        match loaded {
            Ok((Ok(Loaded { project, warnings }), lasting)) => {
                warnings.into_iter().for_each(|message| self.teller.tell(Told::Warned { message }));
                Attempt { project: self.apply(project).await, lasting }
            }
            Ok((Err(error), lasting)) => Attempt { project: Err(error.into()), lasting },
            Err(error) => {
                let error = Problem::new(Code::Failed, format!("compiling failed: {error}"));
                Attempt { project: Err(error), lasting: Lasting::default() }
            }
        }
    }

    async fn apply(&self, project: Project) -> Result<(Project, Reloaded), Problem> {
        self.predecessors(&project).await?;
        let (number, teller, applied) = (self.busy.number, self.teller.clone(), project.clone());
        let reloaded =
            self.daemon.ask(|reply| Command::Guest { number, project: applied, teller, reply }).await??;
        Ok((project, reloaded))
    }

    /// Waits for sessions that another command has left, and that have to end first. The worker could do that as well, but
    /// does one thing at a time, and nobody could be told.
    ///
    /// # Cancellation
    /// Safe.
    async fn predecessors(&self, project: &Project) -> Result<(), Problem> {
        let mut leaving = self.daemon.ask(Command::Leaving).await?;
        let holds_up = |old: &Leaving| project.sessions.iter().any(|spec| old.holds_up(spec));
        leaving.retain(holds_up);
        let mut ended = std::pin::pin!(join_all(leaving.iter().map(Leaving::ended)));
        if timeout(INSTANT, &mut ended).await.is_ok() {
            return Ok(());
        }
        for old in leaving.iter().filter(|old| holds_up(old)) {
            let in_flight = self.daemon.router.shared().in_flight(old.session(), None);
            let at_most = old.until.saturating_duration_since(Instant::now());
            self.teller.tell(Told::waiting(old.session(), in_flight, at_most));
        }
        ended.await;
        Ok(())
    }

    fn ready(&self, project: &Project) -> Told {
        let own: BTreeSet<&SessionName> = project.sessions.iter().map(|spec| &spec.name).collect();
        let daemon = &self.daemon;
        let (mut sessions, mut links) = (daemon.sessions().sessions, daemon.links().links);
        sessions.retain(|row| own.contains(&row.session));
        links.retain(|row| own.contains(&row.link.session));
        Told::Ready { control: daemon.control.clone(), ingress: daemon.status().ingress, sessions, links }
    }
}

struct Attempt {
    project: Result<(Project, Reloaded), Problem>,
    lasting: Lasting,
}
