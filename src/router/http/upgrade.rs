//! Two sockets that were upgraded and now belong together: WebSockets and `connect()` events.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::goodbye::Goodbye;
use super::route::Lease;
use super::settings::Io;
use super::stream::Stream;

/// What one direction moves at once. WebSockets may be many and idle, so not more than a big message needs.
const BUFFER: usize = 32 * 1024;

/// An exchange whose heads have passed, waiting for the caller's side of it to be written out.
pub(super) struct Tunnel {
    pub(super) caller: OnUpgrade,
    pub(super) upstream: OnUpgrade,
    /// Whether it is a WebSocket, of which one can tell a target that closes it from one that dies.
    pub(super) speaks_frames: bool,
    pub(super) lease: Arc<dyn Lease>,
}

impl Tunnel {
    /// Moves bytes until both directions have ended, one side is gone, or the event is cut.
    ///
    /// # Cancellation
    /// Dropping the future closes both sockets.
    pub(super) async fn run(self) -> Result<(), TunnelError> {
        let (caller, upstream) = futures::try_join!(self.caller, self.upstream)?;
        let (caller, upstream) = (open(caller)?, open(upstream)?);
        if self.speaks_frames {
            self.lease.stands();
        }
        let goodbye = || self.speaks_frames.then(Goodbye::default);
        let mut up = Direction::new(&caller.read, goodbye());
        let mut down = Direction::new(&upstream.read, goodbye());
        let (mut caller, mut upstream) = (caller.socket, upstream.socket);
        let both = poll_fn(|cx| {
            let up = up.poll_move(cx, &mut caller, &mut upstream)?;
            let down = down.poll_move(cx, &mut upstream, &mut caller)?;
            if up.is_ready() && down.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
        });
        let ended = tokio::select! {
            biased;
            () = self.lease.cut().cancelled() => return Err(TunnelError::Cut),
            ended = both => ended,
        };
        let nobody_said_goodbye = self.speaks_frames && !up.said_goodbye() && !down.said_goodbye();
        if nobody_said_goodbye && upstream.peer_is_gone() && !caller.peer_is_gone() {
            self.lease.broken("the WebSocket ended without a close frame");
        }
        ended
    }
}

/// Why a tunnel ended other than by both sides closing in turn.
#[derive(Debug, thiserror::Error)]
pub(super) enum TunnelError {
    #[error("the link was re-targeted with --cut, or the target had to end")]
    Cut,
    #[error("one side is gone")]
    Gone,
    #[error("the target dropped its side without a close")]
    Dropped,
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("the upgraded connection is not a socket of this face")]
    Foreign,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A socket that hyper is done with, and what it had read beyond the head.
pub(super) struct Opened {
    pub(super) socket: Stream,
    pub(super) read: Bytes,
}

pub(super) fn open(upgraded: Upgraded) -> Result<Opened, TunnelError> {
    let Parts { io, read_buf, .. } = upgraded.downcast::<Io>().map_err(|_| TunnelError::Foreign)?;
    Ok(Opened { socket: io.into_inner().forgive(0), read: read_buf })
}

/// Bytes on their way from one socket to the other.
struct Direction {
    buffer: Vec<u8>,
    written: usize,
    filled: usize,
    stage: Stage,
    goodbye: Option<Goodbye>,
}

#[derive(Clone, Copy)]
enum Stage {
    Moving,
    Ending,
    Ended,
}

impl Direction {
    fn new(first: &Bytes, mut goodbye: Option<Goodbye>) -> Self {
        let mut buffer = first.to_vec();
        buffer.resize(first.len().max(BUFFER), 0);
        if let Some(goodbye) = &mut goodbye {
            goodbye.see(first);
        }
        Self { buffer, written: 0, filled: first.len(), stage: Stage::Moving, goodbye }
    }

    fn said_goodbye(&self) -> bool {
        self.goodbye.as_ref().is_some_and(Goodbye::was_said)
    }

    /// Ready when the end of the stream has been passed on. A side that is gone altogether is an error instead, so
    /// that the other side does not go on writing to nobody.
    fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Poll<Result<(), TunnelError>> {
        loop {
            while let Some(rest) = self.buffer.get(self.written..self.filled).filter(|rest| !rest.is_empty())
            {
                self.written += ready!(Pin::new(&mut *to).poll_write(cx, rest))?;
            }
            match self.stage {
                Stage::Moving => {
                    let mut buffer = ReadBuf::new(&mut self.buffer);
                    ready!(Pin::new(&mut *from).poll_read(cx, &mut buffer))?;
                    if let Some(goodbye) = &mut self.goodbye {
                        goodbye.see(buffer.filled());
                    }
                    (self.written, self.filled) = (0, buffer.filled().len());
                    if self.filled == 0 {
                        if from.peer_is_gone() {
                            return Poll::Ready(Err(TunnelError::Gone));
                        }
                        self.stage = Stage::Ending;
                    }
                }
                Stage::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.stage = Stage::Ended;
                }
                Stage::Ended => return Poll::Ready(Ok(())),
            }
        }
    }
}
