//! One worker of a process that we did not start.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::client::{ConnectError, Session};
use crate::net::Endpoint;
use crate::registry::Entry;
use crate::router::Origin;
use crate::session::{self, Listener, Release, SessionName, scope};

/// How soon to look again for a listener that is not there yet. A session registers and listens within milliseconds.
const FIRST_LOOK: Duration = Duration::from_millis(5);
/// One that registered and never listens is looked for this often.
const LAST_LOOK: Duration = Duration::from_millis(500);

/// How long a debug port may take to say that it is one. It needs a millisecond; one that does not say so meanwhile stands
/// still, or is none.
const PROOF: Duration = Duration::from_secs(1);
/// How long it is waited for then. Whoever stands at a breakpoint says it after that.
const LATE_PROOF: Duration = Duration::from_secs(3600);
/// How soon to look again at what is no debug port: another program may come to listen there, and this one should not
/// be bothered.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// Where a session was heard of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// It runs under `jackfield run` with that number.
    Run(u64),
    /// It registered where everybody does.
    Registry(PathBuf),
    /// An operator named its debug port.
    Attached,
}

impl Source {
    pub fn origin(&self) -> Origin {
        match self {
            Self::Run(_) => Origin::Run,
            Self::Registry(_) => Origin::Registry,
            Self::Attached => Origin::Attached,
        }
    }
}

/// A worker that joined, or will.
pub(super) struct Member {
    pub source: Source,
    /// The file's name in its registry.
    pub worker: String,
    pub entry: Entry,
    /// What it is called as a session, if that is free.
    pub name: String,
    /// Where it runs: told by the command that it runs under, or seen when it listens.
    pub scope: Option<String>,
    /// What it is, once it is one. A file in a registry may be all that is left of a session, so it has no name until
    /// somebody listens; and the project, or a successor elsewhere, may take the name away.
    pub session: Option<SessionName>,
    /// Tells its news from those of its predecessors.
    pub id: u64,
    /// When it ended, if it has.
    pub ended: Option<std::time::Instant>,
    /// Whether its registry still says so.
    pub is_registered: bool,
    /// Ends with it.
    pub watch: AbortHandle,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// What is learned of a member's generation.
#[derive(Debug)]
pub(super) struct News {
    pub id: u64,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// Nobody listens yet.
    Missing(String),
    /// It listens, and runs in a checkout of that scope.
    Up { listener: Option<Listener>, scope: Option<String>, release: Option<Release> },
    /// It listens no more, or should not be called.
    Ended(String),
}

/// Follows one generation of a service until it ends; one that was attached, whose port stays the same, until it is told
/// to stop.
///
/// # Cancellation
/// Nothing is told after that.
pub(super) async fn follow(
    id: u64,
    port: Endpoint,
    service: String,
    is_registered: bool,
    news: mpsc::Sender<News>,
) {
    let tell = |what| news.send(News { id, what });
    let mut wait = FIRST_LOOK;
    loop {
        // Whoever is told has gone only if nobody wants to know any more.
        if let Err(error) = port.connect() {
            if wait == FIRST_LOOK {
                let _ = tell(What::Missing(format!("nobody listens at {port} yet: {error}"))).await;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LAST_LOOK);
            continue;
        }
        let at = port.clone();
        let looked = tokio::task::spawn_blocking(move || look(&at)).await;
        let (listener, scope, release) = looked.unwrap_or_default();
        let tell_late =
            || tell(What::Missing(format!("{port} listens, but does not answer as a debug port so far")));
        match prove(&port, listener.as_ref(), tell_late).await {
            Proof::Given(session) => {
                if let Some(session) = session
                    && session.exports(&service, None).await == Ok(false)
                {
                    let advice = match is_registered {
                        true => "its tool has registered what it does not run",
                        false => {
                            "attach it again with `--service` and the name of the worker in its configuration"
                        }
                    };
                    let why = format!("{port} has no service `{service}`; {advice}");
                    let _ = tell(What::Missing(why)).await;
                    tokio::time::sleep(LAST_CHANCE).await;
                    continue;
                }
            }
            Proof::Refuted => {
                let _ = tell(What::Missing(format!("{port} listens, but is no debug port"))).await;
                tokio::time::sleep(LAST_CHANCE).await;
                continue;
            }
            Proof::Missing => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LAST_LOOK);
                continue;
            }
        }
        if is_registered && listener.as_ref().is_some_and(Listener::is_orphan) {
            let why = "its tool has ended and left it behind, so it serves old code";
            let _ = tell(What::Ended(why.to_owned())).await;
            return;
        }
        let _ = tell(What::Up { listener: listener.clone(), scope, release }).await;
        let why = session::ended(&port, listener.as_ref().filter(|_| is_registered)).await;
        let _ = tell(What::Ended(why)).await;
        if is_registered {
            // Its successor registers anew.
            return;
        }
        wait = FIRST_LOOK;
    }
}

/// Whether what listens is a debug port.
enum Proof {
    /// Over that session, unless it is stopped.
    Given(Option<Session>),
    Refuted,
    /// It has gone meanwhile.
    Missing,
}

/// Asks what listens for what only a debug port knows, and no worker. One that says nothing, and is not stopped, is told of
/// as `late`, and waited for.
async fn prove<F: Future>(port: &Endpoint, listener: Option<&Listener>, late: impl FnOnce() -> F) -> Proof {
    let address = port.into();
    let mut asked = std::pin::pin!(Session::connect_within(&address, LATE_PROOF));
    let answered = match tokio::time::timeout(PROOF, &mut asked).await {
        Ok(answered) => answered,
        // It cannot answer, and has been one for whoever registered it.
        Err(_) if listener.is_some_and(|listener| session::is_stopped(listener.pid)) => {
            return Proof::Given(None);
        }
        Err(_) => {
            late().await;
            asked.await
        }
    };
    match answered {
        Ok(session) => Proof::Given(Some(session)),
        Err(ConnectError::NotDebugPort { .. }) => Proof::Refuted,
        // Either it has just ended, which the next look shows, or it speaks something else.
        Err(ConnectError::Vanished { .. }) if port.connect().is_ok() => Proof::Refuted,
        Err(_) => Proof::Missing,
    }
}

/// Who listens, the scope of where that runs, and what. Reads much of /proc.
fn look(port: &Endpoint) -> (Option<Listener>, Option<String>, Option<Release>) {
    let listener = Listener::of(port);
    let folder = listener.as_ref().and_then(Listener::folder);
    let scope = folder.and_then(|folder| scope::of_folder(&folder));
    let release = listener.as_ref().and_then(|listener| Release::of_process(listener.pid));
    (listener, scope, release)
}

/// What [`News`] are told to, and how many may wait there: sessions begin and end one by one.
pub(super) const NEWS: usize = 64;
