//! Our stubs and handlers against the debug port of a real workerd.

use std::sync::{Arc, Mutex};

use capnp::traits::HasTypeId;
use jackfield::net::local::{Body, Call, Connection, Payload, Peer, Settings, Stub};
use jackfield::schema::byte_stream_capnp::byte_stream;
use jackfield::schema::http_over_capnp_capnp::http_service;
use jackfield::schema::worker_interface_capnp::{
    event_dispatcher, js_rpc_target, workerd_bootstrap, workerd_debug_port,
};
use jackfield::session::Sessions;

use super::far::{CALL, TARGET, answer, ask, bytes, soon};
use crate::support::sessions::Bench;

const PROJECT: &str = r#"
[sessions.api]
script = "api.js"
compatibility_date = "2026-11-01"
"#;

const SCRIPT: &str = r#"
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
    fetch(request) { return new Response("fetched " + request.url, { status: 201 }); }
    add(a, b) { return a + b; }
    async callBack(f) { return (await f(20)) + 2; }
    refuse() { throw new RangeError("no"); }
}
"#;

struct Worker {
    peer: Peer,
    line: Connection,
    _bench: Bench,
    _sessions: Sessions,
}

impl Worker {
    async fn start() -> Self {
        let bench = Bench::new(PROJECT, &[("api.js", SCRIPT)]);
        let sessions = bench.start().await.unwrap();
        let socket = bench.up("api", 1).await.debug_port.path().unwrap().to_owned();
        let peer = Peer::start(Settings::default());
        let line = peer.connect_unix(&socket, None).await.unwrap();
        Worker { peer, line, _bench: bench, _sessions: sessions }
    }

    /// A new event: nothing of it waits for a round trip.
    async fn event(&self, port: &Stub) -> Stub {
        let params = Body::build::<workerd_debug_port::get_entrypoint_params::Owned>(|mut params, _| {
            params.set_service("api");
            Ok(())
        });
        let entrypoint = port.start(workerd_debug_port::Client::TYPE_ID, 0, params.unwrap()).await.unwrap();
        let entrypoint = entrypoint.pipeline(&[0]);
        let event = entrypoint.start(workerd_bootstrap::Client::TYPE_ID, 0, Body::empty()).await.unwrap();
        event.pipeline(&[0])
    }

    /// One call on a session of its own. Its first answer from workerd is the last.
    async fn call(&self, port: &Stub, body: Body) -> Result<Payload, jackfield::net::local::RpcError> {
        let event = self.event(port).await;
        let session = event.start(event_dispatcher::Client::TYPE_ID, 9, Body::empty()).await.unwrap();
        let (target, _session) = (session.pipeline(&[0]), session.pipeline(&[1]));
        soon(target.call(TARGET, CALL, body)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_called_in_one_flight() {
    let worker = Worker::start().await;
    let port = worker.line.bootstrap();
    let add = [0xff, 0x0f, 0x41, 2, 0x49, 2, 0x49, 4, 0x24, 0, 2];
    let sum = worker.call(&port, ask("add", &add, None)).await.unwrap();
    assert_eq!(bytes(&sum), [0xff, 0x0f, 0x49, 6]);
    drop(sum);
    let (before, sizes) = (worker.peer.inventory().await.unwrap(), worker.line.sizes().await.unwrap());
    for _ in 0..100 {
        worker.call(&port, ask("add", &add, None)).await.unwrap();
    }
    soon(async {
        while worker.peer.inventory().await.unwrap() != before || worker.line.sizes().await.unwrap() != sizes
        {
            worker.call(&port, ask("add", &add, None)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thrown_error_comes_whole() {
    let worker = Worker::start().await;
    let error =
        worker.call(&worker.line.bootstrap(), ask("refuse", &[0xff, 0x0f, 0x41, 0, 0x24, 0, 0], None)).await;
    let error = error.err().unwrap();
    let exception = error.exception().unwrap();
    assert_eq!(exception.reason, "remote.jsg.RangeError: no");
    // The serialized error among them.
    assert!(exception.details.iter().any(|(id, _)| *id == 0xe802_7292_171b_1646), "{exception:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_calls_a_handler_back() {
    let worker = Worker::start().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let double = worker.peer.serve(move |call: Call| {
        let args = call.params().read::<js_rpc_target::call_params::Owned, _>(|params, _| {
            use js_rpc_target::call_params::operation::Which;
            let Which::CallWithArgs(args) = params.get_operation().which()? else { panic!("a property") };
            Ok(args?.get_v8_serialized()?.to_vec())
        });
        *record.lock().unwrap() = args.unwrap();
        // 40.
        call.respond(answer(&[0xff, 0x0f, 0x49, 80], None));
    });
    let params = Body::build::<js_rpc_target::call_params::Owned>(|mut params, caps| {
        params.set_method_name("callBack");
        let mut args = params.init_operation().init_call_with_args();
        args.set_v8_serialized(&[0xff, 0x0f, 0x41, 1, 0x5c, 1, 0x24, 0, 1]);
        args.init_externals(1).get(0).init_rpc_target().set_cap(caps.client(&double));
        Ok(())
    });
    let answered = worker.call(&worker.line.bootstrap(), params.unwrap()).await.unwrap();
    assert_eq!(bytes(&answered), [0xff, 0x0f, 0x49, 84]);
    assert_eq!(*seen.lock().unwrap(), [0xff, 0x0f, 0x41, 1, 0x49, 40, 0x24, 0, 1]);
}

/// What a response context and its body are told.
#[derive(Default)]
struct Response {
    status: u16,
    body: Vec<u8>,
    ended: bool,
}

/// A body that is written to us.
fn body(peer: &Peer, response: Arc<Mutex<Response>>) -> Stub {
    peer.serve(move |call: Call| {
        let mut response = response.lock().unwrap();
        match call.method {
            0 => {
                let read = call.params().read::<byte_stream::write_params::Owned, _>(|params, _| {
                    Ok(params.get_bytes()?.to_vec())
                });
                response.body.extend(read.unwrap());
                call.respond(Body::empty());
            }
            1 => {
                response.ended = true;
                call.respond(Body::empty());
            }
            _ => call.unimplemented(),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_answers_a_fetch_to_our_handlers() {
    let worker = Worker::start().await;
    let event = worker.event(&worker.line.bootstrap()).await;
    let http = event.start(event_dispatcher::Client::TYPE_ID, 0, Body::empty()).await.unwrap().pipeline(&[0]);
    let response = Arc::new(Mutex::new(Response::default()));
    let (peer, record) = (worker.peer.clone(), response.clone());
    let context = worker.peer.serve(move |call: Call| {
        use http_service::client_request_context::start_response_params::Owned;
        let status = call.params().read::<Owned, _>(|params, _| Ok(params.get_response()?.get_status_code()));
        record.lock().unwrap().status = status.unwrap();
        call.respond(Body::stubs_only([body(&peer, record.clone())]));
    });
    let params = Body::build::<http_service::request_params::Owned>(|mut params, caps| {
        params.set_context(caps.client(&context));
        let mut request = params.init_request();
        request.set_url("https://some.where/path");
        request.init_body_size().set_fixed(0);
        Ok(())
    });
    drop(context);
    soon(http.call(http_service::Client::TYPE_ID, 1, params.unwrap())).await.unwrap();
    let response = response.lock().unwrap();
    assert_eq!((response.status, response.ended), (201, true));
    assert_eq!(response.body, b"fetched https://some.where/path");
}
