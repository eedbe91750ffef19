//! Where a socket of this machine listens.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket, sockopt};

/// The kernel shakes hands over loopback by itself, within microseconds. Only a listener whose queue is full lets one
/// wait, and that is a refusal for now.
const HANDSHAKE: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// How soon a listener whose queue was full is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(2);

/// The same of a port: whether its queue is full shows only by waiting, which holds up all that runs on the thread.
const RETRY_PORT_AFTER: Duration = Duration::from_millis(100);

/// A unix socket, or a port of this machine: what can be connected to without waiting, and cannot be read by others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A unix socket.
    Unix(Arc<Path>),
    /// A port on loopback; [`Endpoint::tcp`] makes sure of that.
    Tcp(Loopback),
}

/// An address that has been seen to be loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Loopback(SocketAddr);

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an address on this machine: {why}; write `127.0.0.1:PORT`, `[::1]:PORT`, `localhost:PORT` or `unix:/PATH`"
)]
pub struct EndpointError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Loopback {
    /// The port.
    pub fn port(&self) -> u16 {
        self.0.port()
    }
}

impl Endpoint {
    /// A port, if the address is exactly 127.0.0.1 or ::1. The rest of 127/8 is loopback too, but nobody writes it by
    /// chance.
    pub fn tcp(address: SocketAddr) -> Option<Self> {
        let loopback = match address {
            SocketAddr::V4(address) => *address.ip() == Ipv4Addr::LOCALHOST,
            SocketAddr::V6(address) => *address.ip() == Ipv6Addr::LOCALHOST,
        };
        (loopback && address.port() > 0).then_some(Self::Tcp(Loopback(address)))
    }

    /// The path of a unix socket.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            Self::Tcp(_) => None,
        }
    }

    /// How soon to try again where the listener's queue was full.
    pub fn retry_after(&self) -> Duration {
        if self.path().is_some() { RETRY_AFTER } else { RETRY_PORT_AFTER }
    }

    /// Connects, at once or not at all.
    ///
    /// # Errors
    /// Nobody listens there, or another user does (`PermissionDenied`), or the listener's queue is full (`WouldBlock`).
    pub fn connect(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Unix(path) => {
                let fd = nonblocking(AddressFamily::UNIX)?;
                connect(&fd, &SocketAddrUnix::new(&**path)?)?;
                if owner(&fd, path)? != rustix::process::geteuid().as_raw() {
                    let why = "another user listens there";
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
                }
                Ok(fd)
            }
            Self::Tcp(Loopback(address)) => {
                let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
                let fd = nonblocking(family)?;
                // Calls are small and wait for answers.
                sockopt::set_tcp_nodelay(&fd, true)?;
                match connect(&fd, address) {
                    Err(Errno::INPROGRESS) => shake_hands(&fd)?,
                    done => done?,
                }
                Ok(fd)
            }
        }
    }
}

fn nonblocking(family: AddressFamily) -> io::Result<OwnedFd> {
    let fd = socket(family, SocketType::STREAM, None)?;
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&fd, true)?;
    Ok(fd)
}

/// Whoever may write to the folder of a socket may put another one in its place.
#[cfg(target_os = "linux")]
fn owner(fd: &OwnedFd, _path: &Path) -> io::Result<u32> {
    Ok(sockopt::socket_peercred(fd)?.uid.as_raw())
}

#[cfg(not(target_os = "linux"))]
fn owner(_fd: &OwnedFd, path: &Path) -> io::Result<u32> {
    Ok(std::os::unix::fs::MetadataExt::uid(&path.metadata()?))
}

fn shake_hands(fd: &OwnedFd) -> io::Result<()> {
    let mut wanted = [PollFd::new(fd, PollFlags::OUT)];
    match poll(&mut wanted, Some(&HANDSHAKE)) {
        Ok(0) | Err(Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(_) => Ok(sockopt::socket_error(fd)??),
        Err(error) => Err(error.into()),
    }
}

impl From<&Path> for Endpoint {
    fn from(path: &Path) -> Self {
        Self::Unix(path.into())
    }
}

impl From<PathBuf> for Endpoint {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path.into())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(Loopback(address)) => address.fmt(f),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// No name is looked up: `localhost` means 127.0.0.1, whatever a resolver says, and every other one is refused.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let error = |why| EndpointError { text: text.escape_default().take(200).collect(), why };
        if let Some(path) = text.strip_prefix("unix:") {
            // It is shown on terminals.
            if path.contains(char::is_control) {
                return Err(error("the path has control characters"));
            }
            return match path.starts_with('/') {
                true => Ok(Self::Unix(Path::new(path).into())),
                false => Err(error("the path is not absolute")),
            };
        }
        let address = match text.strip_prefix("localhost:") {
            Some(port) => port.parse().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok(),
            None => text.parse().ok(),
        };
        let address = address.ok_or_else(|| error("it is no IP address with a port"))?;
        Self::tcp(address).ok_or_else(|| error("it is not on loopback, or its port is 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_an_endpoint() {
        for (text, same) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("localhost:9", "127.0.0.1:9"),
            ("[::1]:7", "[::1]:7"),
            ("unix:/a/b", "unix:/a/b"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), same);
        }
        let bad = [
            "",
            ":80",
            "80",
            "127.0.0.1",
            "127.0.0.1:0",
            "127.0.0.1:99999",
            "127.0.0.2:80",
            "0.0.0.0:80",
            "10.0.0.1:80",
            "localhost6:80",
            "LOCALHOST:80",
            "localhost:80:80",
            "localhost.:80",
            "127.1:80",
            "0177.0.0.1:80",
            "[::]:80",
            "[::ffff:127.0.0.1]:80",
            "unix:",
            "unix:a",
            "unix:../a",
            "unix:/a\0b",
            "unix:/a\u{1b}[31m",
            "unix:/a\nb",
            "unix:/a\u{9b}1m",
            "http://127.0.0.1:80",
            " 127.0.0.1:80",
            "example.com:80",
        ];
        for text in bad {
            assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn connecting_finds_a_listener_or_is_refused_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::tcp(listener.local_addr().unwrap()).unwrap();
        endpoint.connect().unwrap();
        drop(listener);
        assert_eq!(endpoint.connect().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
