//! Addresses as workerd writes them, over both transports.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Clone, Debug)]
pub enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

pub enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Address {
    /// A TCP port that was free a moment ago.
    pub fn free_port() -> io::Result<Self> {
        Ok(Address::Tcp(TcpListener::bind("127.0.0.1:0")?.local_addr()?))
    }

    pub fn listen(&self) -> io::Result<Listener> {
        Ok(match self {
            Address::Unix(path) => Listener::Unix(UnixListener::bind(path)?),
            Address::Tcp(address) => Listener::Tcp(TcpListener::bind(address)?),
        })
    }

    pub fn dial(&self) -> io::Result<OwnedFd> {
        Ok(match self {
            Address::Unix(path) => UnixStream::connect(path)?.into(),
            Address::Tcp(address) => quick(TcpStream::connect(address)?)?.into(),
        })
    }
}

impl Listener {
    pub fn accept(&self) -> io::Result<OwnedFd> {
        Ok(match self {
            Listener::Unix(listener) => listener.accept()?.0.into(),
            Listener::Tcp(listener) => quick(listener.accept()?.0)?.into(),
        })
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Unix(listener) => listener.as_fd(),
            Listener::Tcp(listener) => listener.as_fd(),
        }
    }
}

/// As workerd sets its own.
fn quick(socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    Ok(socket)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Tcp(address) => address.fmt(f),
        }
    }
}

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Address::Unix(path.into())),
            None => Ok(Address::Tcp(text.parse()?)),
        }
    }
}
