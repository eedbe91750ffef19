//! Pure codecs: no I/O, no clock, no panic on any input.

pub mod actor_id;
pub mod build;
pub mod exception;
pub mod frame;
pub mod http;
pub mod message;
pub mod tree;
pub mod v8;
pub mod websocket;
