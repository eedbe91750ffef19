use std::io;

use crate::wire::exception::{Exception, Kind};

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The callee failed; it would fail again.
    #[error("the callee failed: {}", plain(.0))]
    Failed(Exception),
    /// The callee, or something on the way to it, lacks resources.
    #[error("the callee is overloaded: {}", plain(.0))]
    Overloaded(Exception),
    /// The way to the callee broke. Whether the call was carried out is not known.
    #[error("the way to the callee broke: {}", plain(.0))]
    Disconnected(Exception),
    /// The callee has no such method.
    #[error("the callee has no such method: {}", plain(.0))]
    Unimplemented(Exception),
    /// Nobody could be reached at the address.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Whom.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The task of the peer has ended: it was closed, or its runtime has gone.
    #[error("the connection's task has ended; connect anew")]
    Ended,
    /// The stub belongs to another [`Peer`](super::Peer). Only capabilities of one peer can meet.
    #[error("a stub of another peer was used; connect both to one peer")]
    Foreign,
    /// What came cannot be read as what it should be.
    #[error("the content cannot be read: {0}")]
    Unreadable(capnp::Error),
    /// What was to be sent cannot be built.
    #[error("the content cannot be built: {0}")]
    Unbuildable(capnp::Error),
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The callee's.
    Callee,
    /// The network's, or a process's that ended.
    Way,
    /// Ours: the call was wrong.
    Caller,
}

impl RpcError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            RpcError::Failed(_) | RpcError::Overloaded(_) | RpcError::Unreadable(_) => Fault::Callee,
            RpcError::Disconnected(_) | RpcError::Connect { .. } | RpcError::Ended => Fault::Way,
            RpcError::Unimplemented(_) | RpcError::Foreign | RpcError::Unbuildable(_) => Fault::Caller,
        }
    }

    /// Whether the same call may succeed later; after [`Fault::Way`], on a new connection. A call that was under way
    /// may have been carried out, so this says nothing of calls that must not happen twice.
    pub fn is_retryable(&self) -> bool {
        matches!(self, RpcError::Overloaded(_)) || self.fault() == Fault::Way
    }

    /// The exception as it came, with its details.
    pub fn exception(&self) -> Option<&Exception> {
        match self {
            RpcError::Failed(exception)
            | RpcError::Overloaded(exception)
            | RpcError::Disconnected(exception)
            | RpcError::Unimplemented(exception) => Some(exception),
            _ => None,
        }
    }

    /// What to tell a caller whose call failed for this reason: the exception as it came, or a new one.
    pub fn into_exception(self) -> Exception {
        match self {
            RpcError::Failed(exception)
            | RpcError::Overloaded(exception)
            | RpcError::Disconnected(exception)
            | RpcError::Unimplemented(exception) => exception,
            other if other.fault() == Fault::Way => Exception::disconnected(other),
            other => Exception::failed(other),
        }
    }
}

impl From<Exception> for RpcError {
    fn from(exception: Exception) -> Self {
        match exception.kind {
            Kind::Failed => RpcError::Failed(exception),
            Kind::Overloaded => RpcError::Overloaded(exception),
            Kind::Disconnected => RpcError::Disconnected(exception),
            Kind::Unimplemented => RpcError::Unimplemented(exception),
        }
    }
}

/// The reason without the prefix that makes it an `Error` for workers.
fn plain(exception: &Exception) -> &str {
    exception.reason.strip_prefix("jsg.Error: ").unwrap_or(&exception.reason)
}
