//! A WebSocket whose one side is HTTP and whose other is Cap'n Proto.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::{Sink, Stream as _};
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::route::Lease;
use super::stream::Stream;
use super::upgrade::{self, Opened, TunnelError};
use crate::client::{Close, Message, WebSocket};
use crate::wire::websocket::{self, Decoder, Frame};

/// What is read at once.
const BUFFER: usize = 32 << 10;

/// Bytes of pongs that may wait for a caller that pings and does not read.
const MOST_UNWRITTEN: usize = 64 << 10;

/// A socket whose head has passed, waiting for the caller's side of it to be written out.
pub(super) struct Bridge {
    pub(super) caller: OnUpgrade,
    pub(super) target: WebSocket,
    pub(super) lease: Arc<dyn Lease>,
}

impl Bridge {
    /// Passes messages on until both directions were closed, one side is gone, or the event is cut.
    ///
    /// # Cancellation
    /// Dropping the future aborts both sides.
    pub(super) async fn run(self) -> Result<(), TunnelError> {
        let Opened { socket, read } = upgrade::open(self.caller.await?)?;
        self.lease.stands();
        let mut decoder = Decoder::default();
        decoder.feed(&read);
        let mut passing = Passing {
            caller: socket,
            target: self.target,
            decoder,
            up: Up::Open(None),
            down: Down::Open,
            out: Vec::new(),
            written: 0,
            buffer: vec![0; BUFFER],
        };
        let ended = tokio::select! {
            biased;
            () = self.lease.cut().cancelled() => return Err(TunnelError::Cut),
            ended = poll_fn(|cx| passing.poll(cx)) => ended,
        };
        if let (Err(TunnelError::Dropped), Up::Open(_), Down::Open) = (&ended, &passing.up, &passing.down) {
            self.lease.broken("the WebSocket ended without a close");
        }
        ended
    }
}

struct Passing {
    caller: Stream,
    target: WebSocket,
    decoder: Decoder,
    up: Up,
    down: Down,
    /// What the caller is still to get.
    out: Vec<u8>,
    written: usize,
    buffer: Vec<u8>,
}

/// From the caller to the target.
enum Up {
    /// With a message that the target has no room for yet.
    Open(Option<Message>),
    /// Closed; the target still has to take that.
    Closing,
    Over,
}

/// From the target to the caller.
#[derive(PartialEq, Eq)]
enum Down {
    Open,
    /// Its close is among what is to be written.
    Closed,
    Over,
}

impl Passing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TunnelError>> {
        loop {
            // In turns, until both have to wait: what was read may be a ping, whose answer is to be written.
            let (down, up) = (self.poll_down(cx)?, self.poll_up(cx)?);
            if matches!(self.up, Up::Over) && self.down == Down::Over {
                return Pin::new(&mut self.caller).poll_shutdown(cx).map_err(TunnelError::from);
            }
            if down.is_pending() && up.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Ready after a step.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TunnelError>> {
        if let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            self.written += ready!(Pin::new(&mut self.caller).poll_write(cx, rest))?;
            return Poll::Ready(Ok(()));
        }
        self.out.clear();
        self.out.shrink_to(MOST_UNWRITTEN);
        self.written = 0;
        match self.down {
            Down::Over => return Poll::Pending,
            Down::Closed => self.down = Down::Over,
            Down::Open => match ready!(Pin::new(&mut self.target).poll_next(cx)) {
                Some(Ok(Message::Text(text))) => websocket::text(&mut self.out, &text),
                Some(Ok(Message::Binary(bytes))) => websocket::binary(&mut self.out, &bytes),
                Some(Ok(Message::Close(Close { code, reason }))) => {
                    websocket::write_close(&mut self.out, code, &reason);
                    self.down = Down::Closed;
                }
                // Dropped without a close: so is the caller's side.
                Some(Err(_)) | None => return Poll::Ready(Err(TunnelError::Dropped)),
            },
        }
        Poll::Ready(Ok(()))
    }

    /// Ready after a step.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TunnelError>> {
        let waiting = match &mut self.up {
            Up::Over => return Poll::Pending,
            Up::Closing => {
                ready!(Pin::new(&mut self.target).poll_flush(cx)).map_err(io::Error::other)?;
                self.up = Up::Over;
                return Poll::Ready(Ok(()));
            }
            Up::Open(waiting) => waiting,
        };
        // Also drives what was sent before.
        ready!(Pin::new(&mut self.target).poll_ready(cx)).map_err(|_| TunnelError::Dropped)?;
        if let Some(message) = waiting.take() {
            if matches!(message, Message::Close(_)) {
                self.up = Up::Closing;
            }
            Pin::new(&mut self.target).start_send(message).map_err(|_| TunnelError::Dropped)?;
            return Poll::Ready(Ok(()));
        }
        match self.decoder.take().map_err(io::Error::other)? {
            Some(Frame::Text(text)) => *waiting = Some(Message::Text(text)),
            Some(Frame::Binary(bytes)) => *waiting = Some(Message::Binary(bytes)),
            Some(Frame::Close(code, reason)) => *waiting = Some(Message::Close(Close { code, reason })),
            Some(Frame::Ping(content)) => {
                if self.out.len() < MOST_UNWRITTEN {
                    websocket::pong(&mut self.out, &content);
                }
            }
            Some(Frame::Pong(_)) => {}
            None => {
                let mut buffer = ReadBuf::new(&mut self.buffer);
                ready!(Pin::new(&mut self.caller).poll_read(cx, &mut buffer))?;
                if buffer.filled().is_empty() {
                    return Poll::Ready(Err(TunnelError::Gone));
                }
                self.decoder.feed(buffer.filled());
            }
        }
        Poll::Ready(Ok(()))
    }
}
