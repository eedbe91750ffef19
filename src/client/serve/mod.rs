//! Rust objects that workers call: a [`Handler`] behind a debug port of our own.

mod event;
mod handler;
mod http;
mod port;
mod props;

pub use handler::{Context, Handler, Reply, fetch_with};
pub use port::{debug_port, serve, service};
