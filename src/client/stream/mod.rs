//! Streams of bytes between processes, in both directions, with backpressure: what bodies and JavaScript streams
//! travel on.

mod error;
mod inbox;
mod object;
mod outbox;
mod reader;
mod writer;

pub use error::StreamError;
pub(crate) use error::plain;
pub(crate) use inbox::{End, Feed, Inbox, inbox};
pub(crate) use object::Written;
pub(crate) use outbox::Outbox;
pub use reader::Reader;
pub use writer::Writer;
