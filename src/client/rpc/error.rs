use std::sync::Arc;

use super::advice::{Advice, REPEAT};
use super::thrown::Thrown;
use crate::client::stream::plain;
use crate::net::local::{Fault, RpcError};
use crate::wire::exception::{Exception, Kind};
use crate::wire::v8::{EncodeError, ExternalKind, V8Error};

const READABLE: &str =
    "let the worker return what can be read here: plain data, functions, RpcTargets and streams";
const NO_OBJECT: &str = "wait for what the call brings, and look at it";
const NEW_STREAM: &str = "make a new one, since a stream is read once";
const INSTEAD: &str = "send what it should give instead";
const NO_STREAMS: &str = "send its content as bytes";
const RUNTIME: &str = "call from within one";

/// Why a call brought no value.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The callee threw, or its process refused the call.
    #[error("{}{}", .0, Advice(.0))]
    Thrown(Box<Thrown>),
    /// The way to the callee broke.
    #[error(
        "the connection broke before the answer came ({}), so whether the call was carried out is not known; {REPEAT}",
        plain(.0)
    )]
    Broken(Exception),
    /// An argument cannot be sent.
    #[error("the arguments cannot be sent: {0}")]
    Arguments(#[from] ValueError),
    /// The answer cannot be read.
    #[error("the answer cannot be read: {0}; {READABLE}")]
    Answer(V8Error),
    /// What a promise was to bring is nothing that can be called.
    #[error("what came of the call has nothing to call: it is no object, function or stub; {NO_OBJECT}")]
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
    #[error("a {} in it was read or sent already; {NEW_STREAM}", .0.class())]
    Taken(ExternalKind),
    /// Something in it cannot leave the process that it is of.
    #[error("a {} in it means nothing outside of its process; {INSTEAD}", .0.class())]
    Bound(ExternalKind),
    /// The receiver takes no streams.
    #[error("there is a {} in it, and its receiver did not say where streams go; {NO_STREAMS}", .0.class())]
    NoPusher(ExternalKind),
    /// There is nobody to send a stream.
    #[error("there is a {} in it, and no runtime to send it on; {RUNTIME}", .0.class())]
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

    /// What to do next, as the message ends with it.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            CallError::Thrown(thrown) => thrown.advice(),
            CallError::Broken(_) => Some(REPEAT),
            CallError::Arguments(error) => error.advice(),
            CallError::Answer(_) => Some(READABLE),
            CallError::NoObject => Some(NO_OBJECT),
            CallError::Rpc(_) => None,
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

impl ValueError {
    /// What to do next, as the message ends with it.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            ValueError::Encode(error) => Some(error.advice()),
            ValueError::Taken(_) => Some(NEW_STREAM),
            ValueError::Bound(_) => Some(INSTEAD),
            ValueError::NoPusher(_) => Some(NO_STREAMS),
            ValueError::NoRuntime(_) => Some(RUNTIME),
            ValueError::Rpc(_) => None,
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
