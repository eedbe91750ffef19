//! One guest: wrangler's projects, as long as the command that brought them listens.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Daemon;
use super::worker::Command;
use crate::control::operator::Operator;
use crate::control::problem::{Code, Problem};
use crate::control::shape::Reloaded;
use crate::control::told::{Teller, Told};
use crate::session::wrangler::{self, Lasting, Loaded, Request, Watch};
use crate::session::{OutputSink, Project, SessionName};

/// Said after whatever cannot be used.
const NEXT: &str = "it is tried again when something changes";

/// Counted as long as it is there.
pub(super) struct Busy(watch::Sender<usize>);

impl Busy {
    pub(super) fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Keeps the sessions of a guest: compiles them, runs them, does so again when a source changes, until nobody listens or
/// the daemon stops.
pub(super) struct Guest {
    pub(super) daemon: Arc<Daemon>,
    pub(super) number: u64,
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
        if self.daemon.stopping.is_cancelled() {
            self.teller.tell(Told::Stopping {});
            self.daemon.commands.closed().await;
            self.teller.tell(Told::Stopped {});
        } else {
            // Refused only by a daemon that has begun to stop, and then its sessions stop with all others.
            let _ = self.apply(Project::default()).await;
        }
        self.teller.end();
        drop(self.busy);
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
        let (number, teller, applied) = (self.number, self.teller.clone(), project.clone());
        let reloaded =
            self.daemon.ask(|reply| Command::Guest { number, project: applied, teller, reply }).await??;
        Ok((project, reloaded))
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
