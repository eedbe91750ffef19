use http::Response;

use crate::client::body::{Body, BodyError};
use crate::client::rpc::{Advice, REPEAT, Thrown};
use crate::client::stream::plain;
use crate::net::local::{Fault, RpcError};
use crate::wire::exception::Kind;
use crate::wire::http::HeadError;

const AS_SOCKET: &str = "ask for it as one, or leave out the header `upgrade`";
const LOG: &str = "look at its log";

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
    #[error("{}", failed(.0))]
    Event(#[from] RpcError),
    /// The worker's answer cannot be taken over.
    #[error("the answer cannot be read: {0}")]
    Answer(HeadError),
    /// A WebSocket was asked for, and the worker answered otherwise.
    #[error("the worker answered {} instead of opening a WebSocket", .0.status())]
    NoWebSocket(Box<Response<Body>>),
    /// The worker opened a WebSocket, which [`websocket`](crate::client::Entrypoint::websocket) takes.
    #[error("the worker opened a WebSocket; {AS_SOCKET}")]
    WebSocket,
    /// The worker ended the request without an answer.
    #[error("the worker ended the request without an answer; {LOG}")]
    NoAnswer,
}

fn thrown(error: &RpcError) -> Option<Thrown> {
    let exception = error.exception()?;
    // What a worker threw is always remote; else the end of the way speaks.
    Thrown::of_exception(exception).filter(|thrown| thrown.remote || exception.kind != Kind::Disconnected)
}

fn failed(error: &RpcError) -> String {
    match (thrown(error), error) {
        (Some(thrown), _) => format!("{thrown}{}", Advice(&thrown)),
        (None, RpcError::Disconnected(exception)) => format!(
            "the connection broke before the answer came ({}), so whether the request was carried out is not known; \
             {REPEAT}",
            plain(exception)
        ),
        (None, error) => error.to_string(),
    }
}

impl FetchError {
    /// What the worker threw.
    pub fn thrown(&self) -> Option<Thrown> {
        match self {
            Self::Event(error) => thrown(error),
            _ => None,
        }
    }

    /// What to do next, as the message ends with it.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Event(RpcError::Disconnected(_)) if self.thrown().is_none() => Some(REPEAT),
            Self::Event(error) => thrown(error)?.advice(),
            Self::WebSocket => Some(AS_SOCKET),
            Self::NoAnswer => Some(LOG),
            Self::Request(_) | Self::Body(_) | Self::Answer(_) | Self::NoWebSocket(_) => None,
        }
    }

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
