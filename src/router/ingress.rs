//! Addresses of this machine at which sessions are reached from outside.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::{Request, StatusCode};
use tokio::net::TcpListener;

use super::directory;
use super::hosts::{self, Asked, Hosts, Meant};
use super::http::{self, Choose, Led, Page};
use super::http_route::{Door, LinkRoute, Routes};
use super::link::LinkName;
use super::serve::{Face, Router};
use super::snapshot::Snapshot;
use super::switch::Shared;
use crate::session::SessionName;

/// Out of file descriptors: wait for some to come back rather than spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// An address that is listened at. Dropping it takes no more connections; those that are there go on.
pub struct Ingress {
    shared: Arc<Shared>,
    led: Arc<Led<Routes>>,
    _face: Face,
}

impl Ingress {
    /// Events that begin from now on go to that session.
    pub fn lead(&self, session: SessionName) {
        self.led.lead(route(&self.shared, session, Door::Front));
    }
}

fn route(shared: &Arc<Shared>, session: SessionName, door: Door) -> Routes {
    Routes(Arc::new(LinkRoute::new(shared.clone(), LinkName::direct(session), door)))
}

/// The one port at which all sessions are reached by their hosts. Dropping it takes no more connections.
pub struct Front {
    port: u16,
    _face: Face,
}

impl Front {
    /// The port, on both addresses of loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where people reach each session of a snapshot, or one of its entrypoints. Not where another's host hides it.
    pub fn urls(
        port: u16,
        snapshot: &Snapshot,
    ) -> impl Fn(&SessionName, Option<&str>) -> Option<String> + use<> {
        let hosts = Hosts::of(snapshot);
        move |session, entrypoint| Some(directory::url(&hosts.shortest(session, entrypoint)?, port))
    }
}

/// A session, one of its entrypoints (`None` is the default export), and whether that is known to be spelled like that.
type Reached = (SessionName, Option<String>, bool);

/// Chooses by the host.
struct ByHost {
    shared: Arc<Shared>,
    port: u16,
    hosts: Mutex<Arc<Hosts>>,
    /// Events wait in order at the route of their session, so each is made once.
    routes: Mutex<HashMap<Reached, Arc<Routes>>>,
}

/// Routes that are kept of sessions that may have gone; more are made anew.
const ROUTES_KEPT: usize = 1_000;

impl ByHost {
    fn hosts(&self) -> Arc<Hosts> {
        let snapshot = self.shared.links.load();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if !hosts.is_of(&snapshot) {
            *hosts = Arc::new(Hosts::of(&snapshot));
        }
        hosts.clone()
    }

    /// `is_known` says whether the entrypoint is spelled like that.
    fn route(&self, session: SessionName, entrypoint: Option<String>, is_known: bool) -> Arc<Routes> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if routes.len() >= ROUTES_KEPT {
            routes.clear();
        }
        let door = entrypoint.clone().map_or(Door::Front, Door::Export);
        let make = || {
            let way = LinkRoute::new(self.shared.clone(), LinkName::direct(session.clone()), door);
            Arc::new(Routes(Arc::new(match entrypoint.clone().filter(|_| !is_known) {
                Some(typed) => way.in_any_case(typed),
                None => way,
            })))
        };
        routes.entry((session.clone(), entrypoint.clone(), is_known)).or_insert_with(make).clone()
    }
}

impl Choose for Arc<ByHost> {
    type Route = Routes;

    fn choose<B>(&self, request: &Request<B>) -> Result<Arc<Routes>, Page> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let asked = hosts::asked(method, uri, headers, self.port)
            .map_err(|why| directory::refused(why, self.port))?;
        let hosts = self.hosts();
        let Asked::Name(typed) = asked else {
            let status = if uri.path() == "/" { StatusCode::OK } else { StatusCode::NOT_FOUND };
            return Err(directory::listing(&hosts, self.port, status, None, headers));
        };
        match hosts.find(&typed) {
            Meant::Session(session, entrypoint) => {
                let is_known = hosts.knows_exports(&session);
                Ok(self.route(session, entrypoint, is_known))
            }
            other => {
                let missed = directory::missed(&hosts, &typed, &other);
                Err(directory::listing(&hosts, self.port, StatusCode::NOT_FOUND, Some(&missed), headers))
            }
        }
    }
}

/// The one session of an address, for requests that mean this machine.
struct Guarded {
    led: Arc<Led<Routes>>,
    address: SocketAddr,
}

impl Choose for Guarded {
    type Route = Routes;

    fn choose<B>(&self, request: &Request<B>) -> Result<Arc<Routes>, Page> {
        hosts::is_here(request.uri(), request.headers(), self.address.ip())
            .map_err(|why| directory::not_here(why, self.address))?;
        self.led.choose(request)
    }
}

impl Router {
    /// Listens at an address; browsers and curl reach the default export of the session there.
    ///
    /// # Errors
    /// Somebody listens there already, or this user may not.
    pub fn serve_ingress(&self, address: SocketAddr, session: SessionName) -> io::Result<Ingress> {
        let led = Arc::new(Led::new(route(&self.shared, session, Door::Front)));
        let listener = StdListener::bind(address)?;
        let guarded = Guarded { led: led.clone(), address: listener.local_addr()? };
        let face = self.take(vec![listener], guarded)?;
        Ok(Ingress { shared: self.shared.clone(), led, _face: face })
    }

    /// Listens at a port of loopback, or at a free one; browsers and curl reach all sessions there, by their hosts.
    ///
    /// # Errors
    /// Somebody listens there already, or this user may not.
    pub fn serve_front(&self, port: Option<u16>) -> io::Result<Front> {
        let listeners = bind(port)?;
        let port = listeners
            .first()
            .map_or(Ok(0), |listener| listener.local_addr().map(|address| address.port()))?;
        let by_host =
            ByHost { shared: self.shared.clone(), port, hosts: Mutex::default(), routes: Mutex::default() };
        Ok(Front { port, _face: self.take(listeners, Arc::new(by_host))? })
    }

    fn take<C: Choose>(&self, listeners: Vec<StdListener>, choose: C) -> io::Result<Face> {
        let (handle, upstreams) = self.thread();
        let ingress = http::Ingress::new(choose, upstreams.clone(), self.lifetime.clone());
        let _enter = handle.enter();
        let mut accepting = Vec::new();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let (address, listener) = (listener.local_addr()?, TcpListener::from_std(listener)?);
            let ingress = ingress.clone();
            accepting.push(async move {
                loop {
                    ingress.accept(accept(&listener, address).await);
                }
            });
        }
        let accepting = async move {
            futures::future::join_all(accepting).await;
            std::future::pending().await
        };
        Ok(self.until_stopped(accepting, || ()))
    }
}

/// How often to look for a port that is free on both addresses.
const TRIES: usize = 32;

/// Both addresses of loopback: browsers take either for `*.localhost`, and who listens at the other gets what is meant
/// for us.
fn bind(port: Option<u16>) -> io::Result<Vec<StdListener>> {
    let mut tries = 0;
    loop {
        let first = StdListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or_default()))?;
        match StdListener::bind((Ipv6Addr::LOCALHOST, first.local_addr()?.port())) {
            Ok(second) => return Ok(vec![first, second]),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tries += 1;
                if port.is_some() || tries == TRIES {
                    return Err(error);
                }
            }
            // A machine without IPv6.
            Err(_) => return Ok(vec![first]),
        }
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
