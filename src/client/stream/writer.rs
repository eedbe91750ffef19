use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Sink;

use super::error::StreamError;
use super::object::{END, STREAM, WRITE};
use super::outbox::Outbox;
use crate::net::local::{Body, Stub};

/// Bytes of one write: what a workerd sends at most, and takes in one piece.
const MOST_AT_ONCE: usize = 64 << 10;

/// A stream of bytes that we write to a far side, which holds it up if it reads slowly.
///
/// It is complete once [`Writer::end`] says so: dropped before, its reader sees it break off.
pub struct Writer {
    outbox: Outbox,
    /// Given, and not sent yet.
    rest: Bytes,
    ending: bool,
}

impl Writer {
    /// Writes to a ByteStream.
    pub fn new(to: Stub) -> Self {
        Writer { outbox: Outbox::new(to, STREAM), rest: Bytes::new(), ending: false }
    }

    /// Writes bytes. Ready when they are on their way, which takes until the far side has taken most of what was
    /// written before.
    ///
    /// # Cancellation
    /// Not safe: some of the bytes may have been sent, and the rest goes with the next write.
    ///
    /// # Errors
    /// The far side takes no more.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        poll_fn(|cx| Pin::new(&mut *self).poll_ready(cx)).await?;
        Pin::new(&mut *self).start_send(bytes)?;
        poll_fn(|cx| self.poll_started(cx)).await
    }

    /// Ends the stream. Ready when the far side has taken everything.
    ///
    /// # Cancellation
    /// Safe: it may be called again.
    ///
    /// # Errors
    /// The far side does not take all of it.
    pub async fn end(&mut self) -> Result<(), StreamError> {
        poll_fn(|cx| Pin::new(&mut *self).poll_close(cx)).await
    }

    /// Whether all that was given is on its way.
    fn poll_started(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        while !self.rest.is_empty() {
            ready!(self.outbox.poll_room(cx)).map_err(StreamError::Refused)?;
            let piece = self.rest.split_to(self.rest.len().min(MOST_AT_ONCE));
            self.outbox.give(WRITE, Body::data(piece));
        }
        self.outbox.poll_started(cx).map_err(StreamError::Refused)
    }
}

impl Sink<Bytes> for Writer {
    type Error = StreamError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        ready!(self.poll_started(cx))?;
        self.outbox.poll_room(cx).map_err(StreamError::Refused)
    }

    fn start_send(mut self: Pin<&mut Self>, bytes: Bytes) -> Result<(), StreamError> {
        self.rest = bytes;
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        ready!(self.poll_started(cx))?;
        self.outbox.poll_empty(cx).map_err(StreamError::Refused)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        ready!(self.poll_started(cx))?;
        if !self.ending {
            self.ending = true;
            self.outbox.give(END, Body::empty());
        }
        self.outbox.poll_empty(cx).map_err(StreamError::Refused)
    }
}
