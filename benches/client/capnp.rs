//! Fetches and calls as a program would write them with capnp-rpc.

use std::cell::RefCell;
use std::io::{Error, Result};
use std::path::Path;
use std::rc::Rc;

use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, new_client, twoparty};
use jackfield::schema::byte_stream_capnp::byte_stream;
use jackfield::schema::http_over_capnp_capnp::http_service;
use jackfield::schema::worker_interface_capnp::js_value::{external, external_pusher};
use jackfield::schema::worker_interface_capnp::{
    js_rpc_session, js_rpc_target, js_value, workerd_bootstrap, workerd_debug_port,
};
use jackfield::wire::v8::{JsValue, deserialize, serialize};
use tokio_util::compat::TokioAsyncReadCompatExt;

/// A client, to be used within a `LocalSet`.
pub struct Client {
    entrypoint: workerd_bootstrap::Client,
    /// Workers want to know where streams of an answer would go.
    pusher: external_pusher::Client,
}

/// An object of the worker's.
pub struct Object {
    cap: js_rpc_target::Client,
    /// It is held as long as the object.
    _session: js_rpc_session::Client,
}

impl Client {
    pub async fn connect(path: &Path) -> Result<Self> {
        let stream = tokio::net::UnixStream::connect(path).await?;
        let (read, write) = futures::AsyncReadExt::split(stream.compat());
        let network = twoparty::VatNetwork::new(read, write, Side::Client, Default::default());
        let mut system = RpcSystem::new(Box::new(network), None);
        let port: workerd_debug_port::Client = system.bootstrap(Side::Server);
        drop(tokio::task::spawn_local(system));
        let mut request = port.get_entrypoint_request();
        request.get().set_service("api");
        let entrypoint = request.send().promise.await.map_err(Error::other)?;
        Ok(Client {
            entrypoint: entrypoint.get().and_then(|answer| answer.get_entrypoint()).map_err(Error::other)?,
            pusher: new_client(Pusher),
        })
    }

    /// The sum of two numbers, by a call that is an event of its own.
    pub async fn add(&self, a: i32, b: i32) -> Result<JsValue> {
        let event = self.entrypoint.start_event_request().send();
        let session = event.pipeline.get_dispatcher().js_rpc_session_request().send();
        let answer = self.call(&session.pipeline.get_top_level(), "add", [a.into(), b.into()]).await?;
        value(answer.get().and_then(|results| results.get_result()).map_err(Error::other)?)
    }

    /// What a method without arguments makes.
    pub async fn make(&self, method: &str) -> Result<Object> {
        let event = self.entrypoint.start_event_request().send();
        let session = event.pipeline.get_dispatcher().js_rpc_session_request().send();
        let answer = self.call(&session.pipeline.get_top_level(), method, []).await?;
        let results = answer.get().map_err(Error::other)?;
        let externals = results.get_result().and_then(|value| value.get_externals()).map_err(Error::other)?;
        match externals.iter().next().map(|external| external.which()) {
            Some(Ok(external::RpcTarget(target))) => Ok(Object {
                cap: target.get_cap().map_err(Error::other)?,
                _session: session.pipeline.get_session(),
            }),
            _ => Err(Error::other("it makes no object")),
        }
    }

    /// The same sum, by an object that is there already.
    pub async fn add_on(&self, object: &Object, a: i32, b: i32) -> Result<JsValue> {
        let answer = self.call(&object.cap, "add", [a.into(), b.into()]).await?;
        value(answer.get().and_then(|results| results.get_result()).map_err(Error::other)?)
    }

    async fn call<const N: usize>(
        &self,
        target: &js_rpc_target::Client,
        method: &str,
        args: [JsValue; N],
    ) -> Result<capnp::capability::Response<js_rpc_target::call_results::Owned>> {
        let mut request = target.call_request();
        let mut params = request.get();
        params.set_method_name(method);
        params.reborrow().init_results_stream_handler().set_external_pusher(self.pusher.clone());
        let args = serialize(&JsValue::array(args)).map_err(Error::other)?;
        params.init_operation().init_call_with_args().set_v8_serialized(&args.bytes);
        request.send().promise.await.map_err(Error::other)
    }

    /// The body of the answer to a GET.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>> {
        let event = self.entrypoint.start_event_request().send();
        let http = event.pipeline.get_dispatcher().get_http_service_request().send();
        let mut request = http.pipeline.get_http().request_request();
        let body = Rc::new(RefCell::new(Vec::new()));
        request.get().set_context(new_client(Context(body.clone())));
        let mut head = request.get().init_request();
        head.set_url(url);
        head.init_body_size().set_fixed(0);
        request.send().promise.await.map_err(Error::other)?;
        Ok(body.take())
    }
}

fn value(value: js_value::Reader<'_>) -> Result<JsValue> {
    let bytes = value.get_v8_serialized().map_err(Error::other)?;
    deserialize(bytes, Vec::new()).map_err(Error::other)
}

/// Nothing is pushed.
struct Pusher;

impl external_pusher::Server for Pusher {}

struct Context(Rc<RefCell<Vec<u8>>>);

impl http_service::client_request_context::Server for Context {
    async fn start_response(
        self: Rc<Self>,
        _: http_service::client_request_context::StartResponseParams,
        mut results: http_service::client_request_context::StartResponseResults,
    ) -> capnp::Result<()> {
        results.get().set_body(new_client(Body(self.0.clone())));
        Ok(())
    }
}

struct Body(Rc<RefCell<Vec<u8>>>);

impl byte_stream::Server for Body {
    async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> capnp::Result<()> {
        self.0.borrow_mut().extend_from_slice(params.get()?.get_bytes()?);
        Ok(())
    }

    async fn end(self: Rc<Self>, _: byte_stream::EndParams, _: byte_stream::EndResults) -> capnp::Result<()> {
        Ok(())
    }
}
