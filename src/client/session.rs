use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use capnp::traits::HasTypeId;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

use super::address::Address;
use super::entrypoint::{Entrypoint, Origin, get_entrypoint};
use super::error::ConnectError;
use super::rpc;
use crate::net::local::{Body, Connection, Peer, RpcError, Settings, Stub};
use crate::schema::worker_interface_capnp::workerd_debug_port;
use crate::wire::actor_id::ActorId;
use crate::wire::exception::Exception;

pub(super) const PORT: u64 = workerd_debug_port::Client::TYPE_ID;
pub(super) const GET_ENTRYPOINT: u16 = 0;
pub(super) const GET_ACTOR: u16 = 1;

/// How long a port may take for its first answer. A debug port needs milliseconds, on a loaded machine some hundred.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A connection to a debug port: a running workerd and everything that it serves. Clones share it; it ends when
/// neither a clone nor anything that came of one is left.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    peer: Peer,
    line: Connection,
    port: Stub,
    rpc: rpc::Host,
    name: String,
}

impl Session {
    /// Connects to a debug port, and makes sure that it is one. Waits up to 5 seconds for its answer.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// Nobody is there, or it is no debug port: see [`ConnectError`].
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use jackfield::client::Session;
    ///
    /// let session = Session::connect(&"127.0.0.1:9230".parse()?).await?;
    /// let api = session.entrypoint("api", None, None);
    /// let request = http::Request::get("http://api/hello").body("".into())?;
    /// let answer = api.fetch(request).await?;
    /// println!("{}: {}", answer.status(), answer.into_body().text().await?);
    /// # Ok(()) }
    /// ```
    pub async fn connect(address: &Address) -> Result<Self, ConnectError> {
        Session::connect_within(address, HANDSHAKE).await
    }

    /// As [`Session::connect`], with another limit on the time that the connection and the first answer take
    /// together.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub async fn connect_within(address: &Address, limit: Duration) -> Result<Self, ConnectError> {
        let connected = async {
            let peer = Peer::start(Settings::default());
            let line = dial(&peer, address).await?;
            let session = Session::over(peer, line, address.to_string());
            session.shake_hands(address).await?;
            Ok(session)
        };
        let silent = |_| ConnectError::Silent { address: address.clone(), waited: limit };
        tokio::time::timeout(limit, connected).await.map_err(silent)?
    }

    /// A session over a connection that somebody else made, and knows to be to a debug port. `name` says in messages
    /// whom it leads to.
    pub fn over(peer: Peer, line: Connection, name: impl Into<String>) -> Self {
        let port = line.bootstrap();
        let rpc = rpc::Host::of_peer(&peer);
        Session(Arc::new(Inner { peer, line, port, rpc, name: name.into() }))
    }

    /// Asks for what no worker serves: only a debug port says that it is not there.
    async fn shake_hands(&self, address: &Address) -> Result<(), ConnectError> {
        let not_one = |why: &Exception| ConnectError::NotDebugPort {
            address: address.clone(),
            why: super::stream::plain(why).to_owned(),
        };
        match self.0.port.call(PORT, GET_ENTRYPOINT, Body::empty()).await {
            // A port that serves what has no name is one too.
            Ok(_) | Err(RpcError::Failed(_) | RpcError::Overloaded(_)) => Ok(()),
            Err(RpcError::Unimplemented(why)) => Err(not_one(&why)),
            Err(RpcError::Ended) => Err(ConnectError::NoRuntime { address: address.clone() }),
            Err(error) => {
                let why = error.into_exception();
                // The reason why it ended is known with its end.
                self.closed().await;
                // What it sent is no message, so that we ended the connection.
                match self.0.line.was_hostile() {
                    true => Err(not_one(&why)),
                    false => Err(ConnectError::vanished(address, &why)),
                }
            }
        }
    }

    /// What events start on: an entrypoint of a service, the default export if no `name` is given, with `props` (an
    /// object) as its `ctx.props`. Nothing is sent before its first event, and that waits for nothing; so a service
    /// or an entrypoint that does not exist shows in the event's answer.
    pub fn entrypoint(
        &self,
        service: impl Into<String>,
        name: Option<&str>,
        props: Option<Value>,
    ) -> Entrypoint {
        let name = name.map(str::to_owned);
        Entrypoint::new(self.clone(), Origin::Entrypoint { service: service.into(), name, props })
    }

    /// Whether there is a service with an entrypoint of that very name; without a `name`, whether there is the service.
    /// No code of the worker runs for it.
    ///
    /// # Cancellation
    /// Dropping the future gives the question up.
    ///
    /// # Errors
    /// The connection has ended.
    pub async fn exports(&self, service: &str, name: Option<&str>) -> Result<bool, Exception> {
        let body = get_entrypoint(service, name, None).map_err(RpcError::into_exception)?;
        match self.0.port.call(PORT, GET_ENTRYPOINT, body).await {
            Ok(_) => Ok(true),
            Err(RpcError::Failed(_)) => Ok(false),
            Err(error) => Err(error.into_exception()),
        }
    }

    /// What events start on: a Durable Object. Each event asks for it anew, since an object that was evicted or
    /// aborted between two events is another one.
    pub fn actor(&self, service: impl Into<String>, class: impl Into<String>, id: ActorId) -> Entrypoint {
        Entrypoint::new(self.clone(), Origin::Actor { service: service.into(), class: class.into(), id })
    }

    /// Waits until the connection has ended, and says why.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn closed(&self) -> Exception {
        self.0.line.closed().await
    }

    /// Ends the connection: everything that came of it breaks.
    pub fn close(&self) {
        self.0.line.close();
    }

    /// Whom it leads to, for messages.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Makes stubs of objects of this process that the far side may call.
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.0.line
    }

    /// What calls of JavaScript RPC share.
    pub(super) fn rpc(&self) -> &rpc::Host {
        &self.0.rpc
    }

    pub(super) fn port(&self) -> &Stub {
        &self.0.port
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.0.name)
    }
}

/// The id of a new object of the class with this unique key, like `newUniqueId` of its namespace.
///
/// # Errors
/// The system gives no random bytes.
pub fn new_unique_id(unique_key: &str) -> io::Result<ActorId> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(ActorId::from_random(unique_key, random))
}

async fn dial(peer: &Peer, address: &Address) -> Result<Connection, ConnectError> {
    let socket: io::Result<std::os::fd::OwnedFd> = async {
        Ok(match address {
            Address::Unix(path) => UnixStream::connect(path).await?.into_std()?.into(),
            Address::Tcp(host) => {
                let socket = TcpStream::connect(host).await?;
                // Calls are small and wait for answers.
                socket.set_nodelay(true)?;
                socket.into_std()?.into()
            }
        })
    }
    .await;
    let socket = socket.map_err(|source| ConnectError::Unreachable { address: address.clone(), source })?;
    peer.connect(socket, address.to_string(), None)
        .map_err(|_| ConnectError::NoRuntime { address: address.clone() })
}
