//! What the faces ask of the link table: where does this event go?

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use hyper::header::HeaderName;
use hyper::{Method, StatusCode, Uri};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::net::Endpoint;

/// What kind of event begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// An ordinary request.
    Fetch,
    /// A request that asks for a WebSocket; the target may still answer it like a fetch.
    WebSocket,
    /// A worker's own `connect("host:port")`.
    Connect,
}

/// An event whose head has arrived.
#[derive(Debug)]
pub struct EventMeta<'a> {
    /// Fetch, WebSocket or connect.
    pub kind: EventKind,
    /// The method, as the caller wrote it.
    pub method: &'a Method,
    /// The absolute URL, or `host:port` for a connect event.
    pub uri: &'a Uri,
    /// When the event began. Parking time counts from here, over all attempts.
    pub began: Instant,
    /// What the head takes in memory while the event waits. Its body stays in the caller.
    pub bytes: usize,
    /// The attempt before this one, if the upstream that it was routed to could not be opened. Nothing was delivered
    /// to it. The route should not name the same upstream again, but wait for the next generation.
    pub refused: Option<&'a Refusal>,
}

/// An upstream that could not be opened.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The upstream that the route had named.
    pub upstream: Upstream,
    /// Why it could not be opened.
    pub why: String,
}

/// One socket of one generation of a session.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its socket. A generation that we start has paths of its own, so that names the generation too.
    pub socket: Endpoint,
    /// What is spoken there.
    pub speaks: Speaks,
    /// For messages: session and generation.
    pub label: Arc<str>,
}

/// What an upstream speaks.
#[derive(Clone, Debug)]
pub enum Speaks {
    /// HTTP, `style = proxy`.
    Http {
        /// The header in which that generation takes `cf`.
        cf_header: HeaderName,
        /// Whether it takes requests as browsers send them: without the whole URL.
        is_front: bool,
    },
    /// Cap'n Proto, as a debug port does: requests are converted.
    Capnp(Arc<Asked>),
}

/// What takes an event behind a debug port.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The service in the process.
    pub service: String,
    /// The exported class; `None` is the default export.
    pub entrypoint: Option<String>,
    /// What it finds as `ctx.props`.
    pub props: Option<Value>,
}

/// The claim of one event on its target, held until the event ended: body complete in both directions or socket closed.
pub trait Lease: Send + Sync + 'static {
    /// Cancelled when `--cut` breaks the event, or its target has to end and waits for nothing else.
    fn cut(&self) -> &CancellationToken;

    /// The event has become a WebSocket.
    fn stands(&self) {}

    /// The upstream's connection was lost after the event was delivered and before the event was over.
    fn broken(&self, _why: &str) -> Broken {
        Broken::Process
    }
}

/// What has ended under an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The upstream's process, as far as anybody can see.
    Process,
    /// The connection, with the process alive. workerd does that where a worker fails because what it called has gone:
    /// what that was, if we know.
    Connection {
        /// As the worker was told.
        failed: Option<String>,
    },
}

/// Where an event goes.
pub struct Routed {
    /// What takes it.
    pub upstream: Upstream,
    /// Dropped when the event ends.
    pub lease: Arc<dyn Lease>,
}

/// Why an event goes nowhere. The text is shown to the calling worker as the body of the answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RouteError {
    /// No target was there in time: what was looked for, and why each candidate was rejected.
    #[error("{0}")]
    Unavailable(String),
    /// The target exists but cannot take this kind of event, such as a fetch that needs props.
    #[error("{0}")]
    Unsupported(String),
}

impl RouteError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Unsupported(_) => "unsupported",
        }
    }
}

/// Routes the events of one link.
pub trait Route: Send + Sync + 'static {
    /// Called when the head of an event has arrived, and again with [`EventMeta::refused`] when the upstream of the
    /// attempt before could not be opened. Waits here while the target is not up.
    ///
    /// # Cancellation
    /// Dropped when the caller goes away; a parked event must leave its queue then.
    fn begin(&self, event: &EventMeta<'_>) -> impl Future<Output = Result<Routed, RouteError>> + Send;
}
