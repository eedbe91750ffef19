//! Addresses of this machine at which sessions are reached from outside.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::http;
use super::http_route::{Door, LinkRoute, Routes};
use super::link::LinkName;
use super::serve::{Face, Router};
use super::switch::Shared;
use crate::session::SessionName;

/// Out of file descriptors: wait for some to come back rather than spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// An address that is listened at. Dropping it takes no more connections; those that are there go on.
pub struct Ingress {
    shared: Arc<Shared>,
    ingress: Arc<http::Ingress<Routes>>,
    _face: Face,
}

impl Ingress {
    /// Events that begin from now on go to that session.
    pub fn lead(&self, session: SessionName) {
        self.ingress.lead(route(&self.shared, session));
    }
}

fn route(shared: &Arc<Shared>, session: SessionName) -> Routes {
    Routes(Arc::new(LinkRoute::new(shared.clone(), LinkName::direct(session), Door::Front)))
}

impl Router {
    /// Listens at an address; browsers and curl reach the default export of the session there.
    ///
    /// # Errors
    /// Somebody listens there already, or this user may not.
    pub fn serve_ingress(&self, address: SocketAddr, session: SessionName) -> io::Result<Ingress> {
        let (handle, upstreams) = self.thread();
        let route = route(&self.shared, session);
        let ingress = http::Ingress::new(route, upstreams.clone(), self.lifetime.clone());
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let _enter = handle.enter();
        let listener = TcpListener::from_std(listener)?;
        let accepting = {
            let ingress = ingress.clone();
            async move {
                loop {
                    ingress.accept(accept(&listener, address).await);
                }
            }
        };
        let face = self.until_stopped(accepting, || ());
        Ok(Ingress { shared: self.shared.clone(), ingress, _face: face })
    }
}

/// # Cancellation
/// Safe: a connection that was not returned is still in the listener's queue.
async fn accept(listener: &TcpListener, address: SocketAddr) -> TcpStream {
    loop {
        let accepted = listener.accept().await.and_then(|(socket, _)| socket.into_std());
        match accepted {
            Ok(socket) => return socket,
            Err(error) => {
                tracing::warn!(%address, %error, "a connection from outside could not be accepted");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}
