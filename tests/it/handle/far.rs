//! capnp-rpc at the other end of a socket, on a thread of its own, and what both sides say to each other.

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use capnp::capability::FromClientHook;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use futures::AsyncReadExt;
use jackfield::net::local::{Body, Call, Payload, RpcError, Stub};
use jackfield::schema::worker_interface_capnp::{js_rpc_target, js_value};
use tokio_util::compat::TokioAsyncReadCompatExt;

/// Far beyond what anything here takes; only a hang meets it.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub const TARGET: u64 = <js_rpc_target::Client as capnp::traits::HasTypeId>::TYPE_ID;
pub const CALL: u16 = 0;

/// Pointer field of the answer in which a capability comes back.
pub const PIPELINE: &[u16] = &[1];

/// Awaits within the deadline.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("in time")
}

/// A call of `method` with some bytes, and a capability for the callee.
pub fn ask(method: &str, bytes: &[u8], give: Option<&Stub>) -> Body {
    let built = Body::build::<js_rpc_target::call_params::Owned>(|mut params, caps| {
        params.set_method_name(method);
        params.reborrow().init_operation().init_call_with_args().set_v8_serialized(bytes);
        if let Some(stub) = give {
            params.init_results_stream_handler().set_external_pusher(caps.client(stub));
        }
        Ok(())
    });
    built.unwrap()
}

/// An answer with some bytes and a capability.
pub fn answer(bytes: &[u8], give: Option<&Stub>) -> Body {
    let built = Body::build::<js_rpc_target::call_results::Owned>(|mut results, caps| {
        results.reborrow().init_result().set_v8_serialized(bytes);
        if let Some(stub) = give {
            results.set_call_pipeline(caps.client(stub));
        }
        Ok(())
    });
    built.unwrap()
}

/// The bytes of an answer.
pub fn bytes(answer: &Payload) -> Vec<u8> {
    let read = answer.read::<js_rpc_target::call_results::Owned, _>(|results, _| {
        Ok(results.get_result()?.get_v8_serialized()?.to_vec())
    });
    read.unwrap()
}

/// Calls and returns the bytes.
pub async fn say(stub: &Stub, method: &str, said: &[u8]) -> Result<Vec<u8>, RpcError> {
    soon(stub.call(TARGET, CALL, ask(method, said, None))).await.map(|answer| bytes(&answer))
}

/// Method, bytes, and the capability that came along.
pub fn asked(call: &Call) -> (String, Vec<u8>, Option<Stub>) {
    let read = call.params().read::<js_rpc_target::call_params::Owned, _>(|params, caps| {
        use js_rpc_target::call_params::{Which, operation, results_stream_handler};
        let Which::MethodName(name) = params.which()? else { panic!("called by path") };
        let bytes = match params.get_operation().which()? {
            operation::CallWithArgs(value) => value?.get_v8_serialized()?.to_vec(),
            operation::GetProperty(()) => Vec::new(),
        };
        let given = match params.get_results_stream_handler().which() {
            Ok(results_stream_handler::ExternalPusher(Ok(given))) => Some(caps.stub(&given)?),
            _ => None,
        };
        Ok((name?.to_string()?, bytes, given))
    });
    read.unwrap()
}

/// What a far object tells the test.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Hangs,
    Canceled,
    Released,
    Closed,
}

/// An object served by capnp-rpc.
pub struct Far {
    told: SyncSender<Told>,
    calls: std::cell::Cell<u8>,
    counter: bool,
}

impl Drop for Far {
    fn drop(&mut self) {
        if self.counter {
            let _ = self.told.send(Told::Released);
        }
    }
}

/// Tells that a call was dropped in the middle.
struct Hanging(SyncSender<Told>);

impl Drop for Hanging {
    fn drop(&mut self) {
        let _ = self.0.send(Told::Canceled);
    }
}

impl js_value::external_pusher::Server for Far {}

impl js_rpc_target::Server for Far {
    async fn call(
        self: Rc<Self>,
        params: js_rpc_target::CallParams,
        mut results: js_rpc_target::CallResults,
    ) -> capnp::Result<()> {
        use js_rpc_target::call_params::{Which, operation, results_stream_handler};
        let params = params.get()?;
        let Which::MethodName(name) = params.which()? else { panic!("called by path") };
        let operation::CallWithArgs(value) = params.get_operation().which()? else { panic!("no arguments") };
        let said = value?.get_v8_serialized()?;
        match name?.to_str()? {
            "echo" => results.get().init_result().set_v8_serialized(said),
            "counter" => {
                let counter = Far { told: self.told.clone(), calls: 0.into(), counter: true };
                results.get().set_call_pipeline(capnp_rpc::new_client(counter));
            }
            "inc" => {
                self.calls.set(self.calls.get().wrapping_add(1));
                results.get().init_result().set_v8_serialized(&[self.calls.get()]);
            }
            "back" => {
                let given = params.get_results_stream_handler().which()?;
                let results_stream_handler::ExternalPusher(given) = given else { panic!("nothing given") };
                let answer = call(&given?.cast_to(), "hello", said).await?;
                results.get().init_result().set_v8_serialized(&answer);
            }
            "return" => {
                let given = params.get_results_stream_handler().which()?;
                let results_stream_handler::ExternalPusher(given) = given else { panic!("nothing given") };
                results.get().set_call_pipeline(given?.cast_to());
            }
            "throw" => return Err(capnp::Error::overloaded("on purpose".into())),
            "hang" => {
                let _hanging = Hanging(self.told.clone());
                self.told.send(Told::Hangs).unwrap();
                std::future::pending::<()>().await;
            }
            other => panic!("no method {other}"),
        }
        Ok(())
    }
}

/// Calls with capnp-rpc.
pub async fn call(target: &js_rpc_target::Client, method: &str, said: &[u8]) -> capnp::Result<Vec<u8>> {
    let answer = request(target, method, said).send().promise.await?;
    Ok(answer.get()?.get_result()?.get_v8_serialized()?.to_vec())
}

type Request =
    capnp::capability::Request<js_rpc_target::call_params::Owned, js_rpc_target::call_results::Owned>;

pub fn request(target: &js_rpc_target::Client, method: &str, said: &[u8]) -> Request {
    let mut request = target.call_request();
    request.get().set_method_name(method);
    request.get().init_operation().init_call_with_args().set_v8_serialized(said);
    request
}

fn local<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

fn network(socket: UnixStream, side: Side) -> Box<VatNetwork<impl futures::AsyncRead + Unpin>> {
    socket.set_nonblocking(true).unwrap();
    let stream = tokio::net::UnixStream::from_std(socket).unwrap();
    let (read, write) = stream.compat().split();
    Box::new(VatNetwork::new(read, write, side, Default::default()))
}

/// Serves a [`Far`] on the socket until the other side closes it.
pub fn serve(socket: UnixStream, told: SyncSender<Told>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let object = Far { told: told.clone(), calls: 0.into(), counter: false };
        let serve = async {
            let object: js_rpc_target::Client = capnp_rpc::new_client(object);
            let network = network(socket, Side::Server);
            // How it ends says nothing: the other side may close at any moment.
            let _ = RpcSystem::new(network, Some(object.client)).await;
        };
        local(serve);
        // Whoever listened may have gone.
        let _ = told.send(Told::Closed);
    })
}

/// Runs a capnp-rpc client on the socket.
pub async fn client<T, F>(
    socket: UnixStream,
    work: impl FnOnce(js_rpc_target::Client) -> F + Send + 'static,
) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let run = move || {
        local(async {
            let mut system = RpcSystem::new(network(socket, Side::Client), None);
            let target: js_rpc_target::Client = system.bootstrap(Side::Server);
            let disconnector = system.get_disconnector();
            let system = tokio::task::spawn_local(system);
            let done = soon(work(target)).await;
            let _ = disconnector.await;
            system.abort();
            done
        })
    };
    soon(tokio::task::spawn_blocking(run)).await.unwrap()
}

/// An object of a client: it greets.
struct Greeter;

impl js_value::external_pusher::Server for Greeter {}

impl js_rpc_target::Server for Greeter {
    async fn call(
        self: Rc<Self>,
        params: js_rpc_target::CallParams,
        mut results: js_rpc_target::CallResults,
    ) -> capnp::Result<()> {
        use js_rpc_target::call_params::operation;
        let operation::CallWithArgs(value) = params.get()?.get_operation().which()? else {
            panic!("no arguments")
        };
        let greeting = [b"hello ", value?.get_v8_serialized()?].concat();
        results.get().init_result().set_v8_serialized(&greeting);
        Ok(())
    }
}

pub fn greeter() -> js_value::external_pusher::Client {
    let greeter: js_rpc_target::Client = capnp_rpc::new_client(Greeter);
    greeter.cast_to()
}
