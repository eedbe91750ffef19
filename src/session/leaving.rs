//! Sessions that nobody declares any more, and whose calls may still end.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::name::SessionName;
use super::project::SessionSpec;

/// What takes no longer than this need not be told.
pub const INSTANT: Duration = Duration::from_millis(200);

/// What a process still has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Requests that are being answered, and callers with RPC sessions.
    pub calls: usize,
    /// WebSockets that are known as such: not those inside an RPC session.
    pub web_sockets: usize,
}

/// A session that was taken down: its process is there until its calls have ended, or their time has.
#[derive(Clone, Debug)]
pub struct Leaving {
    pub(super) spec: SessionSpec,
    /// When it has ended at the latest.
    pub until: Instant,
    pub(super) ended: CancellationToken,
    pub(super) at_once: CancellationToken,
}

impl Leaving {
    /// Its name, which a successor may have already.
    pub fn session(&self) -> &SessionName {
        &self.spec.name
    }

    /// Whether that session can start only after this one has ended.
    pub fn holds_up(&self, successor: &SessionSpec) -> bool {
        self.spec.name == successor.name && self.spec.excludes(successor) && !self.ended.is_cancelled()
    }

    /// Returns when nothing is left of it.
    ///
    /// # Cancellation
    /// Safe.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Its calls break now.
    pub fn end_at_once(&self) {
        self.at_once.cancel();
    }
}

/// How a session is told to end.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    /// Once its calls have.
    pub(super) calmly: CancellationToken,
    /// Whatever its calls do.
    pub(super) at_once: CancellationToken,
}
