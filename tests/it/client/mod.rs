//! Workers, called from Rust.

mod actors;
mod bodies;
mod connect;
mod fetch;
mod stage;
mod websocket;
