use bytes::Bytes;

use crate::client::stream::plain;
use crate::wire::exception::Exception;

/// What goes over a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// The last message of its direction.
    Close(Close),
}

/// How a WebSocket was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Why, as a number; [`Close::NO_STATUS`] if none was given.
    pub code: u16,
    /// Why, in words; may be empty.
    pub reason: String,
}

impl Close {
    /// All went well.
    pub const NORMAL: u16 = 1000;
    /// Stands for no number.
    pub const NO_STATUS: u16 = 1005;

    /// With a number and in words.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Close { code, reason: reason.into() }
    }
}

/// Why a WebSocket ended without being closed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WebSocketError {
    /// The far side dropped it, or the way there broke. Messages may be missing at the end.
    #[error("the WebSocket was aborted: {}", plain(.0))]
    Aborted(Exception),
    /// The far side takes no more messages.
    #[error("the far side takes no more messages: {}", plain(.0))]
    Refused(Exception),
    /// A message was sent after it was closed here.
    #[error("the WebSocket was closed here already; a closed one takes no messages")]
    Closed,
}
