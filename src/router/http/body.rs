//! Bodies on their way through. Nothing is held here: a frame is taken only when the other side wants it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::pool::Lent;
use super::route::Lease;
use crate::client;

/// Why a body ends before its end. The reader's connection is closed without a proper end, so that no worker takes
/// half a body for a whole one.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the link was re-targeted with --cut")]
    Cut,
    #[error(transparent)]
    Sender(#[from] hyper::Error),
    #[error(transparent)]
    Target(client::BodyError),
}

/// The request body: keeps the event's lease until the upload is over.
pub(super) struct RequestBody {
    inner: Incoming,
    _lease: Option<Arc<dyn Lease>>,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming) -> Self {
        Self { inner, _lease: None }
    }

    /// Ties the upload to the event. A request that is sent again belongs to the lease of the new attempt.
    pub(super) fn hold(&mut self, lease: Arc<dyn Lease>) {
        self._lease = (!self.inner.is_end_stream()).then_some(lease);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The response body: holds the event's lease and the upstream connection until it ends, and breaks when cut.
pub(super) struct ResponseBody {
    inner: Incoming,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    lease: Arc<dyn Lease>,
    // Given back to the pool by its drop, which comes after the last frame.
    _connection: Lent,
}

impl ResponseBody {
    pub(super) fn new(inner: Incoming, lease: Arc<dyn Lease>, connection: Lent) -> Self {
        let cut = Box::pin(lease.cut().clone().cancelled_owned());
        Self { inner, cut, lease, _connection: connection }
    }
}

/// The body of an answer that came over Cap'n Proto: holds the event's lease until it ends, and breaks when cut.
pub(super) struct ConvertedBody {
    inner: client::Body,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    lease: Arc<dyn Lease>,
}

impl ConvertedBody {
    pub(super) fn new(inner: client::Body, lease: Arc<dyn Lease>) -> Self {
        let cut = Box::pin(lease.cut().clone().cancelled_owned());
        Self { inner, cut, lease }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        Pin::new(&mut self.inner).poll_frame(cx).map(|frame| {
            frame.map(|frame| {
                frame.map_err(|error| {
                    self.lease.broken(&error.to_string());
                    BodyError::Target(error)
                })
            })
        })
    }
}

/// What a face sends: an answer passing through, one that was converted, or a text of ours.
pub(super) enum FaceBody {
    Passing(ResponseBody),
    Converted(ConvertedBody),
    Text(Option<Bytes>),
}

impl FaceBody {
    pub(super) fn text(text: Bytes) -> Self {
        Self::Text((!text.is_empty()).then_some(text))
    }
}

impl Body for FaceBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = match self.get_mut() {
            Self::Passing(body) => body,
            Self::Converted(body) => return body.poll_frame(cx),
            Self::Text(text) => return Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        };
        if body.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        Pin::new(&mut body.inner).poll_frame(cx).map(|frame| {
            frame.map(|frame| {
                frame.map_err(|error| {
                    body.lease.broken(&error.to_string());
                    BodyError::Sender(error)
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Passing(body) => body.inner.is_end_stream(),
            Self::Converted(body) => body.inner.is_end_stream(),
            Self::Text(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Passing(body) => body.inner.size_hint(),
            Self::Converted(body) => body.inner.size_hint(),
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
        }
    }
}
