//! A handler as an HTTP service.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use capnp::traits::HasTypeId;
use futures::{FutureExt, TryStreamExt};
use http::header::UPGRADE;
use http::{Method, Request, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::event::Event;
use super::handler::Reply;
use crate::client::body::Body;
use crate::client::fetch::{CONTEXT, START_RESPONSE, START_WEB_SOCKET};
use crate::client::rpc::panicked;
use crate::client::stream::{Reader, Writer};
use crate::client::websocket::{Ear, Ground, WebSocket};
use crate::net::local::{self, Call, Pending, RpcError, Stub};
use crate::schema::http_over_capnp_capnp::http_service;
use crate::schema::http_over_capnp_capnp::http_service::client_request_context;
use crate::wire::exception::Exception;
use crate::wire::http::{HeadError, Length, count, fill_headers, fill_response, read_request, texts};

const HTTP: u64 = http_service::Client::TYPE_ID;
const REQUEST: u16 = 1;

/// Takes one request.
pub(super) struct Service {
    event: Option<Event>,
}

impl Service {
    pub fn new(event: Event) -> Self {
        Service { event: Some(event) }
    }
}

impl local::Handler for Service {
    fn call(&mut self, call: Call) {
        if (call.interface, call.method) != (HTTP, REQUEST) {
            return call.unimplemented();
        }
        let Some(event) = self.event.take() else {
            return call.fail(Exception::failed("The HTTP service of an event takes one request."));
        };
        let (request, context, upload) = match request(&call, &event) {
            Ok(request) => request,
            Err(error) => return call.fail(error),
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return call.fail(Exception::disconnected("There is no runtime to serve the request."));
        };
        // Owned by the call: whoever gives that up ends it.
        let canceled = call.canceled().clone();
        let serve = serve(event, request, context, upload, call);
        drop(runtime.spawn(async move { canceled.run_until_cancelled_owned(serve).await }));
    }
}

/// The request, its context, and what its body is written to.
fn request(call: &Call, event: &Event) -> Result<(Request<Body>, Stub, Option<Stub>), Exception> {
    let read = call.params().read::<http_service::request_params::Owned, _>(|params, caps| {
        let context = caps.stub(&params.get_context()?)?;
        Ok(params.get_request().map_err(HeadError::from).and_then(read_request).map(|head| (head, context)))
    });
    let ((head, length), context) = read.map_err(RpcError::into_exception)?.map_err(Exception::failed)?;
    let (upload, body) = match length {
        Some(0) => (None, Body::empty()),
        length => {
            let (stub, reader) = Reader::for_call(call);
            // The caller writes to it before it knows more of the answer.
            call.lead(&[0], &stub);
            (Some(stub), Body::stream(length, reader))
        }
    };
    let mut request = head.map(|()| body);
    if let Some(cf) = &event.cf {
        request.extensions_mut().insert(cf.clone());
    }
    Ok((request, context, upload))
}

async fn serve(event: Event, request: Request<Body>, context: Stub, upload: Option<Stub>, call: Call) {
    let asked = Asked {
        is_head: request.method() == Method::HEAD,
        upgrades: request.headers().contains_key(UPGRADE),
    };
    let reply = AssertUnwindSafe(event.handler.fetch(request, event.context)).catch_unwind().await;
    let answered = match reply.unwrap_or_else(|panic| Err(panicked(&*panic))) {
        Err(thrown) => Err(thrown.to_exception()),
        Ok(Reply::Response(response)) => answer(response, &asked, &context).await,
        Ok(Reply::WebSocket(..)) if !asked.upgrades => {
            let text = "The handler opens a WebSocket, which the request did not ask for.";
            Err(Exception::failed(text))
        }
        Ok(Reply::WebSocket(head, run)) => match open(head, &context, &call).await {
            Ok(socket) => {
                run(socket).await;
                Ok(())
            }
            Err(why) => Err(why),
        },
    };
    match answered {
        Ok(()) => call.respond(local::Body::stubs_only(upload)),
        Err(why) => call.fail(why),
    }
}

/// What an answer has to fit to.
struct Asked {
    is_head: bool,
    upgrades: bool,
}

/// Ready when the caller has taken all of the answer.
async fn answer(response: Response<Body>, asked: &Asked, context: &Stub) -> Result<(), Exception> {
    let (parts, mut body) = response.into_parts();
    let bare = asked.is_head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = if bare { Some(0) } else { body.length() };
    let started = start_response(&parts, length, context).await.map_err(RpcError::into_exception)?;
    if length == Some(0) {
        return started.await.map(drop).map_err(RpcError::into_exception);
    }
    let mut writer = Writer::new(started.pipeline(&[0]));
    while let Some(bytes) = body.try_next().await.map_err(Exception::failed)? {
        writer.write(bytes).await.map_err(|error| error.exception().clone())?;
    }
    writer.end().await.map_err(|error| error.exception().clone())
}

async fn start_response(
    parts: &http::response::Parts,
    length: Length,
    context: &Stub,
) -> Result<Pending, RpcError> {
    let bytes = texts(&parts.headers);
    let body =
        local::Body::sized::<client_request_context::start_response_params::Owned>(bytes, |params, _| {
            let reason = parts.extensions.get::<ReasonPhrase>();
            fill_response(&mut params.init_response(), parts.status, reason, &parts.headers, length);
            Ok(())
        })?;
    context.start(CONTEXT, START_RESPONSE, body).await
}

async fn open(head: Response<()>, context: &Stub, call: &Call) -> Result<WebSocket, Exception> {
    let (stub, ear) = Ear::for_call(call);
    let bytes = texts(head.headers());
    let body = local::Body::sized::<client_request_context::start_web_socket_params::Owned>(
        bytes,
        |mut params, caps| {
            fill_headers(&mut params.reborrow().init_headers(count(head.headers())), head.headers());
            params.set_up_socket(caps.client(&stub));
            Ok(())
        },
    );
    let body = body.map_err(RpcError::into_exception)?;
    let opened = context.start(CONTEXT, START_WEB_SOCKET, body).await.map_err(RpcError::into_exception)?;
    let canceled = Box::pin(call.canceled().clone().cancelled_owned());
    Ok(ear.open(opened.pipeline(&[0]), Caller(canceled)))
}

/// Who asked for a WebSocket.
struct Caller(Pin<Box<WaitForCancellationFutureOwned>>);

impl Ground for Caller {
    fn poll_broken(&mut self, cx: &mut TaskContext<'_>) -> Poll<Exception> {
        ready!(self.0.as_mut().poll(cx));
        Poll::Ready(Exception::disconnected("The caller has gone."))
    }
}
