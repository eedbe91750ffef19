//! Independent peers: clients and servers of the `capnp-rpc` crate talk through an engine, over real sockets.

use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use capnp::capability::Promise;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty};
use futures::channel::oneshot;
use jackfield::schema::byte_stream_capnp::byte_stream;
use tokio::task::LocalSet;

use crate::support::between;

/// Longest that a test waits for anything.
const DEADLINE: Duration = Duration::from_secs(20);

/// What is asked for by the limit of a substream.
mod ask {
    /// A stream of the server's.
    pub const OWN: u64 = 0;
    /// A promise of one, kept later.
    pub const LATER: u64 = 1;
    /// The stream that the callback has.
    pub const BACK: u64 = 2;
    /// Never answered.
    pub const NEVER: u64 = 3;
    /// The stream that the callback has which came with the default limit.
    pub const STORED: u64 = 4;
    /// A failure.
    pub const FAIL: u64 = 5;
}

/// What was written where, in order.
type Log = Rc<RefCell<Vec<Vec<u8>>>>;

/// Sets itself when it is dropped.
struct Flag(Rc<Cell<bool>>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[derive(Default)]
struct Server {
    log: Log,
    stored: RefCell<Option<byte_stream::substream_callback::Client>>,
    /// Kept promises resolve when this is taken.
    later: Rc<RefCell<Vec<oneshot::Sender<()>>>>,
    canceled: Rc<Cell<bool>>,
}

impl byte_stream::Server for Server {
    async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> Result<(), capnp::Error> {
        self.log.borrow_mut().push(params.get()?.get_bytes()?.to_vec());
        Ok(())
    }

    async fn end(
        self: Rc<Self>,
        _: byte_stream::EndParams,
        _: byte_stream::EndResults,
    ) -> Result<(), capnp::Error> {
        self.log.borrow_mut().push(b"end".to_vec());
        Ok(())
    }

    async fn get_substream(
        self: Rc<Self>,
        params: byte_stream::GetSubstreamParams,
        mut results: byte_stream::GetSubstreamResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let stream: byte_stream::Client = match params.get_limit() {
            ask::OWN => stream(self.log.clone()),
            ask::LATER => {
                let (kept, wait) = oneshot::channel();
                self.later.borrow_mut().push(kept);
                let log = self.log.clone();
                capnp_rpc::new_future_client(async move {
                    let _ = wait.await;
                    Ok(stream(log))
                })
            }
            ask::BACK => {
                let next = params.get_callback()?.reached_limit_request().send();
                next.pipeline.get_next()
            }
            ask::NEVER => {
                let _canceled = Flag(self.canceled.clone());
                std::future::pending::<()>().await;
                return Ok(());
            }
            ask::STORED => {
                let stored = self.stored.borrow().clone();
                let stored = stored.ok_or_else(|| capnp::Error::failed("nothing is stored".into()))?;
                stored.reached_limit_request().send().pipeline.get_next()
            }
            ask::FAIL => return Err(capnp::Error::overloaded("remote.jsg.Error: full".into())),
            _ => {
                *self.stored.borrow_mut() = Some(params.get_callback()?);
                return Ok(());
            }
        };
        results.get().set_substream(stream);
        Ok(())
    }
}

fn stream(log: Log) -> byte_stream::Client {
    capnp_rpc::new_client(Server { log, ..Server::default() })
}

/// Has a stream, and hands it out when it is asked for the next.
#[derive(Default)]
struct Callback {
    log: Log,
    ended: Rc<Cell<u64>>,
    wait: RefCell<Option<oneshot::Receiver<()>>>,
}

impl byte_stream::substream_callback::Server for Callback {
    async fn ended(
        self: Rc<Self>,
        params: byte_stream::substream_callback::EndedParams,
        _: byte_stream::substream_callback::EndedResults,
    ) -> Result<(), capnp::Error> {
        self.ended.set(params.get()?.get_byte_count());
        Ok(())
    }

    async fn reached_limit(
        self: Rc<Self>,
        _: byte_stream::substream_callback::ReachedLimitParams,
        mut results: byte_stream::substream_callback::ReachedLimitResults,
    ) -> Result<(), capnp::Error> {
        let wait = self.wait.borrow_mut().take();
        if let Some(wait) = wait {
            let _ = wait.await;
        }
        results.get().set_next(stream(self.log.clone()));
        Ok(())
    }
}

/// Serves `bootstrap` on a socket.
fn serve(socket: UnixStream, bootstrap: capnp::capability::Client) {
    let network = network(socket, Side::Server);
    tokio::task::spawn_local(RpcSystem::new(Box::new(network), Some(bootstrap)));
}

fn network(socket: UnixStream, side: Side) -> twoparty::VatNetwork<impl futures::AsyncRead + Unpin> {
    use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};
    socket.set_nonblocking(true).expect("a socket");
    let (read, write) = tokio::net::UnixStream::from_std(socket).expect("a socket").into_split();
    twoparty::VatNetwork::new(read.compat(), write.compat_write(), side, Default::default())
}

/// A client, and what takes its connection down.
fn client(socket: UnixStream) -> (byte_stream::Client, capnp_rpc::Disconnector<Side>) {
    let mut system = RpcSystem::new(Box::new(network(socket, Side::Client)), None);
    let client = system.bootstrap(Side::Server);
    let disconnector = system.get_disconnector();
    tokio::task::spawn_local(system);
    (client, disconnector)
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = LocalSet::new();
    local.block_on(&runtime, async { tokio::time::timeout(DEADLINE, test).await.expect("in time") });
}

fn substream(
    of: &byte_stream::Client,
    ask: u64,
    callback: Option<byte_stream::substream_callback::Client>,
) -> capnp::capability::RemotePromise<byte_stream::get_substream_results::Owned> {
    let mut request = of.get_substream_request();
    request.get().set_limit(ask);
    if let Some(callback) = callback {
        request.get().set_callback(callback);
    }
    request.send()
}

fn write(to: &byte_stream::Client, bytes: &[u8]) -> Promise<(), capnp::Error> {
    let mut request = to.write_request();
    request.get().set_bytes(bytes);
    Promise::from_future(request.send())
}

/// Waits until all that was written to `to` has arrived: a stream's write says nothing of that.
async fn arrived(to: &byte_stream::Client) {
    to.end_request().send().promise.await.expect("ended");
}

/// What was written, without the marks of [`arrived`].
fn written(log: &Log) -> Vec<u8> {
    log.take().into_iter().filter(|bytes| bytes != b"end").collect::<Vec<_>>().concat()
}

/// One server, one client, an engine between them.
struct Pair {
    server: Rc<Server>,
    client: byte_stream::Client,
    disconnector: capnp_rpc::Disconnector<Side>,
    between: between::Between,
}

fn pair() -> Pair {
    let (between, [caller], [upstream]) = between::start();
    let server = Rc::new(Server::default());
    serve(upstream, capnp_rpc::new_client_from_rc::<byte_stream::Client, _>(server.clone()).client);
    let (client, disconnector) = client(caller);
    Pair { server, client, disconnector, between }
}

impl Pair {
    /// The client leaves; nothing of it is left.
    async fn done(self) {
        drop(self.client);
        let _ = self.disconnector.await;
        self.between.cleared().await;
    }
}

#[test]
fn calls_and_large_payloads() {
    run(async {
        let pair = pair();
        let large: Vec<u8> = (0..8 << 20).map(|index: u32| (index % 251) as u8).collect();
        write(&pair.client, &large).await.expect("written");
        write(&pair.client, b"small").await.expect("written");
        pair.client.end_request().send().promise.await.expect("ended");
        let log = pair.server.log.take();
        assert!(log[0] == large, "eight megabytes arrive as they were");
        assert_eq!(log[1..], [b"small".to_vec(), b"end".to_vec()]);
        pair.done().await;
    });
}

#[test]
fn a_failure_is_the_callees() {
    run(async {
        let pair = pair();
        let error = substream(&pair.client, ask::FAIL, None).promise.await.err().expect("a failure");
        assert_eq!(error.kind, capnp::ErrorKind::Overloaded);
        assert!(error.extra.contains("remote.jsg.Error: full"), "{error}");
        pair.done().await;
    });
}

#[test]
fn pipelined_calls_keep_their_order() {
    run(async {
        let pair = pair();
        let asked = substream(&pair.client, ask::OWN, None);
        let early = asked.pipeline.get_substream();
        let mut writes: Vec<_> = (0..50u8).map(|index| write(&early, &[index])).collect();
        let late = asked.promise.await.expect("answered").get().and_then(|r| r.get_substream()).expect("one");
        writes.extend((50..100u8).map(|index| write(&late, &[index])));
        for write in writes {
            write.await.expect("written");
        }
        arrived(&late).await;
        assert_eq!(written(&pair.server.log), (0..100).collect::<Vec<u8>>());
        drop((early, late));
        pair.done().await;
    });
}

#[test]
fn a_promise_keeps_the_order_when_it_is_kept() {
    run(async {
        let pair = pair();
        let asked = substream(&pair.client, ask::LATER, None);
        let early = asked.pipeline.get_substream();
        let mut writes: Vec<_> = (0..10u8).map(|index| write(&early, &[index])).collect();
        let late = asked.promise.await.expect("answered").get().and_then(|r| r.get_substream()).expect("one");
        writes.extend((10..20u8).map(|index| write(&late, &[index])));
        for kept in pair.server.later.take() {
            let _ = kept.send(());
        }
        writes.extend((20..30u8).map(|index| write(&late, &[index])));
        for write in writes {
            write.await.expect("written");
        }
        arrived(&late).await;
        assert_eq!(written(&pair.server.log), (0..30).collect::<Vec<u8>>());
        drop((early, late));
        pair.done().await;
    });
}

#[test]
fn a_callback_and_its_own_stream_come_home_in_order() {
    run(async {
        let pair = pair();
        let log = Log::default();
        let callback = || capnp_rpc::new_client(Callback { log: log.clone(), ..Callback::default() });
        let asked = substream(&pair.client, ask::BACK, Some(callback()));
        let early = asked.pipeline.get_substream();
        let mut writes: Vec<_> = (0..10u8).map(|index| write(&early, &[index])).collect();
        let late = asked.promise.await.expect("answered").get().and_then(|r| r.get_substream()).expect("one");
        writes.extend((10..20u8).map(|index| write(&late, &[index])));
        for write in writes {
            write.await.expect("written");
        }
        arrived(&late).await;
        late.client.when_resolved().await.expect("resolved");
        write(&late, &[20]).await.expect("written");
        arrived(&late).await;
        assert_eq!(written(&log), (0..=20).collect::<Vec<u8>>());
        drop((early, late));
        pair.done().await;
    });
}

#[test]
fn dropping_a_call_stops_the_callee() {
    run(async {
        let pair = pair();
        let asked = substream(&pair.client, ask::NEVER, None);
        // A call behind it has been answered, so it has arrived.
        arrived(&pair.client).await;
        assert!(!pair.server.canceled.get());
        drop(asked);
        while !pair.server.canceled.get() {
            tokio::task::yield_now().await;
        }
        // No more: capnp-rpc never confirms a cancellation, and so its question stays open.
    });
}

#[test]
fn a_stream_of_a_third_peer_keeps_the_order() {
    run(async {
        let (between, [caller], [first, second]) = between::start();
        let server = Rc::new(Server::default());
        serve(first, capnp_rpc::new_client_from_rc::<byte_stream::Client, _>(server.clone()).client);
        let log = Log::default();
        let (answer, wait) = oneshot::channel();
        let callback = Callback { log: log.clone(), wait: RefCell::new(Some(wait)), ..Callback::default() };
        let callback: byte_stream::substream_callback::Client = capnp_rpc::new_client(callback);
        serve(second, callback.client.clone());
        let (client, disconnector) = client(caller);
        // The host has let the first have the second's callback by now: the client could not call otherwise.
        let asked = substream(&client, ask::STORED, None);
        let early = asked.pipeline.get_substream();
        let mut writes: Vec<_> = (0..10u8).map(|index| write(&early, &[index])).collect();
        let late = asked.promise.await.expect("answered").get().and_then(|r| r.get_substream()).expect("one");
        writes.extend((10..20u8).map(|index| write(&late, &[index])));
        let _ = answer.send(());
        writes.extend((20..30u8).map(|index| write(&late, &[index])));
        late.client.when_resolved().await.expect("resolved");
        writes.extend((30..40u8).map(|index| write(&late, &[index])));
        for write in writes {
            write.await.expect("written");
        }
        arrived(&late).await;
        assert_eq!(written(&log), (0..40).collect::<Vec<u8>>());
        drop((early, late, client));
        let _ = disconnector.await;
        server.stored.take();
        between.cleared().await;
    });
}

#[test]
fn the_client_hears_that_a_target_is_gone() {
    run(async {
        let (between, [caller], [upstream]) = between::start();
        let (asked, ended) = oneshot::channel();
        tokio::task::spawn_local(async move {
            let server: byte_stream::Client = capnp_rpc::new_client(Server::default());
            let system = RpcSystem::new(Box::new(network(upstream, Side::Server)), Some(server.client));
            let _ = futures::future::select(Box::pin(system), ended).await;
        });
        let (client, disconnector) = client(caller);
        let never = substream(&client, ask::NEVER, None);
        arrived(&client).await;
        let _ = asked.send(());
        let error = never.promise.await.err().expect("a failure");
        assert_eq!(error.kind, capnp::ErrorKind::Disconnected, "{error}");
        let error = client.end_request().send().promise.await.err().expect("a failure");
        assert_eq!(error.kind, capnp::ErrorKind::Disconnected, "{error}");
        drop(client);
        let _ = disconnector.await;
        between.cleared().await;
    });
}
