//! Workers, called from Rust.

mod actors;
mod bodies;
mod connect;
mod fetch;
mod rpc;
mod stage;
mod websocket;
