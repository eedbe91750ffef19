//! Keep-alive connections to the HTTP sockets of the targets.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response};
use tokio::time::Instant;

use super::body::RequestBody;
use super::sessions::Sessions;
use super::settings::{self, Io};
use super::stream::Stream;
use crate::net::socket::Probe;
use crate::net::{Endpoint, Lifetime};
use crate::rpc::FastMap;

/// A workerd closes a connection that was idle for 5 s. Ours go 2 s earlier, so that no request meets that close.
const IDLE_FOR: Duration = Duration::from_secs(3);

/// Idle connections kept per socket. More than this many at once come only in bursts, and a connect costs 50 µs.
const IDLE_PER_SOCKET: usize = 64;

/// A socket whose backlog is full refuses at once instead of making us wait; a workerd empties it in well under
/// this time unless it is stopped.
const BACKLOG_WAIT: Duration = Duration::from_secs(2);

/// The connections of one thread to all its targets. Cheap to clone.
#[derive(Clone)]
pub struct Upstreams {
    shared: Arc<Shared>,
}

struct Shared {
    idle: Mutex<Idle>,
    lifetime: Lifetime,
    sessions: Sessions,
}

#[derive(Default)]
struct Idle {
    sockets: FastMap<Endpoint, Vec<Parked>>,
    reaper_runs: bool,
}

struct Parked {
    connection: Open,
    since: Instant,
}

/// A connection: the means to send on it, and to see whether its peer is still there.
struct Open {
    sender: SendRequest<RequestBody>,
    probe: Probe,
}

impl Upstreams {
    /// An empty pool. Its connections are tasks of `lifetime`.
    pub fn new(lifetime: Lifetime) -> Self {
        Self { shared: Arc::new(Shared { idle: Mutex::default(), lifetime, sessions: Sessions::default() }) }
    }

    /// Closes the idle connections of a generation that ended. Those in use close when their event ends, since nobody
    /// asks for that socket again.
    pub fn forget(&self, socket: &Endpoint) {
        self.idle().sockets.remove(socket);
    }

    /// Closes the connections to debug ports other than these, each once nothing is under way on it.
    pub fn retain_sessions(&self, wanted: impl Fn(&Endpoint) -> bool) {
        self.shared.sessions.retain(wanted);
    }

    /// The debug ports that events are converted for.
    pub(super) fn sessions(&self) -> &Sessions {
        &self.shared.sessions
    }

    /// How many connections are idle.
    pub fn idle_connections(&self) -> usize {
        self.idle().sockets.values().map(Vec::len).sum()
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // Nothing panics while it is held; a poisoned pool is still a pool.
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection that is still open, the most recently used first.
    pub(super) fn reuse(&self, socket: &Endpoint) -> Option<Lent> {
        let mut idle = self.idle();
        let parked = idle.sockets.get_mut(socket)?;
        while let Some(Parked { connection, since }) = parked.pop() {
            // An event that is written to a process which has just died would be lost although it could wait.
            let usable = connection.sender.is_ready() && since.elapsed() < IDLE_FOR;
            if usable && !connection.probe.is_hung_up() {
                return Some(self.lend(connection, socket));
            }
        }
        None
    }

    /// A new connection.
    pub(super) async fn open(&self, socket: &Endpoint) -> io::Result<Lent> {
        let stream = Stream::new(connect(socket).await?)?.forgive(settings::EARLY_ANSWER);
        let probe = stream.probe();
        let io = Io::new(stream);
        let (sender, connection) =
            settings::client().handshake::<_, RequestBody>(io).await.map_err(io::Error::other)?;
        self.shared.lifetime.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "an upstream connection ended");
            }
        });
        Ok(self.lend(Open { sender, probe }, socket))
    }

    fn lend(&self, connection: Open, socket: &Endpoint) -> Lent {
        Lent { connection: Some(connection), socket: socket.clone(), pool: self.clone() }
    }

    fn give_back(&self, connection: Open, socket: Endpoint) {
        if self.shared.lifetime.draining().is_cancelled() {
            return;
        }
        let mut idle = self.idle();
        let parked = idle.sockets.entry(socket).or_default();
        if parked.len() < IDLE_PER_SOCKET {
            parked.push(Parked { connection, since: Instant::now() });
        }
        if !std::mem::replace(&mut idle.reaper_runs, true) {
            drop(idle);
            let pool = self.clone();
            self.shared.lifetime.spawn(async move { pool.reap().await });
        }
    }

    /// Closes what was idle for too long, until nothing is idle or the face drains.
    async fn reap(self) {
        loop {
            tokio::select! {
                biased;
                () = self.shared.lifetime.draining().cancelled() => {
                    self.idle().sockets.clear();
                    return;
                }
                () = tokio::time::sleep(IDLE_FOR / 2) => {}
            }
            let mut idle = self.idle();
            idle.sockets.retain(|_, parked| {
                parked.retain(|Parked { connection, since }| {
                    !connection.sender.is_closed() && since.elapsed() < IDLE_FOR
                });
                !parked.is_empty()
            });
            if idle.sockets.is_empty() {
                idle.reaper_runs = false;
                return;
            }
        }
    }
}

/// Connects, and waits if the listener's queue is full.
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let deadline = Instant::now() + BACKLOG_WAIT;
    loop {
        match endpoint.connect() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                tokio::time::sleep(endpoint.retry_after()).await;
            }
            result => return result,
        }
    }
}

/// A connection in use by one event. Goes back to its pool when dropped, as soon as its exchange is over; a connection
/// whose exchange was broken off closes itself instead.
pub(super) struct Lent {
    connection: Option<Open>,
    socket: Endpoint,
    pool: Upstreams,
}

/// A request that did not get an answer.
pub(super) enum Unsent {
    /// hyper never began to write it: nothing was delivered.
    Returned(Box<Request<RequestBody>>),
    /// It was delivered, in part at least.
    Broken(hyper::Error),
}

impl Lent {
    /// # Cancellation
    /// Dropping the future aborts the exchange and closes the connection.
    pub(super) async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, Unsent> {
        // Taken only by drop.
        let Some(open) = &mut self.connection else { return Err(Unsent::Returned(Box::new(request))) };
        open.sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            Some(request) => Unsent::Returned(Box::new(request)),
            None => Unsent::Broken(error.into_error()),
        })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut open) = self.connection.take() else { return };
        let (pool, socket) = (self.pool.clone(), self.socket.clone());
        if open.sender.is_ready() {
            pool.give_back(open, socket);
        } else if !open.sender.is_closed() {
            // The connection has not yet seen the end of the body that we have just passed on.
            let lifetime = pool.shared.lifetime.clone();
            lifetime.spawn(async move {
                if open.sender.ready().await.is_ok() {
                    pool.give_back(open, socket);
                }
            });
        }
    }
}
