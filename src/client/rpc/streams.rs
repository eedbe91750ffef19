//! The streams of JavaScript, as parts of values.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Sink, Stream, StreamExt};

use super::push::Pushed;
use super::scope::Tie;
use crate::client::body::{Body, BodyError};
use crate::client::stream::{Reader, StreamError, Writer, Written};
use crate::net::local::{RpcError, Stub};
use crate::wire::v8::{External, ExternalKind, JsValue};

/// What a value contains once: whoever takes it has it, and the value is empty then.
pub(super) struct Once<T>(Mutex<Option<T>>);

impl<T: Send + 'static> Once<T> {
    fn external(kind: ExternalKind, content: T) -> External {
        External::new(kind, Arc::new(Once(Mutex::new(Some(content)))))
    }

    /// Takes it out of a value; `None` also if it was taken before.
    pub fn take(external: &External) -> Option<T> {
        external.downcast_ref::<Once<T>>()?.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A `ReadableStream` of bytes: one that came in a value, or one to send.
///
/// It is read once. What came is read as it is polled, and slows its writer if it is not; dropped, it cancels it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), jackfield::client::BodyError> {
/// use jackfield::client::ReadableStream;
/// use jackfield::wire::v8::JsValue;
///
/// let value = JsValue::from(ReadableStream::new("some bytes"));
/// let stream = ReadableStream::take(&value).expect("it was not taken yet");
/// assert_eq!(stream.bytes().await?, "some bytes");
/// assert!(ReadableStream::take(&value).is_none());
/// # Ok(()) }
/// ```
pub struct ReadableStream(Readable);

enum Readable {
    Near(Body),
    /// It is claimed when it is read first.
    Unclaimed(Unclaimed),
    Claiming(Claiming, Tie),
    Reading {
        reader: Reader,
        said: Option<u64>,
        found: u64,
        _tie: Tie,
    },
    Broken(BodyError),
    Over,
}

type Claiming = BoxFuture<'static, Result<Pushed, RpcError>>;

impl ReadableStream {
    /// One to send: the bytes of a body, which is read while the far side reads. Its length is told, if it is known.
    pub fn new(body: impl Into<Body>) -> Self {
        ReadableStream(Readable::Near(body.into()))
    }

    /// Takes it out of a value: out of one of its clones, and all are without it then. `None` if the value is no such
    /// stream, or if it was taken or sent before.
    pub fn take(value: &JsValue) -> Option<Self> {
        value.as_external().and_then(Once::take)
    }

    pub(super) fn far(source: Stub, tie: Tie) -> Self {
        ReadableStream(Readable::Unclaimed(Unclaimed(Some((source, tie)))))
    }

    /// All of it.
    ///
    /// # Cancellation
    /// Dropping the future drops the stream.
    ///
    /// # Errors
    /// It is not whole.
    pub async fn bytes(self) -> Result<Bytes, BodyError> {
        self.into_body().bytes().await
    }

    /// How many bytes are still to come, if its writer has said so. That came with the stream, so it is there soon.
    /// Whoever gets the stream from here learns of it then, too.
    ///
    /// # Cancellation
    /// Safe: no bytes are lost.
    pub async fn length(&mut self) -> Option<u64> {
        poll_fn(|cx| self.poll_claimed(cx)).await;
        self.known_length()
    }

    fn known_length(&self) -> Option<u64> {
        match &self.0 {
            Readable::Near(body) => body.length(),
            Readable::Reading { said, found, .. } => said.map(|said| said.saturating_sub(*found)),
            Readable::Over => Some(0),
            Readable::Unclaimed(_) | Readable::Claiming(..) | Readable::Broken(_) => None,
        }
    }

    /// As a body, to be sent on or kept. It has the stream's length if [`ReadableStream::length`] has told that.
    pub fn into_body(self) -> Body {
        match self.0 {
            Readable::Near(body) => body,
            _ => Body::stream(self.known_length(), self),
        }
    }

    /// Ready when it can be read, or has failed.
    fn poll_claimed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Readable::Unclaimed(unclaimed) = &mut self.0 {
            self.0 = unclaimed.claim().map_or(Readable::Over, |(claim, tie)| Readable::Claiming(claim, tie));
        }
        if let Readable::Claiming(claim, tie) = &mut self.0 {
            self.0 = match ready!(claim.poll_unpin(cx)) {
                Ok(Pushed { reader, length }) => {
                    Readable::Reading { reader, said: length, found: 0, _tie: tie.clone() }
                }
                Err(error) => Readable::Broken(BodyError::Truncated(error.into_exception())),
            };
        }
        Poll::Ready(())
    }
}

impl Stream for ReadableStream {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.poll_claimed(cx));
        let last = match &mut self.0 {
            Readable::Near(body) => return body.poll_next_unpin(cx),
            Readable::Reading { reader, said, found, .. } => match ready!(reader.poll_next_unpin(cx)) {
                Some(Ok(bytes)) => {
                    *found += bytes.len() as u64;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Err(error)) => Some(Err(BodyError::Truncated(error.exception().clone()))),
                None => match said {
                    Some(said) if said != found => {
                        Some(Err(BodyError::Length { said: *said, found: *found }))
                    }
                    _ => None,
                },
            },
            _ => match std::mem::replace(&mut self.0, Readable::Over) {
                Readable::Broken(error) => Some(Err(error)),
                _ => None,
            },
        };
        self.0 = Readable::Over;
        Poll::Ready(last)
    }
}

/// A stream that nobody has begun to read. Its writer holds it as well as we do, so it is told when it is dropped.
struct Unclaimed(Option<(Stub, Tie)>);

impl Unclaimed {
    fn claim(&mut self) -> Option<(Claiming, Tie)> {
        let (source, tie) = self.0.take()?;
        let host = tie.host().clone();
        Some((async move { host.claims().claim(&source).await }.boxed(), tie))
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        let Some((claim, tie)) = self.claim() else { return };
        if let Some(runtime) = tie.host().runtime().cloned() {
            runtime.spawn(async move {
                // The reader refuses what is written by being dropped.
                drop(claim.await);
                drop(tie);
            });
        }
    }
}

impl fmt::Debug for ReadableStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadableStream")
    }
}

impl From<ReadableStream> for JsValue {
    fn from(stream: ReadableStream) -> Self {
        Once::external(ExternalKind::ReadableStream, stream).into()
    }
}

/// A `WritableStream` of bytes that came in a value. Its reader holds it up if it reads slowly.
///
/// It is complete once [`WritableStream::end`] says so; dropped before, its reader sees it break off.
///
/// One to send is made by [`WritableStream::channel`].
pub struct WritableStream {
    writer: Option<Writer>,
    to: Stub,
    /// After the writer, which is given back first.
    tie: Tie,
}

impl WritableStream {
    /// One to send, as a value, and where what is written to it comes out.
    pub fn channel() -> (JsValue, Reader) {
        let (written, reader) = Reader::unserved();
        (Once::external(ExternalKind::WritableStream, written).into(), reader)
    }

    /// Takes it out of a value: out of one of its clones, and all are without it then. `None` if the value is no such
    /// stream, if it was taken or sent before, or if it was made here.
    pub fn take(value: &JsValue) -> Option<Self> {
        value.as_external().and_then(Once::take)
    }

    pub(super) fn far(to: Stub, tie: Tie) -> Self {
        WritableStream { writer: None, to, tie }
    }

    /// What is written to; for passing it on.
    pub(super) fn into_stub(self) -> (Stub, Tie) {
        (self.to, self.tie)
    }

    fn writer(&mut self) -> &mut Writer {
        self.writer.get_or_insert_with(|| Writer::new(self.to.clone()))
    }

    /// Writes bytes. Ready when they are on their way.
    ///
    /// # Cancellation
    /// Not safe: some of the bytes may have been sent, and the rest goes with the next write.
    ///
    /// # Errors
    /// The far side takes no more.
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<(), StreamError> {
        self.writer().write(bytes.into()).await
    }

    /// Ends the stream. Ready when the far side has taken everything.
    ///
    /// # Cancellation
    /// Safe: it may be called again.
    ///
    /// # Errors
    /// The far side does not take all of it.
    pub async fn end(&mut self) -> Result<(), StreamError> {
        self.writer().end().await
    }
}

impl Sink<Bytes> for WritableStream {
    type Error = StreamError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        Pin::new(self.writer()).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, bytes: Bytes) -> Result<(), StreamError> {
        Pin::new(self.writer()).start_send(bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        Pin::new(self.writer()).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        Pin::new(self.writer()).poll_close(cx)
    }
}

impl fmt::Debug for WritableStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WritableStream")
    }
}

impl From<WritableStream> for JsValue {
    fn from(stream: WritableStream) -> Self {
        Once::external(ExternalKind::WritableStream, stream).into()
    }
}

/// The near side of [`WritableStream::channel`], to be served to whoever gets the value.
pub(super) fn take_near(external: &External) -> Option<Written> {
    Once::take(external)
}

pub(super) fn take_writable(external: &External) -> Option<WritableStream> {
    Once::take(external)
}

pub(super) fn take_readable(external: &External) -> Option<ReadableStream> {
    Once::take(external)
}
