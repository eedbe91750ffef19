//! The face itself: accepts a caller's connections and tells Cap'n Proto, connect events and requests apart.

use std::convert::Infallible;
use std::os::unix::net;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::{UnixListener, UnixStream};

use super::body::FaceBody;
use super::forward::{self, Forwarded, Then};
use super::headers;
use super::page;
use super::pool::Upstreams;
use super::route::Route;
use super::settings;
use super::stream::Stream;
use super::upgrade::{self, Opened, TunnelError};
use crate::net::Lifetime;

/// Out of file descriptors: wait for some to come back rather than spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// What a face knows about its caller.
#[derive(Clone, Debug)]
pub struct FaceConfig {
    /// The link, for messages.
    pub link: String,
    /// The `capnpConnectHost` in the caller's config: a name without a port.
    pub capnp_host: String,
    /// The `cfBlobHeader` in the caller's config.
    pub cf_header: HeaderName,
}

/// A connection on which the caller speaks Cap'n Proto from here on. The `200` has been written.
#[derive(Debug)]
pub struct CapnpSocket {
    /// The raw socket, nonblocking, no longer registered with any runtime.
    pub socket: net::UnixStream,
    /// Bytes that arrived behind the `CONNECT` head.
    pub read: Bytes,
}

/// The HTTP side of one link face.
pub struct HttpFace<R> {
    config: FaceConfig,
    route: R,
    upstreams: Upstreams,
    lifetime: Lifetime,
    capnp: Box<dyn Fn(CapnpSocket) + Send + Sync>,
}

impl<R: Route> HttpFace<R> {
    /// A face that routes HTTP events by `route` and hands every Cap'n Proto connection to `capnp`, which runs on the
    /// thread of that connection and must not block.
    pub fn new(
        config: FaceConfig,
        route: R,
        upstreams: Upstreams,
        lifetime: Lifetime,
        capnp: impl Fn(CapnpSocket) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { config, route, upstreams, lifetime, capnp: Box::new(capnp) })
    }

    /// Accepts callers until the lifetime drains.
    pub fn listen(self: &Arc<Self>, listener: UnixListener) {
        let face = self.clone();
        self.lifetime.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    biased;
                    () = face.lifetime.draining().cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((socket, _)) => face.accept(socket),
                    Err(error) => {
                        tracing::warn!(link = face.config.link, %error, "a caller could not be accepted");
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                }
            }
        });
    }

    /// Serves one connection that was accepted elsewhere, on the current runtime.
    pub fn accept(self: &Arc<Self>, socket: UnixStream) {
        match socket.peer_cred() {
            Ok(peer) if peer.uid() == rustix::process::geteuid().as_raw() => {}
            Ok(peer) => {
                tracing::warn!(link = self.config.link, uid = peer.uid(), "refused a caller of another user");
                return;
            }
            Err(error) => {
                tracing::warn!(link = self.config.link, %error, "refused a caller that cannot be identified");
                return;
            }
        }
        let face = self.clone();
        self.lifetime.spawn(async move {
            if let Err(error) = face.connection(socket).await {
                tracing::debug!(link = face.config.link, %error, "a caller's connection ended");
            }
        });
    }

    async fn connection(self: &Arc<Self>, socket: UnixStream) -> Result<(), TunnelError> {
        let handover = Arc::new(Mutex::new(None));
        let service = service_fn(|request| {
            let (face, handover) = (self.clone(), handover.clone());
            async move {
                let (response, next) = face.serve(request).await;
                if next.is_some() {
                    *handover.lock().unwrap_or_else(PoisonError::into_inner) = next;
                }
                Ok::<_, Infallible>(response)
            }
        });
        settings::serve(Stream::new(socket.into_std()?)?, service, &self.lifetime).await?;
        let next = handover.lock().unwrap_or_else(PoisonError::into_inner).take();
        match next {
            None => Ok(()),
            Some(Handover::Then(then)) => then.run().await,
            Some(Handover::Capnp(caller)) => {
                let Opened { socket, read } = upgrade::open(caller.await?)?;
                (self.capnp)(CapnpSocket { socket: socket.into_std()?, read });
                Ok(())
            }
        }
    }

    async fn serve(&self, mut request: Request<Incoming>) -> (Response<FaceBody>, Option<Handover>) {
        if request.method() == Method::CONNECT && request.uri().port().is_none() {
            return self.capnp_connect(request);
        }
        let cf = headers::take_cf(request.headers_mut(), &self.config.cf_header);
        let Forwarded { response, then } = forward::forward(&self.route, &self.upstreams, cf, request).await;
        (response, then.map(Handover::Then))
    }

    /// A CONNECT without a port is never a worker's own: workerd refuses to send one.
    fn capnp_connect(&self, mut request: Request<Incoming>) -> (Response<FaceBody>, Option<Handover>) {
        let asked = request.uri().authority().map_or("", |name| name.as_str());
        if asked != self.config.capnp_host {
            let text =
                format!("This socket belongs to the link {}; {asked:?} is not known here.", self.config.link);
            return (page::error(StatusCode::NOT_FOUND, "unknown-name", text), None);
        }
        let caller = hyper::upgrade::on(&mut request);
        (Response::new(FaceBody::text(Bytes::new())), Some(Handover::Capnp(caller)))
    }
}

/// What becomes of a connection when hyper is done with it.
enum Handover {
    Then(Then),
    Capnp(OnUpgrade),
}
