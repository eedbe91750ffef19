//! What is counted, or told, as long as it is held.

use std::sync::{Arc, Mutex};

use futures::task::AtomicWaker;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::router::{Link, LinkName, Revision};
use crate::session::{Generation, SessionName};

/// Counts one event as waiting until it is dropped.
pub(in crate::router) struct Waits {
    pub(super) shared: Arc<Shared>,
    pub(super) link: LinkName,
}

impl Drop for Waits {
    fn drop(&mut self) {
        let mut waiting = self.shared.lock_waiting();
        if let Some(count) = waiting.get_mut(&self.link) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.link);
            }
        }
    }
}

/// What a caller's engine is told from other threads.
#[derive(Default)]
pub(in crate::router::switch) struct Mailbox {
    pub waker: AtomicWaker,
    /// Links whose leases from before a revision have to break. Bounded by the operator's commands.
    pub cuts: Mutex<Vec<(LinkName, Revision)>>,
}

/// A caller's place among those who are told.
pub(in crate::router::switch) struct Membership {
    pub(super) shared: Arc<Shared>,
    pub(super) key: usize,
    pub mailbox: Arc<Mailbox>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.shared.lock_callers().try_remove(self.key);
    }
}

/// What a lease is counted under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub link: LinkName,
    pub revision: Revision,
    pub session: SessionName,
    pub number: u64,
}

/// Counts one lease, or one HTTP event, as held until it is dropped.
pub(in crate::router) struct Ticket {
    pub(super) shared: Arc<Shared>,
    pub(super) held: Arc<Held>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut leases = self.shared.lock_leases();
        if let Some(count) = leases.get_mut(&self.held) {
            *count -= 1;
            if *count == 0 {
                leases.remove(&self.held);
            }
        }
        drop(leases);
        self.shared.lease_returned.notify_waiters();
    }
}

/// An HTTP event, as long as its [`Cuttable`] is there.
pub(super) struct HttpEvent {
    pub link: Arc<Link>,
    pub generation: Arc<Generation>,
    pub token: CancellationToken,
    /// It has become a WebSocket.
    pub stands: bool,
}

/// The token of an HTTP event, known to [`Shared::cut`] until this is dropped.
pub(in crate::router) struct Cuttable {
    pub(super) shared: Arc<Shared>,
    pub(super) key: usize,
    pub(super) token: CancellationToken,
}

impl Cuttable {
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// The event is a WebSocket from now on.
    pub fn stands(&self) {
        if let Some(event) = self.shared.lock_cuttable().get_mut(self.key) {
            event.stands = true;
        }
        self.shared.lease_returned.notify_waiters();
    }
}

impl Drop for Cuttable {
    fn drop(&mut self) {
        self.shared.lock_cuttable().try_remove(self.key);
    }
}
