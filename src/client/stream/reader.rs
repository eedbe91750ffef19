use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::oneshot;

use super::error::StreamError;
use super::inbox::{End, Inbox, inbox};
use super::object::Written;
use crate::net::local::{Call, Peer, Stub};
use crate::wire::exception::Exception;

/// A stream of bytes that a far side writes to us.
///
/// Each write is answered when its bytes are read here, so nothing piles up. Dropped before its end, it tells the
/// writer to stop.
pub struct Reader {
    inbox: Inbox<Bytes>,
}

impl Reader {
    /// A new stream, and the capability to write to it: a ByteStream.
    pub fn new(peer: &Peer) -> (Stub, Reader) {
        let (feed, inbox) = inbox();
        (peer.serve(Written { feed, end: None }), Reader { inbox })
    }

    /// As [`Reader::new`], for what a call of another object is answered with.
    pub fn for_call(call: &Call) -> (Stub, Reader) {
        let (feed, inbox) = inbox();
        (call.serve(Written { feed, end: None }), Reader { inbox })
    }

    /// As [`Reader::new`], where it is not known yet who will write.
    pub(crate) fn unserved() -> (Written, Reader) {
        let (feed, inbox) = inbox();
        (Written { feed, end: None }, Reader { inbox })
    }

    /// As [`Reader::unserved`], for one who passes the stream on: the call that ends it comes too, to be answered when
    /// it has ended there.
    pub(crate) fn passing() -> (Written, Reader, oneshot::Receiver<Call>) {
        let (feed, inbox) = inbox();
        let (end, ended) = oneshot::channel();
        (Written { feed, end: Some(end) }, Reader { inbox }, ended)
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Cancellation
    /// Safe: no bytes are lost.
    ///
    /// # Errors
    /// The writer broke off.
    pub async fn read(&mut self) -> Result<Option<Bytes>, StreamError> {
        self.next().await.transpose()
    }

    /// Wants no more: the writer is told why.
    pub fn refuse(self, why: Exception) {
        self.inbox.refuse(why);
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inbox.poll_take(cx).map(|taken| match taken {
            Ok(bytes) => Some(Ok(bytes)),
            Err(End::Whole) => None,
            Err(End::Broken(why)) => Some(Err(StreamError::Truncated(why))),
        })
    }
}
