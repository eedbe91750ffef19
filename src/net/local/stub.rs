use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::body::Body;
use super::error::RpcError;
use super::line::Line;
use super::payload::Payload;
use super::pending::{Pending, Question};
use super::queue::{Asking, Member, Op, Shared};
use super::serve::Handler;
use crate::rpc::CapId;
use crate::wire::exception::Exception;
use crate::wire::message::Transform;

/// Where the capability is. The task learns of it when the stub is first used.
pub(super) enum Place {
    /// In the engine; the stub holds this reference.
    At(CapId),
    /// In an answer that is still to come. Holds the question open.
    Answer(Arc<Question>, Transform),
    /// What a connection's far side serves.
    Bootstrap(Arc<Line>),
    /// An object of ours that nobody has been given yet.
    Handler(Box<dyn Handler>),
    /// Nowhere.
    Broken(Exception),
}

pub(super) struct Inner {
    member: Member,
    place: Mutex<Place>,
}

impl Inner {
    pub fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let place = self.place.get_mut().unwrap_or_else(PoisonError::into_inner);
        let gone = Place::Broken(Exception::failed("The stub is gone."));
        if let Place::At(cap) = std::mem::replace(place, gone) {
            self.member.give_back(Op::Release(cap));
        }
    }
}

/// A reference to an object: on a far side, still on its way, or of this process. Clones share the reference; when
/// the last is dropped, the far side is told.
#[derive(Clone)]
pub struct Stub(pub(super) Arc<Inner>);

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &*self.0.place() {
            Place::At(_) => "known",
            Place::Answer(..) => "in an answer",
            Place::Bootstrap(line) => return write!(f, "Stub(served by {})", line.name),
            Place::Handler(_) => "ours",
            Place::Broken(why) => return write!(f, "Stub(broken: {})", why.reason),
        };
        write!(f, "Stub({place})")
    }
}

impl Stub {
    pub(super) fn new(member: Member, place: Place) -> Self {
        Stub(Arc::new(Inner { member, place: Mutex::new(place) }))
    }

    pub(super) fn is_with(&self, member: &Member) -> bool {
        self.0.member.is_with(member)
    }

    pub(super) fn is_of(&self, shared: &Arc<Shared>) -> bool {
        self.0.member.is_of(shared)
    }

    /// A stub of an object of this process, at the same peer.
    pub fn beside(&self, handler: impl Handler) -> Stub {
        Stub::new(self.0.member.clone(), Place::Handler(Box::new(handler)))
    }

    /// Whether both are of one peer, so that one can be sent in a call on the other.
    pub fn meets(&self, other: &Stub) -> bool {
        other.is_with(&self.0.member)
    }

    /// Calls a method, given the interface's type id and the method's ordinal, and waits for the answer.
    ///
    /// # Cancellation
    /// Dropping the future cancels the call: the callee is told, and may stop.
    ///
    /// # Errors
    /// The call failed there, on the way or here: see [`RpcError`].
    pub async fn call(&self, interface: u64, method: u16, body: Body) -> Result<Payload, RpcError> {
        self.start(interface, method, body).await?.await
    }

    /// Starts a call. Ready once there is room for it, which is at once unless much is under way; calls that are
    /// started one after the other arrive in this order. What was started without another await goes in one flight.
    ///
    /// # Cancellation
    /// Until it is ready nothing was sent, and nothing will be. Dropping the [`Pending`] cancels the call.
    ///
    /// # Errors
    /// Only what is wrong here: the task has ended, or a stub in `body` is of another peer. The rest comes with the
    /// answer.
    pub async fn start(&self, interface: u64, method: u16, body: Body) -> Result<Pending, RpcError> {
        if !body.stubs().all(|stub| stub.is_with(&self.0.member)) {
            return Err(RpcError::Foreign);
        }
        let cost = self.0.member.take_room(body.len()).await?;
        self.push(interface, method, body, cost)
    }

    /// As [`Stub::start`], without waiting for room: for a [`Handler`], whose calls come of calls, and are bounded as
    /// those are.
    ///
    /// # Errors
    /// As [`Stub::start`].
    pub fn start_now(&self, interface: u64, method: u16, body: Body) -> Result<Pending, RpcError> {
        if !body.stubs().all(|stub| stub.is_with(&self.0.member)) {
            return Err(RpcError::Foreign);
        }
        self.push(interface, method, body, 0)
    }

    fn push(&self, interface: u64, method: u16, body: Body, cost: usize) -> Result<Pending, RpcError> {
        let question = Question::new(self.0.member.clone());
        let pending = Pending(question.clone());
        let target = self.clone();
        let asking = Asking { target, interface, method, body, question, cost };
        self.0.member.push(Op::Call(Box::new(asking))).map_err(|_| RpcError::Ended)?;
        Ok(pending)
    }
}
