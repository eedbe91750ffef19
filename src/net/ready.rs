use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use futures::task::AtomicWaker;

use crate::rpc::ConnId;

/// Which connections of a driver can go on: so that a wake-up costs the same with one and with a hundred of them.
#[derive(Default)]
pub(super) struct ReadySet {
    queue: Mutex<Vec<ConnId>>,
    task: AtomicWaker,
}

impl ReadySet {
    pub fn register(&self, waker: &Waker) {
        self.task.register(waker);
    }

    /// Takes the connections that were woken, into `into`.
    pub fn take(&self, into: &mut Vec<ConnId>) {
        into.clear();
        std::mem::swap(into, &mut self.queue.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn push(&self, conn: ConnId) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        self.task.wake();
    }
}

/// Wakes the driver's task for one connection.
pub(super) struct ConnWaker {
    conn: ConnId,
    queued: AtomicBool,
    set: Arc<ReadySet>,
}

impl ConnWaker {
    pub fn new(conn: ConnId, set: Arc<ReadySet>) -> Arc<Self> {
        Arc::new(ConnWaker { conn, queued: AtomicBool::new(false), set })
    }

    pub fn conn(&self) -> ConnId {
        self.conn
    }

    /// The connection was taken out of the set; the next wake puts it in again.
    pub fn taken(&self) {
        self.queued.store(false, Ordering::Release);
    }
}

impl Wake for ConnWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.set.push(self.conn);
        }
    }
}
