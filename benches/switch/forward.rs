//! The middle that re-makes every message: forwarding with capnp-rpc, as a program would write it with that crate.
//!
//! Capabilities that only pass through are proxied by the crate itself. That keeps every pipelined call back until
//! the answer is there, so the calls that answer late or are pipelined on (getEntrypoint, startEvent, jsRpcSession) have servers
//! of their own here, which hand out the pipelined capability at once.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use capnp::Error;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, new_client, twoparty};
use jackfield::schema::worker_interface_capnp::{event_dispatcher, workerd_bootstrap, workerd_debug_port};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::LocalSet;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use crate::sockets::{Address, Listener};

/// What a socket speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// CONNECT, then Cap'n Proto with a WorkerdBootstrap.
    Link,
    /// Cap'n Proto with a WorkerdDebugPort.
    Port,
}

/// Serves the pairs for ever, on this thread.
pub fn run(pairs: Vec<(Speaks, Address, Address)>, ready: impl FnOnce()) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        for (speaks, from, to) in pairs {
            let door = Door::open(from.listen()?)?;
            tokio::task::spawn_local(async move {
                loop {
                    match door.accept().await {
                        Ok(caller) => drop(tokio::task::spawn_local(serve(speaks, caller, to.clone()))),
                        Err(error) => return eprintln!("forward: {error}"),
                    }
                }
            });
        }
        ready();
        std::future::pending().await
    })
}

enum Door {
    Unix(tokio::net::UnixListener),
    Tcp(tokio::net::TcpListener),
}

impl Door {
    fn open(listener: Listener) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(listener.as_fd(), true)?;
        Ok(match listener {
            Listener::Unix(listener) => Door::Unix(tokio::net::UnixListener::from_std(listener)?),
            Listener::Tcp(listener) => Door::Tcp(tokio::net::TcpListener::from_std(listener)?),
        })
    }

    /// The next caller, blocking until its CONNECT is done.
    async fn accept(&self) -> io::Result<OwnedFd> {
        let caller: OwnedFd = match self {
            Door::Unix(listener) => listener.accept().await?.0.into_std()?.into(),
            Door::Tcp(listener) => {
                let caller = listener.accept().await?.0;
                caller.set_nodelay(true)?;
                caller.into_std()?.into()
            }
        };
        rustix::io::ioctl_fionbio(&caller, false)?;
        Ok(caller)
    }
}

async fn serve(speaks: Speaks, caller: OwnedFd, to: Address) {
    if let Err(error) = try_serve(speaks, caller, to).await {
        eprintln!("forward: {error}");
    }
}

async fn try_serve(speaks: Speaks, caller: OwnedFd, to: Address) -> Result<(), Error> {
    let target = to.dial()?;
    let unix = matches!(to, Address::Unix(_));
    let (caller, target) = match (speaks, unix) {
        (Speaks::Link, true) => {
            let (mut caller, mut target) = (UnixStream::from(caller), UnixStream::from(target));
            hands(&mut caller, &mut target)?;
            (caller.into(), target.into())
        }
        (Speaks::Link, false) => {
            let (mut caller, mut target) = (TcpStream::from(caller), TcpStream::from(target));
            hands(&mut caller, &mut target)?;
            (caller.into(), target.into())
        }
        (Speaks::Port, _) => (caller, target),
    };
    if unix {
        let stream = |fd| {
            let stream = UnixStream::from(fd);
            stream.set_nonblocking(true)?;
            tokio::net::UnixStream::from_std(stream)
        };
        let (a, b) = (stream(caller)?.into_split(), stream(target)?.into_split());
        join(speaks, a, b).await
    } else {
        let stream = |fd| {
            let stream = TcpStream::from(fd);
            stream.set_nonblocking(true)?;
            tokio::net::TcpStream::from_std(stream)
        };
        let (a, b) = (stream(caller)?.into_split(), stream(target)?.into_split());
        join(speaks, a, b).await
    }
}

/// The CONNECTs of both legs: once in a connection's life, so blocking is good enough.
fn hands(caller: &mut (impl Read + Write), target: &mut (impl Read + Write)) -> io::Result<()> {
    fn head(stream: &mut impl Read) -> io::Result<Vec<u8>> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => head.extend(byte),
                Err(error) => return Err(error),
            }
        }
        Ok(head)
    }
    let connect = head(caller)?;
    target.write_all(&connect)?;
    let answer = head(target)?;
    caller.write_all(&answer)
}

async fn join<R, W>(speaks: Speaks, caller: (R, W), target: (R, W)) -> Result<(), Error>
where
    R: AsyncRead + Unpin + 'static,
    W: AsyncWrite + Unpin + 'static,
{
    let network = |(read, write): (R, W), side| {
        let read = futures::io::BufReader::new(read.compat());
        let write = futures::io::BufWriter::new(write.compat_write());
        let mut options = capnp::message::ReaderOptions::new();
        options.traversal_limit_in_words(None);
        Box::new(twoparty::VatNetwork::new(read, write, side, options))
    };
    let mut upstream = RpcSystem::new(network(target, Side::Client), None);
    let bootstrap: capnp::capability::Client = match speaks {
        Speaks::Link => {
            let target: workerd_bootstrap::Client = upstream.bootstrap(Side::Server);
            let client: workerd_bootstrap::Client = new_client(Bootstrap(target));
            client.client
        }
        Speaks::Port => {
            let target: workerd_debug_port::Client = upstream.bootstrap(Side::Server);
            let client: workerd_debug_port::Client = new_client(Port(target));
            client.client
        }
    };
    let downstream = RpcSystem::new(network(caller, Side::Server), Some(bootstrap));
    let disconnector = upstream.get_disconnector();
    let upstream = tokio::task::spawn_local(upstream);
    let ended = downstream.await;
    let _ = disconnector.await;
    upstream.abort();
    ended
}

struct Port(workerd_debug_port::Client);

impl workerd_debug_port::Server for Port {
    async fn get_entrypoint(
        self: Rc<Self>,
        params: workerd_debug_port::GetEntrypointParams,
        mut results: workerd_debug_port::GetEntrypointResults,
    ) -> Result<(), Error> {
        let mut request = self.0.get_entrypoint_request();
        request.set(params.get()?)?;
        let sent = request.send();
        results.get().set_entrypoint(new_client(Bootstrap(sent.pipeline.get_entrypoint())));
        results.set_pipeline()?;
        sent.promise.await?;
        Ok(())
    }
}

struct Bootstrap(workerd_bootstrap::Client);

impl workerd_bootstrap::Server for Bootstrap {
    async fn start_event(
        self: Rc<Self>,
        params: workerd_bootstrap::StartEventParams,
        mut results: workerd_bootstrap::StartEventResults,
    ) -> Result<(), Error> {
        let mut request = self.0.start_event_request();
        request.set(params.get()?)?;
        let sent = request.send();
        results.get().set_dispatcher(new_client(Dispatcher(sent.pipeline.get_dispatcher())));
        results.set_pipeline()?;
        sent.promise.await?;
        Ok(())
    }
}

struct Dispatcher(event_dispatcher::Client);

impl event_dispatcher::Server for Dispatcher {
    async fn js_rpc_session(
        self: Rc<Self>,
        _: event_dispatcher::JsRpcSessionParams,
        mut results: event_dispatcher::JsRpcSessionResults,
    ) -> Result<(), Error> {
        let sent = self.0.js_rpc_session_request().send();
        results.get().set_top_level(sent.pipeline.get_top_level());
        results.get().set_session(sent.pipeline.get_session());
        results.set_pipeline()?;
        sent.promise.await?;
        Ok(())
    }
}
