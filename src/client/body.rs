use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures::{Stream, TryStream, TryStreamExt};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use super::fetch::Answered;
use super::stream::plain;
use crate::wire::exception::Exception;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request or an answer: a stream of bytes, whose length may be known beforehand.
///
/// One that comes from a worker is read as it is polled, and slows the worker if it is not; dropped before its end, it
/// cancels what the worker is doing for it.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Whole(Bytes),
    // Nobody waits for these locks: they make the body `Sync`, and so an error that has one.
    Ours(Mutex<Pin<Box<dyn hyper::body::Body<Data = Bytes, Error = Error> + Send>>>),
    Far(Box<Mutex<Answered>>),
}

/// Why a body is not whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The far side failed in the middle of it, or the way to it broke. What came is a beginning.
    #[error("the body broke off, and what came of it is not whole: {}", plain(.0))]
    Truncated(Exception),
    /// It came to an end, and has another length than its head said.
    #[error("the body has {found} bytes, and its head said {said}")]
    Length {
        /// As its head said.
        said: u64,
        /// As it came, so far.
        found: u64,
    },
    /// What was to be sent could not be read here.
    #[error("the body that was to be sent failed: {0}")]
    Source(#[source] Error),
}

impl Body {
    /// None at all.
    pub fn empty() -> Self {
        Body(Kind::Empty)
    }

    /// Of a stream. Without a `length` the receiver learns of its end when it comes.
    pub fn stream<S>(length: Option<u64>, stream: S) -> Self
    where
        S: TryStream<Ok = Bytes> + Send + 'static,
        S::Error: Into<Error>,
    {
        Body(Kind::Ours(Mutex::new(Box::pin(OfStream {
            length,
            stream: Box::pin(stream.map_err(Into::into)),
        }))))
    }

    /// Of any other body, such as that of a request that came in over HTTP.
    pub fn wrap<B>(body: B) -> Self
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        match body.is_end_stream() {
            true => Body(Kind::Empty),
            false => Body(Kind::Ours(Mutex::new(Box::pin(body.map_err(Into::into))))),
        }
    }

    pub(super) fn far(answered: Answered) -> Self {
        Body(Kind::Far(Box::new(Mutex::new(answered))))
    }

    /// Its length, where that is known beforehand.
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Kind::Empty => Some(0),
            Kind::Whole(bytes) => Some(bytes.len() as u64),
            Kind::Ours(body) => locked(body).size_hint().exact(),
            Kind::Far(body) => locked(body).length(),
        }
    }

    /// All of it.
    ///
    /// # Cancellation
    /// Dropping the future drops the body.
    ///
    /// # Errors
    /// It is not whole.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), jackfield::client::BodyError> {
    /// use futures::stream;
    /// use jackfield::client::Body;
    ///
    /// let parts = stream::iter(["a", "b"].map(|part| Ok::<_, std::io::Error>(part.into())));
    /// assert_eq!(Body::stream(None, parts).bytes().await?, "ab");
    /// # Ok(()) }
    /// ```
    pub async fn bytes(mut self) -> Result<Bytes, BodyError> {
        let Some(first) = self.try_next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.try_next().await? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(more) = self.try_next().await? {
            all.extend_from_slice(&more);
        }
        Ok(all.freeze())
    }

    /// All of it, as text. Bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Cancellation
    /// Dropping the future drops the body.
    ///
    /// # Errors
    /// It is not whole.
    pub async fn text(self) -> Result<String, BodyError> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let frame = match &mut self.0 {
                Kind::Empty => return Poll::Ready(None),
                Kind::Whole(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.0 = Kind::Empty;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Kind::Ours(body) => ready!(unlocked(body).as_mut().poll_frame(cx)),
                Kind::Far(body) => return unlocked(body).poll_bytes(cx),
            };
            match frame {
                None => return Poll::Ready(None),
                // A stream of another worker's says itself why it is not whole.
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(match error.downcast::<BodyError>() {
                        Ok(error) => *error,
                        Err(error) => BodyError::Source(error),
                    })));
                }
                // Trailers have no place in what workers send each other.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                    Err(_) => continue,
                },
            }
        }
    }
}

fn locked<T>(inner: &Mutex<T>) -> MutexGuard<'_, T> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unlocked<T>(inner: &mut Mutex<T>) -> &mut T {
    inner.get_mut().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "Body({length} bytes)"),
            None => f.write_str("Body(of unknown length)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body(if bytes.is_empty() { Kind::Empty } else { Kind::Whole(bytes) })
    }
}

macro_rules! from_bytes {
    ($($type:ty),*) => {$(
        impl From<$type> for Body {
            fn from(bytes: $type) -> Self {
                Bytes::from(bytes).into()
            }
        }
    )*};
}

from_bytes!(&'static str, &'static [u8], String, Vec<u8>);

impl Stream for Body {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_bytes(cx)
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_bytes(cx).map(|bytes| bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Kind::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

struct OfStream<S> {
    length: Option<u64>,
    stream: Pin<Box<S>>,
}

impl<S: TryStream<Ok = Bytes, Error = Error>> hyper::body::Body for OfStream<S> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.stream.as_mut().try_poll_next(cx).map(|bytes| bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
