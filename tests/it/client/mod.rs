//! Workers, called from Rust.

mod connect;
mod fetch;
mod stage;
