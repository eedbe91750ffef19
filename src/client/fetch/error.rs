use http::Response;

use crate::client::body::{Body, BodyError};
use crate::net::local::{Fault, RpcError};
use crate::wire::http::HeadError;

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The request cannot be sent as it is.
    #[error("the request cannot be sent: {0}")]
    Request(HeadError),
    /// The body of the request could not be read here, so that the request was given up.
    #[error("the request was given up: {0}")]
    Body(BodyError),
    /// The worker failed, or could not be reached.
    #[error(transparent)]
    Event(#[from] RpcError),
    /// The worker's answer cannot be taken over.
    #[error("the answer cannot be read: {0}")]
    Answer(HeadError),
    /// A WebSocket was asked for, and the worker answered otherwise.
    #[error("the worker answered {} instead of opening a WebSocket", .0.status())]
    NoWebSocket(Box<Response<Body>>),
    /// The worker opened a WebSocket, which [`websocket`](crate::client::Entrypoint::websocket) takes.
    #[error("the worker opened a WebSocket: ask for it as one, or leave out the header `upgrade`")]
    WebSocket,
    /// The worker ended the request without an answer.
    #[error("the worker ended the request without an answer; look at its log")]
    NoAnswer,
}

impl FetchError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Request(_) | Self::Body(_) | Self::WebSocket => Fault::Caller,
            Self::Event(error) => error.fault(),
            Self::Answer(_) | Self::NoWebSocket(_) | Self::NoAnswer => Fault::Callee,
        }
    }

    /// Whether the same request may succeed later. It may have been carried out already.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Event(error) if error.is_retryable())
    }
}
