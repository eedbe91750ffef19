//! HTTP on its way through: the HTTP side of a link face, and the ingress of a session.
//!
//! A link face is one unix socket per caller binding. A calling workerd opens it for two reasons: `CONNECT <name>` for
//! JS RPC, whose socket is handed on to the Cap'n Proto side, and everything else (fetch, WebSocket, `connect()`),
//! which is forwarded here to the unix socket of the link's target of that moment. A target that plain HTTP does not
//! reach, for want of a socket or because it has props, is asked over its debug port: the event is converted, and the
//! caller sees no difference.
//!
//! An ingress is an address at which people reach a session, or several by their hosts: what arrives there goes to the
//! newest generation in the same way.
//!
//! What always holds:
//! - Nothing a worker can observe of the other worker is added or taken away: URL, header order within a name, reason
//!   phrase, body framing, chunk order, and how a body ends.
//! - The `cf` header is named by us on both sides and is set on every request, so no worker forges it.
//! - An event is sent at most once. It is tried again only when hyper hands the request back unsent.
//! - No body is held: a side that does not read stops the other side from writing.
//! - Every task belongs to the [`Lifetime`](crate::net::Lifetime) of its face and ends with it.

mod body;
mod convert;
mod face;
mod forward;
mod goodbye;
mod headers;
mod ingress;
mod page;
mod pool;
mod route;
mod sessions;
mod settings;
mod stream;
mod upgrade;
mod websocket;

pub use face::{CapnpSocket, FaceConfig, HttpFace};
pub use ingress::{Choose, Ingress, Led};
pub use page::Page;
pub use pool::Upstreams;
pub use route::{
    Asked, Broken, EventKind, EventMeta, Lease, Refusal, Route, RouteError, Routed, Speaks, Upstream,
};
