//! Pure codecs: no I/O, no clock, no panic on any input.

pub mod build;
pub mod exception;
pub mod frame;
pub mod message;
pub mod v8;
