//! A socket whose peer may close before it has read everything.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::Socket;
use crate::net::socket::Probe;

pub(super) struct Stream {
    socket: Socket,
    /// How much more may be written to a peer that has closed.
    forgiven: usize,
}

impl Stream {
    /// Registers a socket with the current runtime.
    pub(super) fn new(socket: impl Into<OwnedFd>) -> io::Result<Self> {
        Ok(Self { socket: Socket::new(socket.into())?, forgiven: 0 })
    }

    /// Lets writes to a peer that has closed go nowhere for a while, instead of failing. A target may answer and close
    /// before it has read the whole request; hyper would drop that answer when its own write fails. Whether there is
    /// one, the reading side finds out.
    pub(super) fn forgive(mut self, bytes: usize) -> Self {
        self.forgiven = bytes;
        self
    }

    /// The socket alone, no longer registered.
    pub(super) fn into_std(self) -> io::Result<UnixStream> {
        Ok(self.socket.into_fd()?.into())
    }

    /// Sees whether the peer is there, for those who do not own the socket.
    pub(super) fn probe(&self) -> Probe {
        self.socket.probe()
    }

    /// After an end of stream: has the peer closed both directions, rather than only said that it is done writing?
    pub(super) fn peer_is_gone(&self) -> bool {
        self.socket.is_hung_up()
    }

    fn forgiving(&mut self, length: usize, sent: io::Result<usize>) -> io::Result<usize> {
        match sent {
            Err(error) if is_closed(&error) && length <= self.forgiven => {
                self.forgiven -= length;
                Ok(length)
            }
            sent => sent,
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(&mut self.socket), cx, into)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = ready!(AsyncWrite::poll_write(Pin::new(&mut self.socket), cx, bytes));
        Poll::Ready(self.forgiving(bytes.len(), sent))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, slices));
        let length = slices.iter().map(|slice| slice.len()).sum();
        Poll::Ready(self.forgiving(length, sent))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
