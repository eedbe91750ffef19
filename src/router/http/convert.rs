//! An event whose target does not speak HTTP: the same request over Cap'n Proto, and the answer back.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use sha1::{Digest, Sha1};

use super::body::{ConvertedBody, FaceBody, RequestBody};
use super::forward::{Forwarded, Sent, Then};
use super::page;
use super::route::{Asked, Lease, Upstream};
use super::sessions::Sessions;
use super::websocket::Bridge;
use crate::client::{Answer, Body, Cf, FetchError};
use crate::net::local::RpcError;
use crate::wire::exception::Kind;

/// Headers that belong to a connection: those of one side say nothing about the other. What opens a WebSocket is not
/// among them, since a worker sees that of its HTTP socket too.
const HOP: [HeaderName; 6] = [
    HeaderName::from_static("keep-alive"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    // The length of the body is told apart from the head.
    header::CONTENT_LENGTH,
    // There are none between us and the target.
    header::SEC_WEBSOCKET_EXTENSIONS,
];

/// An answer that came over Cap'n Proto.
pub(super) struct Converted {
    answer: Answer,
    /// What proves to the caller that its WebSocket is open.
    accept: Option<HeaderValue>,
}

/// Sends a request to what `asked` names behind the debug port of `upstream`.
pub(super) async fn convert(
    sessions: &Sessions,
    upstream: &Upstream,
    asked: &Arc<Asked>,
    request: Request<RequestBody>,
    cf: Option<&HeaderValue>,
) -> Sent {
    let entrypoint = match sessions.entrypoint(&upstream.socket, asked).await {
        Ok(entrypoint) => entrypoint,
        Err(error) => return Sent::Refused(Box::new(request), error.to_string()),
    };
    let accept = accept(request.headers());
    match entrypoint.send(outgoing(request, cf)).await {
        Ok(answer) => Sent::Converted(Box::new(Converted { answer, accept })),
        Err(error) => failed(&error, &upstream.label),
    }
}

impl Converted {
    /// What the caller gets; `upgrade` is its side of a WebSocket.
    pub(super) fn finish(self, upgrade: Option<OnUpgrade>, lease: Arc<dyn Lease>) -> Forwarded {
        match (self.answer, self.accept, upgrade) {
            (Answer::Response(mut response), ..) => {
                strip(response.headers_mut());
                response.headers_mut().remove(header::CONNECTION);
                response.map(|body| FaceBody::Converted(ConvertedBody::new(body, lease))).into()
            }
            (Answer::WebSocket(head, target), Some(accept), Some(caller)) => {
                let response = switching(head, accept).map(|()| FaceBody::text(Bytes::new()));
                Forwarded { response, then: Some(Then::Bridge(Box::new(Bridge { caller, target, lease }))) }
            }
            (Answer::WebSocket(..), ..) => {
                let text = "The request asks for a WebSocket without the header `sec-websocket-key`.";
                page::error(StatusCode::BAD_REQUEST, "unsupported", text.to_owned()).into()
            }
        }
    }
}

/// The request as its target shall see it.
fn outgoing(request: Request<RequestBody>, cf: Option<&HeaderValue>) -> Request<Body> {
    let empty = request.headers().get(header::CONTENT_LENGTH).filter(|length| *length == "0").cloned();
    let mut request = request.map(Body::wrap);
    if !wants_web_socket(request.headers()) {
        request.headers_mut().remove(header::CONNECTION);
        request.headers_mut().remove(header::UPGRADE);
    }
    strip(request.headers_mut());
    if let Some(empty) = empty {
        // A body of no bytes is one, to a worker. One that is said to have none is not.
        request.headers_mut().insert(header::CONTENT_LENGTH, empty);
        *request.body_mut() = Body::stream(None, futures::stream::empty::<Result<Bytes, Infallible>>());
    }
    // hyper's notes on the connection among them.
    request.extensions_mut().clear();
    if let Some(cf) = cf {
        request.extensions_mut().insert(Cf::new(String::from_utf8_lossy(cf.as_bytes())));
    }
    request
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP {
        headers.remove(name);
    }
}

fn wants_web_socket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The proof that a WebSocket was meant (RFC 6455, section 4.2.2); nothing without the key that it is of.
fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    let hash = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    HeaderValue::try_from(STANDARD.encode(hash)).ok()
}

/// The head with which a WebSocket is opened.
fn switching(head: Response<()>, accept: HeaderValue) -> Response<()> {
    let mut head = head;
    *head.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    strip(head.headers_mut());
    let headers = head.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    head
}

/// How a failed event looks over HTTP: as the target's own HTTP socket would answer it.
fn failed(error: &FetchError, label: &str) -> Sent {
    let lost = |why: String| Sent::Broken(why);
    match error {
        FetchError::Event(RpcError::Disconnected(exception)) if !exception.reason.starts_with("remote.") => {
            lost(exception.reason.clone())
        }
        FetchError::Event(error) => match error.exception().map(|exception| exception.kind) {
            Some(Kind::Overloaded) => Sent::Page(page::failed(StatusCode::SERVICE_UNAVAILABLE)),
            Some(Kind::Unimplemented) => Sent::Page(page::failed(StatusCode::NOT_IMPLEMENTED)),
            Some(_) => Sent::Page(page::failed(StatusCode::INTERNAL_SERVER_ERROR)),
            None => lost(error.to_string()),
        },
        FetchError::Request(error) => {
            Sent::Page(page::error(StatusCode::BAD_REQUEST, "unsupported", format!("{error}.")))
        }
        error => {
            let text = format!("{label} gave no answer: {error}.");
            Sent::Page(page::error(StatusCode::BAD_GATEWAY, "no-answer", text))
        }
    }
}
