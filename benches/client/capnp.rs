//! A fetch as a program would write it with capnp-rpc.

use std::cell::RefCell;
use std::io::{Error, Result};
use std::path::Path;
use std::rc::Rc;

use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, new_client, twoparty};
use jackfield::schema::byte_stream_capnp::byte_stream;
use jackfield::schema::http_over_capnp_capnp::http_service;
use jackfield::schema::worker_interface_capnp::{workerd_bootstrap, workerd_debug_port};
use tokio_util::compat::TokioAsyncReadCompatExt;

/// A client, to be used within a `LocalSet`.
pub struct Client(workerd_bootstrap::Client);

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
        Ok(Client(entrypoint.get().and_then(|answer| answer.get_entrypoint()).map_err(Error::other)?))
    }

    /// The body of the answer to a GET.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>> {
        let event = self.0.start_event_request().send();
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
