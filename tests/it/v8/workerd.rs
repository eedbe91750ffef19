//! What workerd writes, and what it reads of what we write.
//!
//! `JACKFIELD_RECORD=1 cargo test --test it v8::workerd` records its bytes anew, in `golden/workerd.jsonl`.

use std::path::Path;

use capnp::traits::HasTypeId;
use jackfield::net::local::{Body, Call, Connection, Payload, Peer, RpcError, Settings, Stub};
use jackfield::schema::worker_interface_capnp::js_value::external::Which as Kind;
use jackfield::schema::worker_interface_capnp::{
    event_dispatcher, js_rpc_target, workerd_bootstrap, workerd_debug_port,
};
use jackfield::session::Sessions;
use jackfield::wire::v8::{ErrorForm, JsValue, View, deserialize, serialize};
use serde_json::json;

use super::recorded;
use crate::support::sessions::{Bench, DEADLINE};

const PROJECT: &str = r#"
[sessions.now]
modules = ["worker.js", "values.js", "workers.js"]
compatibility_date = "2026-11-01"
compatibility_flags = ["nodejs_compat"]

[sessions.before]
modules = ["worker.js", "values.js", "workers.js"]
compatibility_date = "2026-11-01"
compatibility_flags = ["nodejs_compat", "legacy_error_serialization"]
"#;

const FILES: &[(&str, &str)] = &[
    ("worker.js", include_str!("../golden/worker.js")),
    ("values.js", include_str!("../golden/values.js")),
    ("workers.js", include_str!("../golden/workers.js")),
];

struct Worker {
    peer: Peer,
    line: Connection,
    name: &'static str,
}

/// A value as it came: its bytes, and the kinds of what came beside it.
struct Came {
    bytes: Vec<u8>,
    externals: Vec<&'static str>,
}

impl Worker {
    async fn connect(bench: &Bench, name: &'static str) -> Self {
        let socket = bench.up(name, 1).await.debug_port.path().unwrap().to_owned();
        let peer = Peer::start(Settings::default());
        let line = peer.connect_unix(&socket, None).await.unwrap();
        Worker { peer, line, name }
    }

    /// One call of a method.
    async fn call(&self, method: &str, arguments: &JsValue) -> Result<Came, RpcError> {
        let entrypoint = Body::build::<workerd_debug_port::get_entrypoint_params::Owned>(|mut params, _| {
            params.set_service(self.name);
            Ok(())
        });
        let start =
            async |stub: Stub, interface, method, body| stub.start(interface, method, body).await.unwrap();
        let port = self.line.bootstrap();
        let entrypoint =
            start(port, workerd_debug_port::Client::TYPE_ID, 0, entrypoint.unwrap()).await.pipeline(&[0]);
        let event =
            start(entrypoint, workerd_bootstrap::Client::TYPE_ID, 0, Body::empty()).await.pipeline(&[0]);
        let session = start(event, event_dispatcher::Client::TYPE_ID, 9, Body::empty()).await;
        let (target, _session) = (session.pipeline(&[0]), session.pipeline(&[1]));
        // Streams in results are pushed to somebody.
        let pusher = self.peer.serve(|call: Call| call.respond(Body::empty()));
        let encoded = serialize(arguments).unwrap();
        let body = Body::build::<js_rpc_target::call_params::Owned>(|mut params, caps| {
            params.set_method_name(method);
            params.reborrow().init_operation().init_call_with_args().set_v8_serialized(&encoded.bytes);
            params.init_results_stream_handler().set_external_pusher(caps.client(&pusher));
            Ok(())
        });
        let call = target.call(js_rpc_target::Client::TYPE_ID, 0, body.unwrap());
        let answer = tokio::time::timeout(DEADLINE, call).await.expect("in time")?;
        Ok(Came::read(&answer))
    }

    async fn value(&self, method: &str, arguments: &JsValue) -> JsValue {
        let came = self.call(method, arguments).await.unwrap();
        deserialize(&came.bytes, Vec::new()).unwrap()
    }

    async fn names(&self) -> Vec<Vec<String>> {
        let names = self.value("names", &JsValue::array::<JsValue>([])).await;
        let View::Array(lists) = names.view() else { panic!("{names:?}") };
        let list = |list: JsValue| {
            let View::Array(names) = list.view() else { panic!("{list:?}") };
            names.entries().map(|(_, name)| name.as_str().unwrap().to_owned()).collect()
        };
        lists.entries().map(|(_, names)| list(names.to_value())).collect()
    }
}

impl Came {
    fn read(answer: &Payload) -> Came {
        let read = answer.read::<js_rpc_target::call_results::Owned, _>(|results, _| {
            let result = results.get_result()?;
            let kinds = result.get_externals()?.iter().map(|external| match external.which() {
                Ok(Kind::RpcTarget(_)) => "RpcStub",
                Ok(Kind::WritableStream(_)) => "WritableStream",
                Ok(Kind::ReadableStream(_)) => "ReadableStream",
                _ => "something else",
            });
            Ok(Came { bytes: result.get_v8_serialized()?.to_vec(), externals: kinds.collect() })
        });
        read.unwrap()
    }
}

async fn started() -> (Bench, Sessions, Worker, Worker) {
    let bench = Bench::new(PROJECT, FILES);
    let sessions = bench.start().await.unwrap();
    let (now, before) = (Worker::connect(&bench, "now").await, Worker::connect(&bench, "before").await);
    (bench, sessions, now, before)
}

/// The lines of the golden file, as this workerd would have it.
async fn lines(now: &Worker, before: &Worker) -> String {
    let names = now.names().await;
    let [everybodys, errors, own] = names.as_slice() else { panic!("{names:?}") };
    let is_error = |name: &&String| name.to_lowercase().contains("error");
    let of_both = everybodys.iter().filter(is_error).chain(errors);
    let mut lines = String::new();
    let all = everybodys.iter().chain(own).map(|name| (now, name, name.clone()));
    for (worker, name, line) in all.chain(of_both.map(|name| (before, name, format!("{name}, before")))) {
        let argument = JsValue::array([name.as_str()]);
        let came = worker.call("make", &argument).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut line = json!({ "name": line, "hex": hex::encode(&came.bytes), "externals": came.externals });
        // Others are printed with where they were received, or not as node does.
        if everybodys.contains(name) && !is_error(&name) {
            let printed = worker.value("describe", &argument).await;
            for (nth, way) in ["inspect", "deep", "colors"].into_iter().enumerate() {
                line[way] = printed.at(nth as u32).unwrap().as_str().unwrap().into();
            }
        }
        lines.push_str(&format!("{line}\n"));
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn it_writes_what_was_recorded() {
    let (_bench, _sessions, now, before) = started().await;
    let lines = lines(&now, &before).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/workerd.jsonl");
    if std::env::var_os("JACKFIELD_RECORD").is_some() {
        std::fs::write(&file, &lines).unwrap();
    }
    for (written, recorded) in lines.lines().zip(std::fs::read_to_string(&file).unwrap().lines()) {
        assert_eq!(written, recorded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reads_what_we_write() {
    let (_bench, _sessions, now, _) = started().await;
    let mut wrong = Vec::new();
    for one in recorded::workerd() {
        if !one.externals.is_empty() || one.name.ends_with(", before") {
            continue;
        }
        let arguments = JsValue::array([JsValue::from(one.name.as_str()), one.value()]);
        let same = now.value("same", &arguments).await;
        if same != JsValue::from(true) {
            wrong.push(format!("{}: {}", one.name, same.as_str().unwrap_or_default()));
        }
        let back = now.value("echo", &JsValue::array([one.value()])).await;
        if !is_echo(&back, &one.value()) {
            wrong.push(format!("{}: echoed as {back:?}", one.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a value came back. An error comes without its stack, and what it had within becomes a property.
pub fn is_echo(back: &JsValue, sent: &JsValue) -> bool {
    match (back.view(), sent.view()) {
        (View::Error(back), View::Error(sent)) => {
            (back.name(), back.message()) == (sent.name(), sent.message())
                && back.property("code") == sent.property("code")
                && back.cause().is_some() == sent.cause().is_some()
        }
        _ => back == sent || sent.get("list").and_then(|list| list.at(0)).is_some_and(is_error),
    }
}

fn is_error(value: JsValue) -> bool {
    matches!(value.view(), View::Error(_))
}

/// The detail of an exception in which workerd keeps what was thrown.
const THROWN: u64 = 0xe802_7292_171b_1646;

#[tokio::test(flavor = "multi_thread")]
async fn what_it_throws_is_a_value() {
    let (_bench, _sessions, now, before) = started().await;
    for worker in [now, before] {
        for name in
            ["error with properties", "error with a cause", "TypeError", "error with a name of its own"]
        {
            let failed = worker.call("fail", &JsValue::array([name])).await;
            let Err(error) = failed else { panic!("{name}: it did not fail") };
            let details = error.into_exception().details;
            let thrown = details.iter().find(|(id, _)| *id == THROWN).map(|(_, thrown)| thrown);
            let thrown = deserialize(thrown.unwrap(), Vec::new()).unwrap();
            let made = recorded::workerd().into_iter().find(|one| one.name == name).unwrap().value();
            let (View::Error(thrown), View::Error(made)) = (thrown.view(), made.view()) else {
                panic!("{thrown:?} and {made:?}")
            };
            assert_eq!(thrown.message(), made.message());
            assert_eq!(thrown.stack(), made.stack());
            let form = if worker.name == "now" { ErrorForm::Workerd } else { ErrorForm::V8 };
            assert_eq!(thrown.form(), form);
            if form == ErrorForm::Workerd {
                assert_eq!((thrown.name(), thrown.properties()), (made.name(), made.properties()));
            }
        }
    }
}
