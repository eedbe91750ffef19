use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use super::error::RpcError;
use super::payload::Payload;
use super::queue::{Member, Op};
use super::stub::{Inner, Place, Stub};
use crate::rpc::QuestionId;
use crate::wire::exception::Exception;
use crate::wire::message::Transform;

/// A question of ours. It stays open while its answer is awaited, or a stub stands for a part of it.
pub(super) struct Question {
    member: Member,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    /// Its id, from when the call is sent until it is finished.
    id: Option<QuestionId>,
    /// Stubs stand for parts of the answer, so that it is finished only after them.
    pipelined: bool,
    /// Those of them that the engine knows.
    placed: Vec<(Transform, Weak<Inner>)>,
    answer: Option<Result<Payload, RpcError>>,
    waker: Option<Waker>,
}

impl Question {
    pub fn new(member: Member) -> Arc<Self> {
        Arc::new(Question { member, slot: Mutex::default() })
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn id(&self) -> Option<QuestionId> {
        self.slot().id
    }

    /// The call was sent.
    pub fn sent(&self, id: QuestionId) {
        self.slot().id = Some(id);
    }

    /// The engine knows the stub for this part of the answer.
    pub fn placed(&self, path: Transform, stub: &Arc<Inner>) {
        let placed = &mut self.slot().placed;
        // Those that are gone make room: no more is kept than twice of what there is.
        if placed.len() == placed.capacity() {
            placed.retain(|(_, stub)| stub.strong_count() > 0);
        }
        placed.push((path, Arc::downgrade(stub)));
    }

    pub fn take_placed(&self) -> Vec<(Transform, Weak<Inner>)> {
        std::mem::take(&mut self.slot().placed)
    }

    /// The answer is there. Returns whether the question is done with; else it is finished when it is dropped.
    pub fn complete(&self, answer: Result<Payload, RpcError>) -> bool {
        let mut slot = self.slot();
        slot.answer = Some(answer);
        let done = !slot.pipelined;
        if done {
            slot.id = None;
        }
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
        done
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(id) = self.slot.get_mut().unwrap_or_else(PoisonError::into_inner).id {
            self.member.give_back(Op::Finish(id));
        }
    }
}

/// A call that is under way: a future of its answer.
///
/// # Cancellation
/// Dropping it cancels the call, unless stubs of [`Pending::pipeline`] are left: then the call goes on for them.
#[must_use = "dropping it cancels the call"]
pub struct Pending(pub(super) Arc<Question>);

impl Pending {
    /// A stub of the capability at `path` in the answer: from its root struct, pointer field by pointer field. Calls on
    /// it go along with the call itself and wait for no round trip.
    pub fn pipeline(&self, path: &[u16]) -> Stub {
        let member = self.0.member.clone();
        let mut slot = self.0.slot();
        let place = match &slot.answer {
            // The question may be finished already; the answer says where the capability is.
            Some(Ok(answer)) if !slot.pipelined => match answer.stub(path) {
                Some(stub) => return stub,
                None => Place::Broken(Exception::failed("The answer has no capability there.")),
            },
            Some(Err(error)) if !slot.pipelined => Place::Broken(match error.exception() {
                Some(exception) => exception.clone(),
                None => Exception::disconnected(error),
            }),
            _ => {
                slot.pipelined = true;
                Place::Answer(self.0.clone(), Transform::from_slice(path))
            }
        };
        drop(slot);
        Stub::new(member, place)
    }
}

impl Future for Pending {
    type Output = Result<Payload, RpcError>;

    /// Pending for ever once the answer was taken.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.slot();
        if let Some(answer) = slot.answer.take() {
            return Poll::Ready(answer);
        }
        match &mut slot.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => slot.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}
