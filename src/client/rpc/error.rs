use std::fmt;
use std::sync::Arc;

use super::thrown::Thrown;
use crate::client::stream::plain;
use crate::net::local::{Fault, RpcError};
use crate::wire::exception::{Exception, Kind};
use crate::wire::v8::{EncodeError, ExternalKind, V8Error};

/// Why a call brought no value.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The callee threw, or its process refused the call.
    #[error("{}{}", .0, Advice(.0))]
    Thrown(Box<Thrown>),
    /// The way to the callee broke.
    #[error(
        "the connection broke before the answer came ({}); whether the call was carried out is not known: connect \
         again, and repeat it only if it may happen twice", plain(.0)
    )]
    Broken(Exception),
    /// An argument cannot be sent.
    #[error("the arguments cannot be sent: {0}")]
    Arguments(#[from] ValueError),
    /// The answer cannot be read.
    #[error("the answer cannot be read: {0}")]
    Answer(V8Error),
    /// What a promise was to bring is nothing that can be called.
    #[error("what came of the call has nothing to call: it is no object, function or stub")]
    NoObject,
    /// It is an answer of no worker, or the call could not be made here.
    #[error(transparent)]
    Rpc(Arc<RpcError>),
}

/// Why a value cannot be sent.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A stream in it has gone already.
    #[error("a {} in it was read or sent already; a stream is read once: make a new one", .0.class())]
    Taken(ExternalKind),
    /// Something in it cannot leave the process that it is of.
    #[error("a {} in it means nothing outside of its process; send what it should give instead", .0.class())]
    Bound(ExternalKind),
    /// The receiver takes no streams.
    #[error("there is a {} in it, and its receiver did not say where streams go", .0.class())]
    NoPusher(ExternalKind),
    /// There is nobody to send a stream.
    #[error("there is a {} in it, and no runtime to send it on; call from within one", .0.class())]
    NoRuntime(ExternalKind),
    /// The way to the receiver broke, or the connection has ended.
    #[error(transparent)]
    Rpc(Arc<RpcError>),
}

impl CallError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            CallError::Thrown(thrown) if thrown.retryable => Fault::Way,
            CallError::Thrown(_) | CallError::Answer(_) => Fault::Callee,
            CallError::Broken(_) => Fault::Way,
            CallError::Arguments(ValueError::Rpc(error)) | CallError::Rpc(error) => error.fault(),
            CallError::Arguments(_) | CallError::NoObject => Fault::Caller,
        }
    }

    /// Whether the same call may succeed later; after [`Fault::Way`], on a new connection. It may have been carried
    /// out already.
    pub fn is_retryable(&self) -> bool {
        match self {
            CallError::Thrown(thrown) => thrown.retryable || thrown.overloaded,
            CallError::Broken(_) => true,
            CallError::Arguments(ValueError::Rpc(error)) | CallError::Rpc(error) => error.is_retryable(),
            CallError::Arguments(_) | CallError::Answer(_) | CallError::NoObject => false,
        }
    }

    /// What the callee threw.
    pub fn thrown(&self) -> Option<&Thrown> {
        match self {
            CallError::Thrown(thrown) => Some(thrown),
            _ => None,
        }
    }
}

impl From<RpcError> for CallError {
    fn from(error: RpcError) -> Self {
        let Some(exception) = error.exception() else { return CallError::Rpc(Arc::new(error)) };
        match Thrown::of_exception(exception) {
            // What a worker threw is always remote; else the end of the way speaks.
            Some(thrown) if thrown.remote || exception.kind != Kind::Disconnected => {
                CallError::Thrown(Box::new(thrown))
            }
            _ if exception.kind == Kind::Disconnected => CallError::Broken(exception.clone()),
            _ => CallError::Rpc(Arc::new(error)),
        }
    }
}

impl From<RpcError> for ValueError {
    fn from(error: RpcError) -> Self {
        ValueError::Rpc(Arc::new(error))
    }
}

impl From<EncodeError> for CallError {
    fn from(error: EncodeError) -> Self {
        CallError::Arguments(error.into())
    }
}

/// What to do about errors that every worker's author meets, by workerd's words for them.
struct Advice<'a>(&'a Thrown);

/// Class, a part of the message, and what to do next.
const ADVICE: [(&str, &str, &str); 8] = [
    (
        "TypeError",
        "The RPC receiver does not implement the method",
        "look for it in the worker's class: only methods and getters of the class itself are reachable, and the \
         class has to extend WorkerEntrypoint, DurableObject or RpcTarget",
    ),
    ("TypeError", "is not a function.", "it is a property: get it instead of calling it"),
    ("TypeError", "is a reserved method", "give the method another name"),
    (
        "DataCloneError",
        "",
        "return what can travel: plain data, functions, and objects of classes that extend RpcTarget",
    ),
    (
        "Error",
        "Serialized RPC arguments or return values are limited to",
        "send large data as a ReadableStream",
    ),
    ("Error", "\" not found", "look at the names of the process's services"),
    ("Error", "Worker does not export", "look at the names that the worker's main module exports"),
    ("Error", "internal error", "the worker's own log says what happened"),
];

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Thrown { name, message, .. } = self.0;
        let fits = |(class, part, _): &&(&str, &str, &str)| *class == name && message.contains(part);
        match ADVICE.iter().find(fits) {
            Some((_, _, advice)) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}
