//! A stream socket that waits for reading only.
//!
//! tokio's own streams wait for writing too, and on a unix socket every read of the peer then wakes the writer for
//! nothing: two wake-ups more for a call that goes there and back. This one asks for readability alone, writes at
//! once, and registers for writing only while a write would block.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    socket_with,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Writes in a row that did not block, after which the registration for writing goes away: a stream that blocked
/// once will block again soon.
const CALM: u32 = 32;

/// A nonblocking stream socket, registered with the runtime of the current thread.
#[derive(Debug)]
pub struct Socket {
    reads: AsyncFd<OwnedFd>,
    /// The same socket under a second descriptor (epoll takes one registration for each), while writes block.
    blocked: Option<AsyncFd<OwnedFd>>,
    calm: u32,
}

fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned and goes into the AsyncFd whole. From there it is only borrowed, so that it is
    // neither closed nor exchanged while it is registered.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

impl Socket {
    /// Takes a connected socket.
    ///
    /// # Errors
    /// The runtime takes no more sockets, or the socket cannot be made nonblocking.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Socket { reads: register(fd, Interest::READABLE)?, blocked: None, calm: 0 })
    }

    /// Connects to a unix socket. That never waits: the kernel queues the connection or refuses it.
    ///
    /// # Errors
    /// Nobody listens at `path`, or the listener's queue is full (`WouldBlock`).
    pub fn connect_unix(path: &Path) -> io::Result<Self> {
        let address = SocketAddrUnix::new(path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&fd, &address)?;
        Socket::new(fd)
    }

    /// Gives the socket up, so that it can be registered elsewhere.
    pub fn into_fd(self) -> OwnedFd {
        self.reads.into_inner()
    }

    /// Reads what there is. `Ok(0)` is the end of the stream.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.reads.poll_read_ready(cx))?;
            match rustix::io::read(self.reads.get_ref(), &mut *into) {
                Ok(read) => {
                    // Both epoll and kqueue report an edge again when more arrives, so a short read needs no second
                    // one to learn that the socket is empty.
                    if read > 0 && read < into.len() {
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
        loop {
            if let Some(blocked) = &self.blocked {
                let mut ready = ready!(blocked.poll_write_ready(cx))?;
                match write(blocked.get_ref(), bytes) {
                    Err(Errno::AGAIN) => {
                        ready.clear_ready();
                        self.calm = 0;
                    }
                    written => {
                        self.calm += 1;
                        if self.calm == CALM {
                            self.blocked = None;
                        }
                        return Poll::Ready(Ok(written?));
                    }
                }
                continue;
            }
            match write(self.reads.get_ref(), bytes) {
                Err(Errno::AGAIN) => {
                    let second = self.reads.get_ref().try_clone()?;
                    self.blocked = Some(register(second, Interest::WRITABLE)?);
                    self.calm = 0;
                }
                written => return Poll::Ready(Ok(written?)),
            }
        }
    }

    /// Whether the peer has hung up, as far as the kernel knows at this moment. Costs one system call.
    pub fn is_hung_up(&self) -> bool {
        let mut byte = [0u8; 1];
        match recv(self.reads.get_ref(), &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((read, _)) => read == 0,
            Err(Errno::AGAIN | Errno::INTR) => false,
            Err(_) => true,
        }
    }
}

fn write(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        // A peer that is gone is an error here, not a signal.
        match send(fd, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            written => return written,
        }
    }
}
