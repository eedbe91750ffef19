use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::net::Endpoint;

/// Where a debug port listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// Host and port.
    Tcp(String),
    /// A unix socket.
    Unix(PathBuf),
}

const FORMS: &str = "write `HOST:PORT`, `unix:/PATH` or a path";

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: {why}; {FORMS}")]
pub struct AddressError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl AddressError {
    /// What to do next, as the message ends with it.
    pub fn advice(&self) -> &'static str {
        FORMS
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// ```
    /// # use jackfield::client::Address;
    /// assert_eq!("127.0.0.1:9230".parse(), Ok(Address::Tcp("127.0.0.1:9230".into())));
    /// assert_eq!("unix:/run/a.sock".parse(), Ok(Address::Unix("/run/a.sock".into())));
    /// assert_eq!("./a.sock".parse(), Ok(Address::Unix("./a.sock".into())));
    /// assert!("9230".parse::<Address>().is_err());
    /// ```
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = |why| AddressError { text: text.to_owned(), why };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err(error("the path is missing"))
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        if text.contains('/') {
            return match text.contains("://") {
                true => Err(error("it is a URL")),
                false => Ok(Self::Unix(text.into())),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| error("the port is missing"))?;
        if host.is_empty() {
            return Err(error("the host is missing"));
        }
        if port.parse::<u16>().ok().filter(|port| *port > 0).is_none() {
            return Err(error("the port is not a number from 1 to 65535"));
        }
        Ok(Self::Tcp(text.to_owned()))
    }
}

impl From<&Endpoint> for Address {
    fn from(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Unix(path) => Self::Unix(path.to_path_buf()),
            Endpoint::Tcp(_) => Self::Tcp(endpoint.to_string()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(text) => f.write_str(text),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
