//! One event on its way: route, send, answer.

use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue, UPGRADE};
use hyper::http::uri::Scheme;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};

use super::body::{FaceBody, RequestBody, ResponseBody};
use super::convert::{Converted, convert};
use super::pool::{Lent, Unsent, Upstreams};
use super::route::{EventKind, EventMeta, Lease, Refusal, Route, Routed, Speaks, Upstream};
use super::upgrade::{Tunnel, TunnelError};
use super::websocket::Bridge;
use super::{headers, page};

/// What an event came to: the answer, and what follows it if the target agreed to an upgrade.
pub(super) struct Forwarded {
    pub(super) response: Response<FaceBody>,
    pub(super) then: Option<Then>,
}

/// What follows an answer on the same connection.
pub(super) enum Then {
    Tunnel(Tunnel),
    Bridge(Box<Bridge>),
}

impl Then {
    /// Passes on what comes, to the end.
    ///
    /// # Cancellation
    /// Dropping the future closes both sides.
    pub(super) async fn run(self) -> Result<(), TunnelError> {
        match self {
            Then::Tunnel(tunnel) => tunnel.run().await,
            Then::Bridge(bridge) => bridge.run().await,
        }
    }
}

impl From<Response<FaceBody>> for Forwarded {
    fn from(response: Response<FaceBody>) -> Self {
        Self { response, then: None }
    }
}

/// Takes one request through `route` to an upstream, with `cf` for the target.
///
/// # Cancellation
/// Dropping the future, which hyper does when the caller goes away, aborts the exchange with the upstream.
pub(super) async fn forward<R: Route>(
    route: &R,
    upstreams: &Upstreams,
    cf: Option<HeaderValue>,
    mut request: Request<Incoming>,
) -> Forwarded {
    let began = Instant::now();
    let kind = kind(&request);
    let caller = (kind != EventKind::Fetch).then(|| hyper::upgrade::on(&mut request));
    let bytes = headers::size(request.headers());
    let mut request = request.map(RequestBody::new);
    // A browser does not send the whole URL.
    let short =
        (kind != EventKind::Connect && request.uri().scheme().is_none()).then(|| request.uri().clone());
    let mut refused: Option<Refusal> = None;

    loop {
        let meta = EventMeta {
            kind,
            method: request.method(),
            uri: request.uri(),
            began,
            bytes,
            refused: refused.as_ref(),
        };
        let Routed { upstream, lease } = match route.begin(&meta).await {
            Ok(routed) => routed,
            Err(error) => return page::error(error.status(), error.kind(), error.to_string()).into(),
        };
        if let Some(refusal) = refused.take() {
            if refusal.upstream.socket == upstream.socket {
                return page::refused(&refusal).into();
            }
            if let Speaks::Http { cf_header, .. } = &refusal.upstream.speaks {
                request.headers_mut().remove(cf_header);
            }
        }
        request.body_mut().hold(lease.clone());
        if let Some(short) = &short {
            let is_front = matches!(upstream.speaks, Speaks::Http { is_front: true, .. });
            let whole = (!is_front).then(|| whole(short, request.headers())).flatten();
            *request.uri_mut() = whole.unwrap_or_else(|| short.clone());
        }

        let sent = async {
            match &upstream.speaks {
                Speaks::Http { cf_header, .. } => {
                    headers::put_cf(request.headers_mut(), cf_header, cf.as_ref());
                    send(upstreams, &upstream, request).await
                }
                Speaks::Capnp(_) if kind == EventKind::Connect => {
                    Sent::Page(page::no_connect(&upstream.label))
                }
                Speaks::Capnp(asked) => {
                    convert(upstreams.sessions(), &upstream, asked, request, cf.as_ref()).await
                }
            }
        };
        let sent = tokio::select! {
            biased;
            () = lease.cut().cancelled() => return page::cut(&upstream.label).into(),
            sent = sent => sent,
        };
        match sent {
            Sent::Answered(response, connection) => {
                let tunnelled = match kind {
                    EventKind::Connect => response.status().is_success(),
                    EventKind::WebSocket => response.status() == StatusCode::SWITCHING_PROTOCOLS,
                    EventKind::Fetch => false,
                };
                return answer(*response, connection, caller.filter(|_| tunnelled), kind, lease);
            }
            Sent::Converted(converted) => return converted.finish(caller, lease),
            Sent::Broken(why) => {
                return page::broken(&upstream.label, &why, lease.broken(&why)).into();
            }
            Sent::Page(page) => return page.into(),
            Sent::Refused(returned, why) => {
                tracing::debug!(upstream = %upstream.label, why, "an upstream did not take an event");
                refused = Some(Refusal { upstream, why });
                request = *returned;
            }
        }
    }
}

/// The URL of a request that has only its path.
fn whole(short: &Uri, headers: &HeaderMap) -> Option<Uri> {
    let host = headers.get(HOST)?;
    let path = short.path_and_query()?.clone();
    Uri::builder().scheme(Scheme::HTTP).authority(host.as_bytes()).path_and_query(path).build().ok()
}

fn kind(request: &Request<Incoming>) -> EventKind {
    if request.method() == Method::CONNECT {
        EventKind::Connect
    } else if request.headers().contains_key(UPGRADE) {
        EventKind::WebSocket
    } else {
        EventKind::Fetch
    }
}

/// What came of an attempt.
pub(super) enum Sent {
    Answered(Box<Response<Incoming>>, Lent),
    Converted(Box<Converted>),
    /// It was delivered, and the way to the target broke.
    Broken(String),
    /// An answer of ours.
    Page(Response<FaceBody>),
    /// Nothing was delivered.
    Refused(Box<Request<RequestBody>>, String),
}

/// Sends over an idle connection, or a new one. A connection that ended before hyper wrote the first byte hands the
/// request back, and the next one is taken; a new connection that does so is a refusal.
async fn send(upstreams: &Upstreams, upstream: &Upstream, request: Request<RequestBody>) -> Sent {
    let mut request = request;
    while let Some(mut connection) = upstreams.reuse(&upstream.socket) {
        match connection.send(request).await {
            Ok(response) => return Sent::Answered(Box::new(response), connection),
            Err(Unsent::Broken(error)) => return Sent::Broken(error.to_string()),
            Err(Unsent::Returned(returned)) => request = *returned,
        }
    }
    let mut connection = match upstreams.open(&upstream.socket).await {
        Ok(connection) => connection,
        Err(error) => return Sent::Refused(Box::new(request), error.to_string()),
    };
    match connection.send(request).await {
        Ok(response) => Sent::Answered(Box::new(response), connection),
        Err(Unsent::Broken(error)) => Sent::Broken(error.to_string()),
        Err(Unsent::Returned(returned)) => {
            Sent::Refused(returned, "it closed the connection before the request was written".to_owned())
        }
    }
}

fn answer(
    response: Response<Incoming>,
    connection: Lent,
    caller: Option<hyper::upgrade::OnUpgrade>,
    kind: EventKind,
    lease: Arc<dyn Lease>,
) -> Forwarded {
    let mut response = response;
    let tunnel = caller.map(|caller| Tunnel {
        caller,
        upstream: hyper::upgrade::on(&mut response),
        speaks_frames: kind == EventKind::WebSocket,
        lease: lease.clone(),
    });
    Forwarded {
        response: response.map(|body| FaceBody::Passing(ResponseBody::new(body, lease, connection))),
        then: tunnel.map(Then::Tunnel),
    }
}
