//! Workers, called from Rust.

mod actors;
mod bodies;
mod connect;
mod fetch;
mod rpc;
mod serve;
mod stage;
mod stream;
mod websocket;
