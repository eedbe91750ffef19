use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;

use super::desk::Desk;
use super::error::RpcError;
use super::line::{Connection, Line};
use super::queue::{Connecting, Member, Op, Shared};
use super::serve::Handler;
use super::stub::{Place, Stub};
use crate::net::{Driver, Host, Lifetime, Net};
use crate::rpc::{Budget, ConnId, Engine, Event, Limits, TableSizes, trace::Trace};
use crate::wire::exception::Exception;

/// How a peer behaves.
pub struct Settings {
    /// What each connection may make us keep.
    pub limits: Limits,
    /// Bytes that all peers together may.
    pub budget: Arc<Budget>,
    /// Is shown every frame.
    pub trace: Option<Box<dyn Trace>>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { limits: Limits::default(), budget: Budget::new(Budget::DEFAULT_BYTES), trace: None }
    }
}

/// An engine and its connections, run by a task of their own. Capabilities travel between its connections.
///
/// All calls of one peer share one queue: a connection whose far side does not read holds up the others once it has
/// taken the room for 4 MiB. Use a peer for each where that matters.
#[derive(Clone)]
pub struct Peer {
    member: Member,
    /// Owns the task. Ends on its own, so nothing waits for it.
    _lifetime: Lifetime,
}

/// What a peer holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The tables of the connection that was asked about.
    pub(super) sizes: TableSizes,
    /// Capabilities that the engine knows.
    pub capabilities: usize,
    /// Calls that wait for a handler or for their target.
    pub held: usize,
    /// Handlers that somebody refers to.
    pub handlers: usize,
    /// Questions that are open.
    pub questions: usize,
}

impl Peer {
    /// Starts the task on the current runtime. Outside of one there is no task, and every call fails with
    /// [`RpcError::Ended`]. The task lives until the last handle of the peer is dropped: this one, a connection, a
    /// stub, an answer, a call. A handler that holds a stub counts while somebody can call it.
    pub fn start(settings: Settings) -> Self {
        let shared = Shared::new();
        let member = Member::new(&shared);
        let mut engine = Engine::new(settings.limits, settings.budget.clone());
        if let Some(trace) = settings.trace {
            engine.set_trace(trace);
        }
        let lifetime = Lifetime::new();
        lifetime.spawn(Driver::new(engine, settings.budget, Own(Desk::new(shared))));
        Peer { member, _lifetime: lifetime }
    }

    /// A stub of an object of this process. The handler lives as long as somebody refers to it.
    pub fn serve(&self, handler: impl Handler) -> Stub {
        Stub::new(self.member.clone(), Place::Handler(Box::new(handler)))
    }

    /// Adds a connected stream socket; `name` says in messages whom it leads to. The far side's Bootstrap gets
    /// `bootstrap`.
    ///
    /// # Errors
    /// The peer's task has ended, or the stub is of another peer.
    pub fn connect(
        &self,
        socket: impl Into<OwnedFd>,
        name: impl Into<String>,
        bootstrap: Option<Stub>,
    ) -> Result<Connection, RpcError> {
        self.connect_after(socket, Vec::new(), name, bootstrap)
    }

    /// As [`Peer::connect`], for a socket from which `read` was read already.
    ///
    /// # Errors
    /// As [`Peer::connect`].
    pub fn connect_after(
        &self,
        socket: impl Into<OwnedFd>,
        read: Vec<u8>,
        name: impl Into<String>,
        bootstrap: Option<Stub>,
    ) -> Result<Connection, RpcError> {
        if bootstrap.as_ref().is_some_and(|stub| !stub.is_with(&self.member)) {
            return Err(RpcError::Foreign);
        }
        let fd = socket.into();
        let line = Line::new(name.into());
        let connecting = Connecting { fd, read, bootstrap, line: line.clone() };
        self.member.push(Op::Connect(Box::new(connecting))).map_err(|_| RpcError::Ended)?;
        Ok(Connection { member: self.member.clone(), line })
    }

    /// Connects to a unix socket.
    ///
    /// # Errors
    /// Nobody listens there, or as [`Peer::connect`].
    ///
    /// # Cancellation
    /// Dropping the future closes the socket.
    pub async fn connect_unix(&self, path: &Path, bootstrap: Option<Stub>) -> Result<Connection, RpcError> {
        let name = path.display().to_string();
        let connected = async { UnixStream::connect(path).await?.into_std() }.await;
        let socket = connected.map_err(|source| RpcError::Connect { address: name.clone(), source })?;
        self.connect(socket, name, bootstrap)
    }

    /// Connects to a TCP address.
    ///
    /// # Errors
    /// Nobody listens there, or as [`Peer::connect`].
    ///
    /// # Cancellation
    /// Dropping the future closes the socket.
    pub async fn connect_tcp(&self, address: &str, bootstrap: Option<Stub>) -> Result<Connection, RpcError> {
        let connected = async {
            let socket = TcpStream::connect(address).await?;
            // Calls are small and wait for answers.
            socket.set_nodelay(true)?;
            socket.into_std()
        };
        let socket =
            connected.await.map_err(|source| RpcError::Connect { address: address.to_owned(), source })?;
        self.connect(socket, address, bootstrap)
    }

    /// What the peer holds, over all connections.
    ///
    /// # Errors
    /// The peer's task has ended.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn inventory(&self) -> Result<Inventory, RpcError> {
        let (reply, answer) = oneshot::channel();
        self.member.push(Op::Inspect { line: None, reply }).map_err(|_| RpcError::Ended)?;
        answer.await.map_err(|_| RpcError::Ended)
    }

    /// Ends the task and its connections. Who waits for something is told [`RpcError::Ended`].
    pub fn close(&self) {
        self.member.close();
    }

    /// Waits until the task has ended.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn ended(&self) {
        self.member.ended.wait().await;
    }
}

/// An engine that has nothing but objects of this process.
struct Own(Desk);

impl Host for Own {
    fn event(&mut self, net: &mut Net, event: Event) {
        // Nobody else asks or serves here.
        let _ = self.0.event(net, event);
    }

    fn poll(&mut self, _: &mut Net, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx);
        if self.0.is_over() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn turn(&mut self, net: &mut Net) {
        self.0.turn(net);
        if self.0.is_over() {
            // The next poll ends the task.
            self.0.wake();
        }
    }

    fn lost(&mut self, conn: ConnId, why: &str) -> Exception {
        self.0.lost(conn, why)
    }
}
