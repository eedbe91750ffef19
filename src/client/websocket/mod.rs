//! WebSockets: messages in both directions, each on the capability that the other side gave.

mod message;
mod object;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{Sink, SinkExt, Stream};

pub use message::{Close, Message, WebSocketError};

use super::stream::{End, Inbox, Outbox, inbox};
use crate::net::local::{Call, Stub};
use crate::wire::exception::Exception;

/// What a socket hangs on: as long as that goes on, so does the socket.
pub(super) trait Ground: Send {
    /// Ready with the reason when it has broken; pending otherwise, for ever if it ended well.
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<Exception>;
}

/// A WebSocket with a worker: a stream and a sink of [`Message`]s.
///
/// A direction ends with its [`Message::Close`]. A socket that is dropped before is aborted: what was on its way may
/// be lost. To end it well, [`close`](WebSocket::close) it, and read until nothing comes any more.
pub struct WebSocket {
    inbox: Inbox<Message>,
    /// Nothing once it was closed here and that was taken.
    outbox: Outbox,
    closed: bool,
    heard: Heard,
    ground: Box<dyn Ground>,
}

#[derive(PartialEq, Eq)]
enum Heard {
    Open,
    /// The far side has sent its Close, or is gone, and that was told.
    Over,
}

/// The receiving half of a socket that is not open yet: what the far side sends goes to the stub.
pub(super) struct Ear {
    inbox: Inbox<Message>,
}

impl Ear {
    pub fn for_call(call: &Call) -> (Stub, Ear) {
        let (feed, inbox) = inbox();
        (call.serve(object::Messages(feed)), Ear { inbox })
    }

    /// The socket that sends to `to`.
    pub fn open(self, to: Stub, ground: impl Ground + 'static) -> WebSocket {
        WebSocket {
            inbox: self.inbox,
            outbox: Outbox::new(to, object::SOCKET),
            closed: false,
            heard: Heard::Open,
            ground: Box::new(ground),
        }
    }
}

impl WebSocket {
    /// Closes this direction, and waits until the far side knows. It may still send: read until nothing comes any
    /// more.
    ///
    /// # Cancellation
    /// Safe: it may be called again, with the same effect.
    ///
    /// # Errors
    /// The far side is gone.
    pub async fn close(&mut self, code: u16, reason: &str) -> Result<(), WebSocketError> {
        if !self.closed {
            self.feed(Message::Close(Close::new(code, reason))).await?;
        }
        self.flush().await
    }

    /// Ends both directions at once: the far side sees that the socket was lost.
    pub fn abort(self) {}
}

impl Stream for WebSocket {
    type Item = Result<Message, WebSocketError>;

    /// Nothing comes after a Close, or an error.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.heard == Heard::Over {
            return Poll::Ready(None);
        }
        let lost = match self.inbox.poll_take(cx) {
            Poll::Ready(Ok(message)) => {
                if matches!(message, Message::Close(_)) {
                    self.heard = Heard::Over;
                }
                return Poll::Ready(Some(Ok(message)));
            }
            // What it hangs on may know better why.
            Poll::Ready(Err(End::Broken(why))) => match self.ground.poll_broken(cx) {
                Poll::Ready(why) => why,
                Poll::Pending => why,
            },
            Poll::Ready(Err(End::Whole)) => {
                self.heard = Heard::Over;
                return Poll::Ready(None);
            }
            Poll::Pending => {
                let why = ready!(self.ground.poll_broken(cx));
                // What was sent before it broke has come meanwhile.
                if let Poll::Ready(Ok(message)) = self.inbox.poll_take(cx) {
                    cx.waker().wake_by_ref();
                    return Poll::Ready(Some(Ok(message)));
                }
                why
            }
        };
        self.heard = Heard::Over;
        Poll::Ready(Some(Err(WebSocketError::Aborted(lost))))
    }
}

impl Sink<Message> for WebSocket {
    type Error = WebSocketError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WebSocketError>> {
        self.outbox.poll_room(cx).map_err(WebSocketError::Refused)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), WebSocketError> {
        if self.closed {
            return Err(WebSocketError::Closed);
        }
        let written = object::write(&message);
        let (method, body) = written.map_err(|error| WebSocketError::Refused(error.into_exception()))?;
        self.closed = matches!(message, Message::Close(_));
        self.outbox.give(method, body);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WebSocketError>> {
        self.outbox.poll_empty(cx).map_err(WebSocketError::Refused)
    }

    /// Closes with [`Close::NORMAL`], unless it is closed.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WebSocketError>> {
        if !self.closed {
            ready!(self.as_mut().poll_ready(cx))?;
            self.as_mut().start_send(Message::Close(Close::new(Close::NORMAL, "")))?;
        }
        self.poll_flush(cx)
    }
}
