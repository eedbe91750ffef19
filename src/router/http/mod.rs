//! HTTP on its way through: the HTTP side of a link face, and the ingress of a session.
//!
//! A link face is one unix socket per caller binding. A calling workerd opens it for two reasons: `CONNECT <name>` for
//! JS RPC, whose socket is handed on to the Cap'n Proto side, and everything else (fetch, WebSocket, `connect()`),
//! which is forwarded here to the unix socket of the link's target of that moment.
//!
//! An ingress is the address at which people reach a session: what arrives there goes to the session's newest
//! generation in the same way.
//!
//! What always holds:
//! - Nothing a worker can observe of the other worker is added or taken away: URL, header order within a name, reason
//!   phrase, body framing, chunk order, and how a body ends.
//! - The `cf` header is named by us on both sides and is set on every request, so no worker forges it.
//! - An event is sent at most once. It is tried again only when hyper hands the request back unsent.
//! - No body is held: a side that does not read stops the other side from writing.
//! - Every task belongs to the [`Lifetime`](crate::net::Lifetime) of its face and ends with it.

mod body;
mod face;
mod forward;
mod headers;
mod ingress;
mod page;
mod pool;
mod route;
mod settings;
mod stream;
mod upgrade;

pub use face::{CapnpSocket, FaceConfig, HttpFace};
pub use ingress::Ingress;
pub use pool::Upstreams;
pub use route::{EventKind, EventMeta, Lease, Refusal, Route, RouteError, Routed, Upstream};
