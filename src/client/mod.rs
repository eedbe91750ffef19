//! Workers, called from Rust: a [`Session`] is a connection to a debug port, and [`Entrypoint`]s of its services are
//! fetched from, and their methods called.
//!
//! Everything is `Send`, and nothing waits that does not have to: the first event of a new session goes in one flight
//! with all that it needs. What is dropped is given up: a future, a body, a socket cancel what they stand for.

mod address;
mod body;
mod entrypoint;
mod error;
mod event;
pub mod fake;
mod fetch;
mod rpc;
pub mod serve;
mod session;
pub mod stream;
mod websocket;

pub use address::{Address, AddressError};
pub use body::{Body, BodyError};
pub use entrypoint::Entrypoint;
pub use error::ConnectError;
pub use event::Event;
pub use fetch::{Answer, Cf, FetchError};
pub use rpc::{
    CallError, Path, Promise, ReadableStream, Stub, Target, Thrown, ValueError, WritableStream, function,
    object,
};
pub use serve::service;
pub use session::{Session, new_unique_id};
pub use websocket::{Close, Message, WebSocket, WebSocketError};

pub use crate::wire::actor_id::ActorId;
