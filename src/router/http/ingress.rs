//! The address of a session on this machine: what browsers and curl send there goes to its newest generation.
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
use super::pool::Upstreams;
use super::route::Route;
use super::settings;
use super::stream::Stream;
use super::upgrade::TunnelError;
use crate::net::Lifetime;

/// The ingress of one session.
pub struct Ingress<R> {
    route: ArcSwap<R>,
    upstreams: Upstreams,
    lifetime: Lifetime,
}

impl<R: Route> Ingress<R> {
    /// An ingress whose events go by `route`.
    pub fn new(route: R, upstreams: Upstreams, lifetime: Lifetime) -> Arc<Self> {
        Arc::new(Self { route: ArcSwap::from_pointee(route), upstreams, lifetime })
    }

    /// Events that begin from now on go by `route`.
    pub fn lead(&self, route: R) {
        self.route.store(Arc::new(route));
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
            let Forwarded { response, then } =
                forward::forward(&*self.route.load_full(), &self.upstreams, cf.clone(), request).await;
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
