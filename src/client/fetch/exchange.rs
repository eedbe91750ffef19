//! One request on its way, up to the head of its answer.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use capnp::traits::HasTypeId;
use http::{Request, Response, StatusCode};
use tokio::sync::oneshot;

use super::Answer;
use super::answered::Answered;
use super::cf::Cf;
use super::context::{self, Start};
use super::error::FetchError;
use super::upload::Upload;
use crate::client::body::Body;
use crate::client::entrypoint::Entrypoint;
use crate::client::event::Event;
use crate::client::websocket::Ground;
use crate::net::local::{self, Pending, RpcError, Stub};
use crate::schema::http_over_capnp_capnp::http_service;
use crate::schema::worker_interface_capnp::event_dispatcher;
use crate::wire::exception::Exception;
use crate::wire::http::{HeadError, fill_request, texts};

const DISPATCHER: u64 = event_dispatcher::Client::TYPE_ID;
const GET_HTTP_SERVICE: u16 = 0;
const HTTP: u64 = http_service::Client::TYPE_ID;
const REQUEST: u16 = 1;

/// A request that was sent. Dropped, it is cancelled.
pub(super) struct Exchange {
    /// The call of the request. It is answered when all is over, and says whether all went well.
    over: Option<Pending>,
    /// What it said, if that was seen before what came first.
    outcome: Option<Result<(), FetchError>>,
    upload: Upload,
    /// Held as long as the request: it is the event's.
    _event: (Event, Stub),
}

/// Sends a request and waits for the head of its answer.
pub(super) async fn exchange(to: &Entrypoint, request: Request<Body>) -> Result<Answer, FetchError> {
    let (tell, start) = oneshot::channel();
    let mut exchange = send(to, request, tell).await?;
    let mut start = Some(start);
    match poll_fn(|cx| exchange.poll_start(cx, &mut start)).await? {
        Start::Response { head, length, body } => {
            let body = match body {
                Some(reader) => Body::far(Answered::new(exchange.set_apart(), reader, length)),
                None => {
                    // Nothing is left but to hear that all went well.
                    poll_fn(|cx| exchange.poll_over(cx)).await?;
                    Body::empty()
                }
            };
            Ok(Answer::Response(head.map(|()| body)))
        }
        Start::WebSocket { headers, to, ear } => {
            let mut head = Response::new(());
            *head.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            *head.headers_mut() = headers;
            Ok(Answer::WebSocket(head, ear.open(to, exchange.set_apart())))
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
    Ok(Exchange { over: Some(over), outcome: None, upload, _event: (event, http) })
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

type Starting = Option<oneshot::Receiver<Result<Start, HeadError>>>;

/// The head, if it is there.
fn poll_once(starting: &mut Starting, cx: &mut Context<'_>) -> Option<Result<Start, FetchError>> {
    match Pin::new(starting.as_mut()?).poll(cx) {
        Poll::Ready(Ok(start)) => Some(start.map_err(FetchError::Answer)),
        // The context is gone, and the call's own answer will say why.
        Poll::Ready(Err(_)) => {
            *starting = None;
            None
        }
        Poll::Pending => None,
    }
}

impl Exchange {
    /// Moves the upload on while the answer is awaited.
    fn poll_start(&mut self, cx: &mut Context<'_>, start: &mut Starting) -> Poll<Result<Start, FetchError>> {
        if let Some(start) = poll_once(start, cx) {
            return Poll::Ready(start);
        }
        let outcome = ready!(self.poll_over(cx));
        // The head came before it: it may have come in between.
        match poll_once(start, cx) {
            Some(start) => {
                self.outcome = Some(outcome);
                Poll::Ready(start)
            }
            None => Poll::Ready(Err(outcome.err().unwrap_or(FetchError::NoAnswer))),
        }
    }

    /// Whether the request is over.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        if let Poll::Ready(error) = self.upload.poll_failure(cx) {
            self.over = None;
            return Poll::Ready(Err(FetchError::Body(error)));
        }
        if let Some(outcome) = self.outcome.take() {
            return Poll::Ready(outcome);
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

    /// Keeps an outcome for the next [`Exchange::poll_over`].
    pub fn put_back(&mut self, error: FetchError) {
        self.outcome = Some(Err(error));
    }

    fn set_apart(mut self) -> Self {
        self.upload = self.upload.set_apart();
        self
    }
}

/// A WebSocket ends with the request that it came of.
impl Ground for Exchange {
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<Exception> {
        match ready!(self.poll_over(cx)) {
            // What was sent before is still to be read.
            Ok(()) => Poll::Pending,
            Err(FetchError::Event(error)) => Poll::Ready(error.into_exception()),
            Err(error) => Poll::Ready(Exception::failed(error)),
        }
    }
}
