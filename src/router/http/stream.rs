//! A unix socket that wakes its task for reading alone.
//!
//! tokio's own streams register for writing too, and on a unix socket each read of the peer then wakes the writer: two
//! wake-ups more for every exchange, which cost more than its system calls. This one writes straight away, and asks to
//! be woken for writing only while a write has blocked.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// The most that one read takes. It bounds what is cleared before each read; a workerd writes at most 64 KiB at once.
const READ_MOST: usize = 64 * 1024;

/// A body that blocks once will block again soon. After this many writes without, the second registration goes away.
const CALM: u32 = 32;

pub(super) struct Stream {
    reads: AsyncFd<UnixStream>,
    /// The same socket under a second descriptor (epoll takes one registration for each), while writes block.
    blocked: Option<AsyncFd<UnixStream>>,
    calm: u32,
    /// How much more may be written to a peer that has closed.
    forgiven: usize,
}

impl Stream {
    /// Registers a nonblocking socket with the current runtime.
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        let reads = register(socket, Interest::READABLE)?;
        Ok(Self { reads, blocked: None, calm: 0, forgiven: 0 })
    }

    /// Lets writes to a peer that has closed go nowhere for a while, instead of failing. A target may answer and close
    /// before it has read the whole request; hyper would drop that answer when its own write fails. Whether there is
    /// one, the reading side finds out.
    pub(super) fn forgive(mut self, bytes: usize) -> Self {
        self.forgiven = bytes;
        self
    }

    /// The socket alone, no longer registered.
    pub(super) fn into_std(self) -> UnixStream {
        self.reads.into_inner()
    }

    /// After an end of stream: has the peer closed both directions, rather than only said that it is done writing?
    pub(super) fn peer_is_gone(&self) -> bool {
        // Sends nothing, but fails where sending something would.
        rustix::net::send(self.reads.get_ref(), &[], rustix::net::SendFlags::empty()).is_err()
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
        send: impl FnMut(&UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_send_strictly(cx, send)) {
            Err(error) if is_closed(&error) && length <= self.forgiven => {
                self.forgiven -= length;
                Poll::Ready(Ok(length))
            }
            sent => Poll::Ready(sent),
        }
    }

    fn poll_send_strictly(
        &mut self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(blocked) = &self.blocked {
                let mut ready = ready!(blocked.poll_write_ready(cx))?;
                let Ok(sent) = ready.try_io(|socket| send(socket.get_ref())) else {
                    self.calm = 0;
                    continue;
                };
                self.calm += 1;
                if self.calm == CALM {
                    self.blocked = None;
                }
                return Poll::Ready(sent);
            }
            match send(self.reads.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let second = self.reads.get_ref().try_clone()?;
                    self.blocked = Some(register(second, Interest::WRITABLE)?);
                    self.calm = 0;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return Poll::Ready(sent),
            }
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn register(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    // SAFETY: the socket owns its open descriptor and goes into the AsyncFd whole. From there we only borrow it, so
    // that it is neither closed nor exchanged while it is registered.
    Ok(unsafe { AsyncFd::register_with_interest(socket, interest) }?)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.reads.poll_read_ready(cx))?;
            let wanted = buffer.remaining().min(READ_MOST);
            let space = buffer.initialize_unfilled_to(wanted);
            match ready.try_io(|socket| socket.get_ref().read(space)) {
                Ok(Ok(length)) => {
                    // A short read has emptied the socket; asking once more would be a system call for nothing. An end
                    // of stream is never cleared.
                    if 0 < length && length < wanted {
                        ready.clear_ready();
                    }
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, bytes.len(), |mut socket| socket.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        self.get_mut().poll_send(cx, length, |mut socket| socket.write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.reads.get_ref().shutdown(Shutdown::Write) {
            // The peer was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}
