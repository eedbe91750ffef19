//! Cap'n Proto exceptions, with the details in which workerd keeps the thrown value.

use crate::schema::rpc_capnp::{exception, message};

/// What kind of failure it is, and so what its receiver may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The call went wrong; the same call would go wrong again.
    Failed,
    /// The callee lacks resources; workers see `.overloaded`.
    Overloaded,
    /// The way to the callee broke; workers see `.retryable`.
    Disconnected,
    /// The callee knows no such method.
    Unimplemented,
}

impl Kind {
    /// The enumerant of `Exception.Type`.
    pub fn code(self) -> u16 {
        match self {
            Kind::Failed => 0,
            Kind::Overloaded => 1,
            Kind::Disconnected => 2,
            Kind::Unimplemented => 3,
        }
    }
}

/// An exception as it travels. `details` are opaque: workerd's serialized error among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The kind.
    pub kind: Kind,
    /// What happened. A worker sees it as a real error of a class only with a prefix such as `jsg.TypeError: `.
    pub reason: String,
    /// Where it happened, for people; may be empty.
    pub trace: String,
    /// Typed attachments: id and bytes.
    pub details: Vec<(u64, Vec<u8>)>,
}

impl Exception {
    /// An exception without trace and details.
    pub fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Exception { kind, reason: reason.into(), trace: String::new(), details: Vec::new() }
    }

    /// A failure that a worker sees as an `Error` with this message.
    pub fn failed(message: impl std::fmt::Display) -> Self {
        Exception::new(Kind::Failed, format!("jsg.Error: {message}"))
    }

    /// A broken way that a worker sees as an `Error` with this message and `.retryable`.
    pub fn disconnected(message: impl std::fmt::Display) -> Self {
        Exception::new(Kind::Disconnected, format!("jsg.Error: {message}"))
    }

    fn read(from: exception::Reader) -> capnp::Result<Self> {
        let mut details = Vec::new();
        for detail in from.get_details()? {
            details.push((detail.get_detail_id(), detail.get_data()?.to_vec()));
        }
        Ok(Exception {
            kind: match from.get_type() {
                Ok(exception::Type::Overloaded) => Kind::Overloaded,
                Ok(exception::Type::Disconnected) => Kind::Disconnected,
                Ok(exception::Type::Unimplemented) => Kind::Unimplemented,
                Ok(exception::Type::Failed) | Err(_) => Kind::Failed,
            },
            reason: String::from_utf8_lossy(from.get_reason()?.as_bytes()).into_owned(),
            trace: String::from_utf8_lossy(from.get_trace()?.as_bytes()).into_owned(),
            details,
        })
    }
}

/// Reads each word of a frame about once, so that a small frame cannot ask for a large result.
pub(crate) fn reader_options(frame: &[u8]) -> capnp::message::ReaderOptions {
    let mut options = capnp::message::ReaderOptions::new();
    options.traversal_limit_in_words(Some(frame.len() / 4 + 64));
    options
}

/// The exception in a Return, a Resolve or an Abort. One that cannot be read says so.
pub fn read(frame: &[u8]) -> Exception {
    try_read(frame).unwrap_or_else(|error| {
        Exception::new(Kind::Failed, format!("an exception that cannot be read ({error})"))
    })
}

/// As [`read`].
///
/// # Errors
/// Its receiver could not read it either, and would end the connection for it.
pub fn try_read(frame: &[u8]) -> capnp::Result<Exception> {
    fn inner(mut frame: &[u8]) -> capnp::Result<Exception> {
        let options = reader_options(frame);
        let reader = capnp::serialize::read_message_from_flat_slice(&mut frame, options)?;
        let message = reader.get_root::<message::Reader>()?;
        let exception = match message.which()? {
            message::Which::Abort(exception) => exception?,
            message::Which::Return(body) => match body?.which()? {
                crate::schema::rpc_capnp::return_::Which::Exception(exception) => exception?,
                _ => return Err(capnp::Error::failed("no exception in it".into())),
            },
            message::Which::Resolve(body) => match body?.which()? {
                crate::schema::rpc_capnp::resolve::Which::Exception(exception) => exception?,
                _ => return Err(capnp::Error::failed("no exception in it".into())),
            },
            _ => return Err(capnp::Error::failed("no exception in it".into())),
        };
        Exception::read(exception)
    }
    inner(frame)
}
