//! The declarations against a real workerd: it runs a configuration that we encoded, and answers calls that we built.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use futures::AsyncReadExt;
use jackfield::schema::worker_interface_capnp::{js_rpc_target, workerd_debug_port};
use jackfield::schema::workerd_config_capnp::config;
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::support::workerd::workerd_path;

const SCRIPT: &str = r#"
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
export class Counter extends DurableObject {
  next() { return this.count = (this.count ?? 0) + 1; }
}
export class Sums extends WorkerEntrypoint {
  add(a, b) { return a + b; }
}
export default {
  async fetch(request, env) {
    const counter = env.COUNTER.get(env.COUNTER.idFromName("one"));
    return Response.json([request.url, env.GREETING, env.SETTINGS, await counter.next(), await env.SELF.add(1, 2)]);
  },
};
"#;

/// Longer than a start takes on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(30);

fn configuration(http: &Path) -> Builder<HeapAllocator> {
    let mut message = Builder::new_default();
    let mut config = message.init_root::<config::Builder>();
    let mut service = config.reborrow().init_services(1).get(0);
    service.set_name("api");
    let mut worker = service.init_worker();
    let mut module = worker.reborrow().init_modules(1).get(0);
    module.set_name("api.js");
    module.set_es_module(SCRIPT);
    worker.set_compatibility_date("2026-01-01");
    let mut bindings = worker.reborrow().init_bindings(4);
    let mut greeting = bindings.reborrow().get(0);
    greeting.set_name("GREETING");
    greeting.set_text("hi");
    let mut settings = bindings.reborrow().get(1);
    settings.set_name("SETTINGS");
    settings.set_json("{\"on\":true}");
    let mut counter = bindings.reborrow().get(2);
    counter.set_name("COUNTER");
    counter.init_durable_object_namespace().set_class_name("Counter");
    let mut own = bindings.reborrow().get(3);
    own.set_name("SELF");
    let mut own = own.init_service();
    own.set_name("api");
    own.set_entrypoint("Sums");
    let mut class = worker.reborrow().init_durable_object_namespaces(1).get(0);
    class.set_class_name("Counter");
    class.set_unique_key("api-counter");
    worker.init_durable_object_storage().set_in_memory(());
    let mut socket = config.init_sockets(1).get(0);
    socket.set_name("http");
    socket.set_address(format!("unix:{}", http.display()));
    socket
        .reborrow()
        .init_http()
        .set_style(jackfield::schema::workerd_config_capnp::http_options::Style::Proxy);
    socket.init_service().set_name("api");
    message
}

/// A workerd that ends with its test.
struct Running {
    child: Child,
    folder: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        capnp::serialize::write_message(&mut bytes, &configuration(&folder.path().join("http"))).unwrap();
        std::fs::write(folder.path().join("config"), bytes).unwrap();
        let mut child = Command::new(workerd_path())
            .args(["serve", "--binary", "--control-fd=1"])
            .arg(format!("--debug-port=unix:{}", folder.path().join("debug").display()))
            .arg(folder.path().join("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // Ends early, and not at the deadline, where workerd refuses the configuration: its output ends with it.
        let listening = lines.take(2).filter(|line| line.contains("\"listen\"")).count();
        let running = Self { child, folder };
        assert_eq!(listening, 2, "workerd listens for HTTP and on its debug port");
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_configuration_of_ours_runs() {
    let running = Running::start();
    let mut stream = UnixStream::connect(running.folder.path().join("http")).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET https://some.where/path HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(r#"["https://some.where/path","hi",{"on":true},1,3]"#), "{answer}");
}

#[test]
fn a_call_of_ours_is_answered() {
    let running = Running::start();
    let socket = running.folder.path().join("debug");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let call = async {
        let stream = tokio::net::UnixStream::connect(socket).await.unwrap();
        let (read, write) = stream.compat().split();
        let network = VatNetwork::new(read, write, Side::Client, Default::default());
        let mut system = RpcSystem::new(Box::new(network), None);
        let port: workerd_debug_port::Client = system.bootstrap(Side::Server);
        tokio::task::spawn_local(system);
        add(port).await.unwrap()
    };
    let local = tokio::task::LocalSet::new();
    let sum = local.block_on(&runtime, async { tokio::time::timeout(DEADLINE, call).await.unwrap() });
    // The number 3: a varint of its double, after the tag I.
    assert!(sum.ends_with(&[0x49, 6]), "{sum:x?}");
}

/// add(1, 2), all in one flight.
async fn add(port: workerd_debug_port::Client) -> capnp::Result<Vec<u8>> {
    let mut entrypoint = port.get_entrypoint_request();
    entrypoint.get().set_service("api");
    entrypoint.get().set_entrypoint("Sums");
    let event = entrypoint.send().pipeline.get_entrypoint().start_event_request().send();
    let session = event.pipeline.get_dispatcher().js_rpc_session_request().send();
    let target: js_rpc_target::Client = session.pipeline.get_top_level();
    let mut call = target.call_request();
    call.get().set_method_name("add");
    let arguments = [0xff, 0x0f, 0x41, 2, 0x49, 2, 0x49, 4, 0x24, 0, 2];
    call.get().init_operation().init_call_with_args().set_v8_serialized(&arguments);
    let answer = call.send().promise.await?;
    Ok(answer.get()?.get_result()?.get_v8_serialized()?.to_vec())
}
