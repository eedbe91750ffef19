//! JavaScript RPC: methods called, and objects that are called.
//!
//! Values are [`JsValue`](crate::wire::v8::JsValue)s. What they refer to is live: a [`Stub`] of an object of a far
//! side, a [`ReadableStream`], a [`WritableStream`]; an [`object`] or a [`function`] of ours. They go both ways, in
//! arguments, in answers and in what is called back.
//!
//! # Ownership
//! One call of an entrypoint is one session with its worker. Whatever comes of it (the promise, stubs, streams) holds
//! the session, and the session holds the streams that were sent along; when the last is dropped, the worker
//! disposes of what it gave. Objects that were given to the worker belong to the worker: they are dropped when it
//! lets them go.

mod advice;
mod entrypoint;
mod error;
mod host;
mod ids;
mod incoming;
mod outgoing;
mod path;
mod promise;
mod push;
mod scope;
mod serve;
mod streams;
mod stub;
mod target;
mod thrown;

pub(super) use advice::{Advice, REPEAT};
pub use error::{CallError, ValueError};
pub(super) use host::Host;
pub use path::Path;
pub use promise::Promise;
pub(super) use serve::{begin_session, panicked};
pub use streams::{ReadableStream, WritableStream};
pub use stub::Stub;
pub(super) use target::Object;
pub use target::{Target, function, object};
pub use thrown::Thrown;
