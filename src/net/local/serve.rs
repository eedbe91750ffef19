use std::fmt;

use tokio_util::sync::CancellationToken;

use super::body::Body;
use super::error::RpcError;
use super::payload::Payload;
use super::queue::{Member, Op};
use super::stub::{Place, Stub};
use crate::rpc::CallId;
use crate::wire::exception::{Exception, Kind};
use crate::wire::message::Transform;

/// An object of this process that is called.
///
/// Dropped when nobody refers to it any more.
pub trait Handler: Send + 'static {
    /// Takes a call. Runs on the task of the connection, so it must not block: it answers at once, or hands the call
    /// on to where it will be answered.
    fn call(&mut self, call: Call);
}

impl<F: FnMut(Call) + Send + 'static> Handler for F {
    fn call(&mut self, call: Call) {
        self(call);
    }
}

/// A call on a [`Handler`]. It may be answered later, and from any thread; dropped without an answer, it fails.
pub struct Call {
    pub(super) member: Member,
    /// `None` once it is answered.
    pub(super) id: Option<CallId>,
    pub(super) canceled: CancellationToken,
    /// Type id of the interface.
    pub interface: u64,
    /// Ordinal of the method.
    pub method: u16,
    pub(super) params: Payload,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call(method {} of {:#x})", self.method, self.interface)
    }
}

impl Call {
    /// The parameters.
    pub fn params(&self) -> &Payload {
        &self.params
    }

    /// Takes the parameters out: whoever holds the call for long need not hold them too. What is left is empty, and
    /// cannot be forwarded.
    pub fn take_params(&mut self) -> Payload {
        std::mem::replace(&mut self.params, Payload { frame: Vec::new(), stubs: Vec::new() })
    }

    /// A stub of another object of this process, as [`Peer::serve`](super::Peer::serve) makes them.
    pub fn serve(&self, handler: impl Handler) -> Stub {
        Stub::new(self.member.clone(), Place::Handler(Box::new(handler)))
    }

    /// Is cancelled when the caller does not want the answer any more, or is gone. What is said then is not heard.
    pub fn canceled(&self) -> &CancellationToken {
        &self.canceled
    }

    /// Says which object will be at `path` of the answer, pointer field by pointer field, so that calls on it need not
    /// wait for the answer. That must have the same object there. A stub of another peer changes nothing.
    pub fn lead(&self, path: &[u16], to: &Stub) {
        if let Some(call) = self.id
            && to.is_with(&self.member)
        {
            self.member.give_back(Op::Lead { call, path: Transform::from_slice(path), to: to.clone() });
        }
    }

    /// Answers. A stub of another peer in `body` fails the call.
    pub fn respond(mut self, body: Body) {
        let Some(call) = self.id.take() else { return };
        let ours = body.stubs().all(|stub| stub.is_with(&self.member));
        let op = match ours {
            true => Op::Respond { call, body },
            false => Op::Fail { call, reason: RpcError::Foreign.into_exception() },
        };
        self.member.give_back(op);
    }

    /// Fails. A worker that called sees a real error of a class only with a prefix such as `jsg.TypeError: `.
    pub fn fail(mut self, reason: Exception) {
        if let Some(call) = self.id.take() {
            self.member.give_back(Op::Fail { call, reason });
        }
    }

    /// Says that the object has no such method.
    pub fn unimplemented(self) {
        self.fail(Exception::new(Kind::Unimplemented, "Method not implemented."));
    }

    /// Lets another object answer. The parameters go on as they came, byte for byte, and so does the answer; calls
    /// that were pipelined on it follow in order.
    pub fn forward(mut self, to: &Stub) {
        let Some(call) = self.id.take() else { return };
        let op = match to.is_with(&self.member) {
            true => Op::Forward { call, frame: std::mem::take(&mut self.params.frame), to: to.clone() },
            false => Op::Fail { call, reason: RpcError::Foreign.into_exception() },
        };
        self.member.give_back(op);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(call) = self.id.take() {
            let reason =
                Exception::failed("The object that was called has dropped the call without an answer.");
            self.member.give_back(Op::Fail { call, reason });
        }
    }
}
