use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{SetOnce, oneshot};

use super::error::RpcError;
use super::queue::{Member, Op};
use super::stub::{Place, Stub};
use crate::rpc::{ConnId, TableSizes};
use crate::wire::exception::Exception;

/// What a connection's handles share with the task.
pub(super) struct Line {
    /// Whom it leads to, for messages.
    pub name: String,
    conn: Mutex<Option<ConnId>>,
    closing: AtomicBool,
    /// Its peer broke the protocol.
    hostile: AtomicBool,
    ended: SetOnce<Exception>,
}

impl Line {
    pub fn new(name: String) -> Arc<Self> {
        Arc::new(Line {
            name,
            conn: Mutex::default(),
            closing: AtomicBool::default(),
            hostile: AtomicBool::default(),
            ended: SetOnce::new(),
        })
    }

    /// Its id, while it is open.
    pub fn conn(&self) -> Option<ConnId> {
        *self.conn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn open(&self, conn: ConnId) {
        *self.conn.lock().unwrap_or_else(PoisonError::into_inner) = Some(conn);
    }

    pub fn end(&self, reason: Exception) {
        *self.conn.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // The first reason is the one that counts.
        let _ = self.ended.set(reason);
    }

    /// Its peer broke the protocol. Said before the end.
    pub fn mark_hostile(&self) {
        self.hostile.store(true, Ordering::Release);
    }

    /// Why it ended.
    pub fn reason(&self) -> Exception {
        self.ended.get().cloned().unwrap_or_else(|| Exception::disconnected("The connection is not open."))
    }
}

/// One connection of a [`Peer`](super::Peer). Dropping the handle does not close it.
#[derive(Clone)]
pub struct Connection {
    pub(super) member: Member,
    pub(super) line: Arc<Line>,
}

impl Connection {
    /// What the far side serves. Asked for when it is first used, and then pipelined: that costs no round trip.
    /// Each call of this method asks anew, so keep the stub.
    pub fn bootstrap(&self) -> Stub {
        Stub::new(self.member.clone(), Place::Bootstrap(self.line.clone()))
    }

    /// Waits until the connection has ended, and says why.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn closed(&self) -> Exception {
        tokio::select! {
            reason = self.line.ended.wait() => reason.clone(),
            _ = self.member.ended.wait() => self.line.reason(),
        }
    }

    /// Whether it has not ended, as far as its task knows.
    pub fn is_open(&self) -> bool {
        !self.line.ended.initialized() && !self.member.ended.initialized()
    }

    /// Whether it has ended because its peer broke the protocol: that speaks something else.
    pub fn was_hostile(&self) -> bool {
        self.line.hostile.load(Ordering::Acquire)
    }

    /// Ends the connection. Who waits for something of it is told that it was closed.
    pub fn close(&self) {
        if !self.line.closing.swap(true, Ordering::Relaxed) {
            self.member.give_back(Op::Close(self.line.clone()));
        }
    }

    /// How much the connection's tables hold.
    ///
    /// # Errors
    /// The peer's task has ended.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn sizes(&self) -> Result<TableSizes, RpcError> {
        let (reply, answer) = oneshot::channel();
        let op = Op::Inspect { line: Some(self.line.clone()), reply };
        self.member.push(op).map_err(|_| RpcError::Ended)?;
        let inventory = answer.await.map_err(|_| RpcError::Ended)?;
        Ok(inventory.sizes)
    }
}
