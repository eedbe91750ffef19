//! The addresses of sessions on this machine: what browsers and curl send there goes to their newest generations.
//!
//! The router listens, and not the session's process: so the address is there while processes come and go, events wait
//! for a process that is starting, and none is taken once the router drains.

use std::convert::Infallible;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Request, Version};
use serde_json::json;

use super::forward::{self, Forwarded, Then};
use super::page::Page;
use super::pool::Upstreams;
use super::route::Route;
use super::settings;
use super::stream::Stream;
use super::upgrade::TunnelError;
use crate::net::Lifetime;

/// Says where a request from outside goes.
pub trait Choose: Send + Sync + 'static {
    /// What it may go by.
    type Route: Route;

    /// The route of a request, or the answer to it.
    fn choose<B>(&self, request: &Request<B>) -> Result<Arc<Self::Route>, Page>;
}

/// Everything goes one way, which may change.
pub struct Led<R>(ArcSwap<R>);

impl<R: Route> Led<R> {
    /// Events go by `route`.
    pub fn new(route: R) -> Self {
        Self(ArcSwap::from_pointee(route))
    }

    /// Events that begin from now on go by `route`.
    pub fn lead(&self, route: R) {
        self.0.store(Arc::new(route));
    }
}

impl<R: Route> Choose for Arc<Led<R>> {
    type Route = R;

    fn choose<B>(&self, _request: &Request<B>) -> Result<Arc<R>, Page> {
        Ok(self.0.load_full())
    }
}

/// The ingress of one session, or of several.
pub struct Ingress<C> {
    choose: C,
    upstreams: Upstreams,
    lifetime: Lifetime,
}

impl<C: Choose> Ingress<C> {
    /// An ingress whose events go as `choose` says.
    pub fn new(choose: C, upstreams: Upstreams, lifetime: Lifetime) -> Arc<Self> {
        Arc::new(Self { choose, upstreams, lifetime })
    }

    /// Serves one connection that was accepted elsewhere, on the current runtime.
    pub fn accept(self: &Arc<Self>, socket: TcpStream) {
        let ingress = self.clone();
        self.lifetime.spawn(async move {
            if let Err(error) = ingress.connection(socket).await {
                tracing::debug!(%error, "a connection from outside ended");
            }
        });
    }

    async fn connection(&self, socket: TcpStream) -> Result<(), TunnelError> {
        let cf = cf(&socket);
        let stream = open(socket)?;
        let next: Mutex<Option<Then>> = Mutex::new(None);
        let service = service_fn(|mut request: Request<_>| async {
            // The version is a matter of each connection; ours to the session is always the same.
            *request.version_mut() = Version::HTTP_11;
            let Forwarded { response, then } = match self.choose.choose(&request) {
                Ok(route) => forward::forward(&*route, &self.upstreams, cf.clone(), request).await,
                Err(page) => page.response().into(),
            };
            if then.is_some() {
                *next.lock().unwrap_or_else(PoisonError::into_inner) = then;
            }
            Ok::<_, Infallible>(response)
        });
        settings::serve(stream, service, &self.lifetime).await?;
        let next = next.into_inner().unwrap_or_else(PoisonError::into_inner);
        match next {
            Some(then) => then.run().await,
            None => Ok(()),
        }
    }
}

/// What workerd says of a caller that reaches it over TCP.
fn cf(socket: &TcpStream) -> Option<HeaderValue> {
    let address = socket.peer_addr().ok()?.to_string();
    HeaderValue::try_from(json!({ "clientIp": address }).to_string()).ok()
}

fn open(socket: TcpStream) -> io::Result<Stream> {
    // Answers are written as they come, and the last part of one must not wait for an acknowledgement.
    socket.set_nodelay(true)?;
    Stream::new(socket)
}
