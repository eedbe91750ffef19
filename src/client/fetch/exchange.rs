//! One request on its way, up to the head of its answer.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use capnp::traits::HasTypeId;
use http::{Request, Response};
use tokio::sync::oneshot;

use super::answered::Answered;
use super::cf::Cf;
use super::context::{self, Start};
use super::error::FetchError;
use super::upload::Upload;
use crate::client::body::Body;
use crate::client::entrypoint::Entrypoint;
use crate::client::event::Event;
use crate::net::local::{self, Pending, RpcError, Stub};
use crate::schema::http_over_capnp_capnp::http_service;
use crate::schema::worker_interface_capnp::event_dispatcher;
use crate::wire::http::{HeadError, fill_request, texts};

const DISPATCHER: u64 = event_dispatcher::Client::TYPE_ID;
const GET_HTTP_SERVICE: u16 = 0;
const HTTP: u64 = http_service::Client::TYPE_ID;
const REQUEST: u16 = 1;

/// A request that was sent. Dropped, it is cancelled.
pub(super) struct Exchange {
    /// The call of the request. It is answered when all is over, and says whether all went well.
    pub over: Option<Pending>,
    pub upload: Upload,
    /// Held as long as the request: it is the event's.
    _event: (Event, Stub),
}

/// Sends a request and waits for the head of its answer.
pub(super) async fn exchange(to: &Entrypoint, request: Request<Body>) -> Result<Response<Body>, FetchError> {
    let (tell, start) = oneshot::channel();
    let mut exchange = send(to, request, tell).await?;
    let mut start = Some(start);
    let start = poll_fn(|cx| exchange.poll_start(cx, &mut start)).await?;
    match start {
        Start::Response { head, length, body } => {
            let body = match body {
                Some(reader) => Body::far(Answered::new(exchange.set_apart(), reader, length)),
                None => {
                    // Nothing is left but to hear that all went well.
                    poll_fn(|cx| exchange.poll_over(cx)).await?;
                    Body::empty()
                }
            };
            Ok(head.map(|()| body))
        }
    }
}

async fn send(
    to: &Entrypoint,
    request: Request<Body>,
    tell: oneshot::Sender<Result<Start, HeadError>>,
) -> Result<Exchange, FetchError> {
    let (parts, body) = request.into_parts();
    let context = to.session().peer().serve(context::Context(Some(tell)));
    let params = params(&parts, &body, &context)?;
    drop(context);
    let cf = parts.extensions.get::<Cf>().map(Cf::as_str);
    let event = to.event_with_cf(cf).await?;
    let http =
        event.dispatcher().start(DISPATCHER, GET_HTTP_SERVICE, local::Body::empty()).await?.pipeline(&[0]);
    let over = http.start(HTTP, REQUEST, params).await?;
    let upload = match body.length() {
        Some(0) => Upload::Over,
        _ => Upload::new(body, over.pipeline(&[0])),
    };
    Ok(Exchange { over: Some(over), upload, _event: (event, http) })
}

fn params(parts: &http::request::Parts, body: &Body, context: &Stub) -> Result<local::Body, FetchError> {
    let bytes = parts.uri.path().len() + parts.uri.query().map_or(0, str::len) + texts(&parts.headers);
    let wrong = std::cell::Cell::new(None);
    let built = local::Body::sized::<http_service::request_params::Owned>(bytes, |mut params, caps| {
        params.set_context(caps.client(context));
        let mut request = params.init_request();
        let length = body.length();
        wrong.set(fill_request(&mut request, &parts.method, &parts.uri, &parts.headers, length).err());
        Ok(())
    });
    match wrong.into_inner() {
        Some(error) => Err(FetchError::Request(error)),
        None => Ok(built?),
    }
}

impl Exchange {
    /// Moves the upload on while the answer is awaited.
    fn poll_start(
        &mut self,
        cx: &mut Context<'_>,
        start: &mut Option<oneshot::Receiver<Result<Start, HeadError>>>,
    ) -> Poll<Result<Start, FetchError>> {
        // The answer comes before the call's own, so it is looked for after that: both may be there.
        let over = self.poll_over(cx);
        match start.as_mut().map(|start| Pin::new(start).poll(cx)) {
            Some(Poll::Ready(Ok(start))) => return Poll::Ready(start.map_err(FetchError::Answer)),
            // The context is gone, and the call's own answer will say why.
            Some(Poll::Ready(Err(_))) => *start = None,
            Some(Poll::Pending) | None => {}
        }
        match over {
            Poll::Ready(Ok(())) => Poll::Ready(Err(FetchError::NoAnswer)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Whether the request is over.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        if let Poll::Ready(error) = self.upload.poll_failure(cx) {
            self.over = None;
            return Poll::Ready(Err(FetchError::Body(error)));
        }
        let Some(over) = &mut self.over else { return Poll::Ready(Ok(())) };
        match Pin::new(over).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(answer) => {
                // The far side reads no more.
                self.over = None;
                self.upload = Upload::Over;
                Poll::Ready(answer.map(drop).map_err(RpcError::into))
            }
        }
    }

    fn set_apart(mut self) -> Self {
        self.upload = self.upload.set_apart();
        self
    }
}
