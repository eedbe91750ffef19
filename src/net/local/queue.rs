//! The one way from handles to the task that owns their engine.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::task::AtomicWaker;
use tokio::sync::{Semaphore, SetOnce, oneshot};

use super::body::Body;
use super::error::RpcError;
use super::line::Line;
use super::peer::Inventory;
use super::pending::Question;
use super::stub::Stub;
use crate::rpc::{CallId, CapId, QuestionId};
use crate::wire::exception::Exception;
use crate::wire::message::Transform;

/// Bytes of calls that may wait for the task, and for peers that read slowly: enough for a stream to be written while
/// the task is away for a turn (64 writes of 64 KiB), and small against what one process may hold.
pub(super) const ROOM: usize = 4 << 20;

/// What a call counts for beside its content: its entries here and in the engine's tables, about this many bytes.
const CALL_BYTES: usize = 512;

/// Something to do for the task.
pub(super) enum Op {
    Call(Box<Asking>),
    // From here on, what never waits for room. Each comes of something that there is: a handle that goes, or somebody
    // who waits for the answer.
    Connect(Box<Connecting>),
    Inspect { line: Option<Arc<Line>>, reply: oneshot::Sender<Inventory> },
    Close(Arc<Line>),
    Respond { call: CallId, body: Body },
    Fail { call: CallId, reason: Exception },
    Lead { call: CallId, path: Transform, to: Stub },
    Forward { call: CallId, frame: Vec<u8>, to: Stub },
    Release(CapId),
    Finish(QuestionId),
}

/// A call on its way out.
pub(super) struct Asking {
    pub target: Stub,
    pub interface: u64,
    pub method: u16,
    pub body: Body,
    pub question: Arc<Question>,
    /// What it took of the room.
    pub cost: usize,
}

/// A connection on its way in.
pub(super) struct Connecting {
    pub fd: OwnedFd,
    pub read: Vec<u8>,
    pub bootstrap: Option<Stub>,
    pub line: Arc<Line>,
}

struct Queue {
    ops: VecDeque<Op>,
    /// The task has seen everything and has to be woken for more.
    idle: bool,
    ending: bool,
    ended: bool,
}

/// What the handles of a peer share with its task.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    room: Semaphore,
    /// The task.
    pub waker: AtomicWaker,
    members: AtomicUsize,
    /// Set when the task is gone.
    pub ended: SetOnce<()>,
}

impl Shared {
    pub fn new() -> Arc<Self> {
        Arc::new(Shared {
            queue: Mutex::new(Queue { ops: VecDeque::new(), idle: false, ending: false, ended: false }),
            room: Semaphore::new(ROOM),
            waker: AtomicWaker::new(),
            members: AtomicUsize::new(0),
            ended: SetOnce::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room for a call with so much content. Returns what it takes; [`Shared::give_room`] gives it back.
    pub async fn take_room(&self, bytes: usize) -> Result<usize, RpcError> {
        // The longest calls pass one at a time.
        let cost = bytes.saturating_add(CALL_BYTES).min(ROOM);
        let permit = self.room.acquire_many(cost as u32).await.map_err(|_| RpcError::Ended)?;
        permit.forget();
        Ok(cost)
    }

    pub fn give_room(&self, cost: usize) {
        self.room.add_permits(cost);
    }

    /// Queues something. Comes back if the task has ended.
    pub fn push(&self, op: Op) -> Result<(), Op> {
        let mut queue = self.lock();
        if queue.ended {
            return Err(op);
        }
        queue.ops.push_back(op);
        let wake = std::mem::take(&mut queue.idle);
        drop(queue);
        if wake {
            self.waker.wake();
        }
        Ok(())
    }

    /// Queues what an ended task does not need to know: with it, everything is given back.
    pub fn give_back(&self, op: Op) {
        // What comes back is dropped here, outside of the lock: it may hold stubs, whose drop comes here too.
        drop(self.push(op));
    }

    /// The task is awake and will look at the queue.
    pub fn awake(&self) {
        self.lock().idle = false;
    }

    /// Swaps the queue with `into`, which is empty; `false` if there was nothing.
    pub fn take(&self, into: &mut VecDeque<Op>) -> bool {
        let mut queue = self.lock();
        queue.idle = queue.ops.is_empty();
        std::mem::swap(&mut queue.ops, into);
        !into.is_empty()
    }

    /// The same in the middle of a turn: the task will look again before it rests.
    pub fn take_more(&self, into: &mut VecDeque<Op>) -> bool {
        std::mem::swap(&mut self.lock().ops, into);
        !into.is_empty()
    }

    /// Asks the task to end.
    pub fn close(&self) {
        self.lock().ending = true;
        self.waker.wake();
    }

    /// Whether the task should end: it was asked to, or nobody can tell it anything any more.
    pub fn is_over(&self) -> bool {
        let queue = self.lock();
        queue.ending || (queue.ops.is_empty() && self.members.load(Ordering::Acquire) == 0)
    }

    /// The task is gone.
    pub fn end(&self) {
        let mut queue = self.lock();
        queue.ended = true;
        let ops = std::mem::take(&mut queue.ops);
        drop(queue);
        self.room.close();
        for op in ops {
            if let Op::Call(asking) = op {
                asking.question.complete(Err(RpcError::Ended));
            }
        }
        // It is set once; a second end changes nothing.
        let _ = self.ended.set(());
    }
}

/// A handle's share: while there is one, the task goes on.
pub(super) struct Member(Arc<Shared>);

impl Member {
    pub fn new(shared: &Arc<Shared>) -> Self {
        shared.members.fetch_add(1, Ordering::Relaxed);
        Member(shared.clone())
    }

    pub fn is_of(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.0, shared)
    }

    pub fn is_with(&self, other: &Member) -> bool {
        self.is_of(&other.0)
    }
}

impl Clone for Member {
    fn clone(&self) -> Self {
        Member::new(&self.0)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.0.members.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.waker.wake();
        }
    }
}

impl std::ops::Deref for Member {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
