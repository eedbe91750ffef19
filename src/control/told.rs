//! What whoever keeps sessions is told while they run.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::problem::Problem;
use super::shape::{LinkRow, Reloaded, SessionRow, State};
use crate::session::{InFlight, Level, OutputSink, SessionName, SessionSink, SessionState};

/// One event: a line of `up --json` and `dev --json`, and of the answer to `POST /v1/dev`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Told {
    /// Nothing runs yet.
    Starting {
        /// The project file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<PathBuf>,
        /// wrangler's configurations.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        configs: Vec<PathBuf>,
        /// What runs the sessions.
        workerd: Program,
    },
    /// A session has another state.
    Session {
        /// Which.
        session: SessionName,
        /// Whether it takes events.
        state: State,
        /// The generation that does.
        generation: Option<u64>,
        /// Why it does not.
        why: Option<String>,
    },
    /// A session has written a line.
    Output {
        /// Which.
        session: SessionName,
        /// How much it matters.
        level: Level,
        /// Without its end.
        line: String,
    },
    /// Something is not as it should be, and no reason not to run.
    Warned {
        /// What, where, and what to do.
        message: String,
    },
    /// All sessions are up.
    Ready {
        /// The daemon's socket.
        control: PathBuf,
        /// Where browsers find a list of all sessions.
        ingress: Option<String>,
        /// Those that were to be started.
        sessions: Vec<SessionRow>,
        /// Their links.
        links: Vec<LinkRow>,
    },
    /// Something was changed and is in force.
    Reloaded(Reloaded),
    /// Something was changed that cannot be used; what ran before still runs.
    ReloadFailed {
        /// Why not.
        error: Problem,
    },
    /// A session cannot start before its old process has ended: both store the same objects.
    Waiting {
        /// Which.
        session: SessionName,
        /// What the old process still answers.
        calls: usize,
        /// Its WebSockets, which get less time.
        web_sockets: usize,
        /// How long that takes at most.
        at_most_ms: u64,
    },
    /// Calls that have begun may end.
    Stopping {},
    /// Nothing runs any more.
    Stopped {},
}

/// An executable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// As it says itself.
    pub version: String,
}

impl Told {
    /// A session and its state.
    pub fn state(session: &SessionName, state: &SessionState) -> Self {
        let (state, generation, why) = match state {
            SessionState::Starting => (State::Starting, None, None),
            SessionState::Up(generation) => (State::Up, Some(generation.number), None),
            SessionState::Down { why } => (State::Down, None, Some(why.clone())),
        };
        Self::Session { session: session.clone(), state, generation, why }
    }

    /// A session that waits for its old process.
    pub fn waiting(session: &SessionName, in_flight: InFlight, at_most: Duration) -> Self {
        let InFlight { calls, web_sockets } = in_flight;
        let at_most_ms = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX);
        Self::Waiting { session: session.clone(), calls, web_sockets, at_most_ms }
    }
}

/// From this many events on, sessions wait before they write more lines.
const ROOM: usize = 256;

/// Tells one client. What it was not told yet waits in order: a few events, and lines, of which each stream of a session
/// adds one at most once there is no room.
#[derive(Clone, Debug)]
pub struct Teller(Arc<Queue>);

/// What a client is told. Dropping it tells the [`Teller`] that nobody listens any more.
#[derive(Debug)]
pub struct Telling(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<Waiting>,
    /// For the one that listens.
    more: Notify,
    /// For those that wait for room, or for the end.
    less: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    told: VecDeque<Told>,
    /// Nothing comes any more.
    ended: bool,
    /// Nobody listens any more.
    closed: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something is so. What is `less` when it is looked at is told of.
    async fn until(&self, is_so: impl Fn(&Waiting) -> bool) {
        loop {
            let mut less = std::pin::pin!(self.less.notified());
            less.as_mut().enable();
            if is_so(&self.state()) {
                return;
            }
            less.await;
        }
    }
}

/// Both ends.
pub fn telling() -> (Teller, Telling) {
    let queue = Arc::new(Queue::default());
    (Teller(queue.clone()), Telling(queue))
}

impl Teller {
    /// One event.
    pub fn tell(&self, told: Told) {
        let mut state = self.0.state();
        if !state.closed {
            state.told.push_back(told);
            drop(state);
            self.0.more.notify_one();
        }
    }

    /// Returns when there is room for a line, or nobody who could read it.
    pub async fn room(&self) {
        self.0.until(|state| state.closed || state.told.len() < ROOM).await;
    }

    /// The last event was told.
    pub fn end(&self) {
        self.0.state().ended = true;
        self.0.more.notify_one();
    }

    /// Whether nothing that is told arrives any more.
    pub(super) fn is_over(&self) -> bool {
        let state = self.0.state();
        state.ended || state.closed
    }

    /// Returns when nobody listens any more.
    ///
    /// # Cancellation
    /// Safe.
    pub(super) async fn closed(&self) {
        self.0.until(|state| state.closed).await;
    }
}

impl OutputSink for Teller {
    fn line(&self, session: &SessionName, level: Level, line: &str) {
        self.tell(Told::Output { session: session.clone(), level, line: line.to_owned() });
    }

    fn room(&self, _session: &SessionName) -> BoxFuture<'static, ()> {
        let teller = self.clone();
        async move { teller.room().await }.boxed()
    }
}

impl SessionSink for Teller {
    fn publish(&self, session: &SessionName, state: SessionState) {
        self.tell(Told::state(session, &state));
    }

    fn waiting(&self, session: &SessionName, in_flight: InFlight, at_most: Duration) {
        self.tell(Told::waiting(session, in_flight, at_most));
    }
}

impl Telling {
    /// The next event; `None` after the last.
    ///
    /// # Cancellation
    /// Safe: an event that was not returned is the next one.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            {
                let mut state = self.0.state();
                if let Some(told) = state.told.pop_front() {
                    drop(state);
                    self.0.less.notify_waiters();
                    return Some(told);
                }
                if state.ended {
                    return None;
                }
            }
            self.0.more.notified().await;
        }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        state.told.clear();
        drop(state);
        self.0.less.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_lost_and_whoever_fills_it_waits() {
        let (teller, mut telling) = telling();
        for _ in 0..ROOM {
            teller.tell(Told::Stopping {});
        }
        assert!(teller.room().now_or_never().is_none());
        let room = teller.room();
        assert_eq!(telling.next().await, Some(Told::Stopping {}));
        room.await;
        teller.tell(Told::Stopped {});
        teller.end();
        for _ in 1..ROOM {
            assert_eq!(telling.next().await, Some(Told::Stopping {}));
        }
        assert_eq!((telling.next().await, telling.next().await), (Some(Told::Stopped {}), None));
        assert!(teller.closed().now_or_never().is_none());
        drop(telling);
        teller.closed().await;
    }

    #[test]
    fn an_event_reads_as_it_is_written() {
        let session: SessionName = "api@main".parse().unwrap();
        for told in [
            Told::Output { session: session.clone(), level: Level::Error, line: "x".to_owned() },
            Told::Session { session, state: State::Down, generation: None, why: Some("gone".to_owned()) },
            Told::Reloaded(Reloaded::default()),
            Told::Stopped {},
        ] {
            let text = serde_json::to_string(&told).unwrap();
            assert_eq!(serde_json::from_str::<Told>(&text).unwrap(), told, "{text}");
        }
    }
}
