//! What a daemon tells as it happens.

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;

use super::client::{Client, ClientError, Driven, MAX_ANSWER};
use super::shape::EndDev;
use super::told::Told;

/// The events of what [`Client::dev`] has begun. It goes on until this is dropped, or [ended](Listening::end).
pub struct Listening {
    client: Client,
    guest: u64,
    body: Incoming,
    connection: Driven,
    unread: BytesMut,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Listening {
    pub(super) fn new(client: Client, guest: u64, body: Incoming, connection: Driven) -> Self {
        Self { client, guest, body, connection, unread: BytesMut::new() }
    }

    /// Ends it once its calls have ended; then [`Told::Stopped`] is the last event. Dropping this after that was asked
    /// for ends it at once. It may be asked for again.
    ///
    /// # Errors
    /// The daemon has gone away.
    pub async fn end(&self) -> Result<(), ClientError> {
        self.client.end_dev(&EndDev { guest: self.guest }).await.map(drop)
    }

    /// The next event; `None` after the last.
    ///
    /// # Errors
    /// The daemon has gone away, or says what this version does not understand.
    ///
    /// # Cancellation
    /// Safe: what was read is kept.
    pub async fn next(&mut self) -> Result<Option<Told>, ClientError> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let told = serde_json::from_slice(self.unread.get(..end).unwrap_or_default());
                self.unread.advance(end + 1);
                return told.map(Some).map_err(|error| self.client.garbled(StatusCode::OK, &error));
            }
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                never = &mut self.connection => match never {},
            };
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.client.lost(error)),
                Some(Ok(frame)) => self.unread.extend(frame.into_data().unwrap_or_default()),
            }
            if self.unread.len() > MAX_ANSWER {
                return Err(self.client.garbled(StatusCode::OK, &"a line of it does not end"));
            }
        }
    }
}
