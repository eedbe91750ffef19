//! A stream socket that waits for reading only.
//!
//! tokio's own streams wait for writing too, and on a unix socket every read of the peer then wakes the writer for
//! nothing: two wake-ups more for a call that goes there and back. This one asks for readability alone, writes at
//! once, and registers for writing only while a write would block.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown, send, sendmsg, shutdown};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::busy_poll;

/// A peer that is gone is an error, not a signal. Where sends know no such flag, Rust's runtime ignores the signal.
#[cfg(target_os = "linux")]
const QUIETLY: SendFlags = SendFlags::NOSIGNAL;
#[cfg(not(target_os = "linux"))]
const QUIETLY: SendFlags = SendFlags::empty();

/// The most that one read takes through [`AsyncRead`]. It bounds what is cleared before each read; a workerd writes at
/// most 64 KiB at once.
const READ_MOST: usize = 64 * 1024;

/// Writes in a row that did not block, after which the registration for writing goes away: a stream that blocked
/// once will block again soon.
const CALM: u32 = 32;

/// A nonblocking stream socket, registered with the runtime of the current thread.
#[derive(Debug)]
pub struct Socket {
    /// Shared only with a [`Probe`] while it looks.
    reads: AsyncFd<Arc<OwnedFd>>,
    /// The same socket under a second descriptor (epoll takes one registration for each), while writes block.
    blocked: Option<AsyncFd<OwnedFd>>,
    calm: u32,
}

pub(crate) fn register<T: AsRawFd>(fd: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: the descriptor is owned, by the AsyncFd alone or with others. From there it is only borrowed, so that it
    // is neither closed nor exchanged while it is registered.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

impl Socket {
    /// Takes a connected socket.
    ///
    /// # Errors
    /// The runtime takes no more sockets, or the socket cannot be made nonblocking.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Socket { reads: register(Arc::new(fd), Interest::READABLE)?, blocked: None, calm: 0 })
    }

    /// Gives the socket up, so that it can be registered elsewhere.
    ///
    /// # Errors
    /// A [`Probe`] looks at it, and there are no descriptors left for a second one.
    pub fn into_fd(self) -> io::Result<OwnedFd> {
        Arc::try_unwrap(self.reads.into_inner()).or_else(|shared| shared.try_clone())
    }

    /// Sees whether the peer is there, for those who do not own the socket.
    pub fn probe(&self) -> Probe {
        Probe(Arc::downgrade(self.reads.get_ref()))
    }

    /// Reads what there is. `Ok(0)` is the end of the stream.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_with(cx, into.len(), |fd| rustix::io::read(fd, &mut *into))
    }

    /// Reads with `read`, which has that much room. It is called only once there is something to be read.
    fn poll_with(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        mut read: impl FnMut(&OwnedFd) -> Result<usize, Errno>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.reads.poll_read_ready(cx))?;
            match read(self.reads.get_ref()) {
                Ok(read) => {
                    busy_poll::read();
                    // Both epoll and kqueue report an edge again when more arrives, so a short read needs no second
                    // one to learn that the socket is empty.
                    if read > 0 && read < room {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(read));
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Writes what the kernel takes; pending once it takes no more, with `cx` woken when it does.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |fd| send(fd, bytes, QUIETLY))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(BorrowedFd) -> Result<usize, Errno>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(blocked) = &self.blocked {
                let mut ready = ready!(blocked.poll_write_ready(cx))?;
                match send(blocked.get_ref().as_fd()) {
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => {
                        ready.clear_ready();
                        self.calm = 0;
                    }
                    sent => {
                        self.calm += 1;
                        if self.calm == CALM {
                            self.blocked = None;
                        }
                        return Poll::Ready(Ok(sent?));
                    }
                }
                continue;
            }
            match send(self.reads.get_ref().as_fd()) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let second = self.reads.get_ref().try_clone()?;
                    self.blocked = Some(register(second, Interest::WRITABLE)?);
                    self.calm = 0;
                }
                sent => return Poll::Ready(Ok(sent?)),
            }
        }
    }

    /// Whether the peer has closed both directions, rather than only said that it is done writing, as far as the
    /// kernel knows at this moment; bytes of its may still be there to be read. Costs one system call.
    pub fn is_hung_up(&self) -> bool {
        is_hung_up(self.reads.get_ref())
    }
}

/// Looks at a socket without keeping it open.
#[derive(Debug)]
pub struct Probe(Weak<OwnedFd>);

impl Probe {
    /// Looks at a socket that somebody else serves, through a descriptor of its own, which keeps the socket open.
    pub fn of(fd: &Arc<OwnedFd>) -> Self {
        Probe(Arc::downgrade(fd))
    }

    /// As [`Socket::is_hung_up`]: the task that owns the socket may not have seen it yet. True once that has dropped it.
    pub fn is_hung_up(&self) -> bool {
        self.0.upgrade().is_none_or(|fd| is_hung_up(&fd))
    }
}

fn is_hung_up(fd: &OwnedFd) -> bool {
    // Sends nothing, but fails where sending something would. A full socket would block, and is open.
    !matches!(send(fd, &[], QUIETLY), Ok(_) | Err(Errno::AGAIN | Errno::INTR))
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wanted = into.remaining().min(READ_MOST);
        // hyper asks nine times a request whether there is something to be read, and twice there is: the room is cleared
        // for those alone.
        let read = self.poll_with(cx, wanted, |fd| rustix::io::read(fd, into.initialize_unfilled_to(wanted)));
        into.advance(ready!(read)?);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Socket::poll_write(&mut self, cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |fd| sendmsg(fd, slices, &mut SendAncillaryBuffer::default(), QUIETLY))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match shutdown(self.reads.get_ref(), Shutdown::Write) {
            // The peer was faster.
            Err(Errno::NOTCONN) => Poll::Ready(Ok(())),
            result => Poll::Ready(Ok(result?)),
        }
    }
}
