//! Objects of this process: handlers that peers call, and stubs of what peers serve.
//!
//! Everything here is `Send` and may be used from any thread. A [`Peer`] is an engine with its connections, run by one
//! task; its [`Stub`]s, [`Pending`] answers and [`Call`]s are handles that tell this task what to do, through one
//! queue and in order. The bytes of calls in the queue are bounded: [`Stub::start`] waits for room. What gives
//! something back (an answer, a dropped stub, a dropped question) never waits, and is bounded by what there is to
//! give back.
//!
//! # Ownership
//! A [`Stub`] is a reference: clones share it, and when the last is gone the far side is told. What is sent or
//! answered takes its stubs along. A [`Handler`] belongs to its stub and to those who were given it; it is dropped
//! when nobody refers to it any more. The task ends when no handle of its peer is left, and with it the connections.

mod body;
mod desk;
mod error;
mod hook;
mod line;
mod payload;
mod peer;
mod pending;
mod queue;
mod serve;
mod stub;

pub use body::Body;
pub use error::{Fault, RpcError};
pub use hook::Caps;
pub use line::Connection;
pub use payload::{Payload, Span};
pub use peer::{Inventory, Peer, Settings};
pub use pending::Pending;
pub use serve::{Call, Handler};
pub use stub::Stub;
