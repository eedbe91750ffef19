//! An object of ours, as the service that a worker calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jackfield::client::{
    Address, Body, Path, ReadableStream, Session, Stub, Target, Thrown, function, service,
};
use jackfield::net::local::{Peer, Settings};
use jackfield::wire::v8::JsValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::ways::soon;
use crate::support::running::Running;

const WORKER: &str = r#"
export default {
  async fetch(request, env) {
    const rust = env.RUST;
    const caught = async (act) => { try { return await act(); } catch (error) {
      return { name: error.name, message: error.message, code: error.code, type: error instanceof TypeError,
        remote: error.remote, retryable: error.retryable };
    } };
    const told = [];
    told.push(await rust.add(1, 2));
    told.push(await rust.name);
    told.push(await caught(() => rust.fail("no")));
    told.push(await caught(() => rust.missing()));
    told.push(await caught(async () => (await rust.fetch("http://a/")).status));
    const counter = await rust.counter(5);
    told.push([await counter(1), await counter(10)]);
    counter[Symbol.dispose]();
    told.push(await rust.counter(7)(1));
    told.push(await rust.boxed().inner.method("x"));
    told.push(await rust.twice((value) => value * 2));
    told.push(await new Response(await rust.stream()).text());
    told.push(await rust.take(new Response("from the worker").body));
    return Response.json(told);
  },
};
"#;

/// Counts what it made and was not dropped.
struct Rust(Arc<AtomicUsize>);

struct Counter(AtomicUsize, Arc<AtomicUsize>);

impl Target for Counter {
    async fn call(&self, _: Path, args: Vec<JsValue>) -> Result<JsValue, Thrown> {
        let by = args[0].as_f64().unwrap() as usize;
        Ok(((self.0.fetch_add(by, Ordering::SeqCst) + by) as u32).into())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Target for Rust {
    async fn call(&self, method: Path, args: Vec<JsValue>) -> Result<JsValue, Thrown> {
        let number = |at: usize| args[at].as_f64().unwrap();
        match method.to_string().as_str() {
            "add" => Ok((number(0) + number(1)).into()),
            "fail" => Err(Thrown::type_error(args[0].as_str().unwrap()).with("code", 7)),
            "counter" => {
                self.0.fetch_add(1, Ordering::SeqCst);
                let counter = Counter(AtomicUsize::new(number(0) as usize), self.0.clone());
                Ok(jackfield::client::object(counter))
            }
            "boxed" => {
                let method =
                    function(|args| async move { Ok(JsValue::array([args[0].clone(), "inner".into()])) });
                Ok(JsValue::object([("inner", JsValue::object([("method", method)]))]))
            }
            "twice" => {
                let callback = Stub::of(&args[0]).unwrap();
                let once = callback.invoke([21.into()]).await?;
                Ok(callback.invoke([once]).await?)
            }
            "stream" => Ok(ReadableStream::new(Body::from("from rust")).into()),
            "take" => {
                let stream = ReadableStream::take(&args[0]).unwrap();
                let bytes = stream.bytes().await.map_err(Thrown::error)?;
                Ok(String::from_utf8_lossy(&bytes).into_owned().into())
            }
            _ => Err(Thrown::no_method(&method)),
        }
    }

    async fn get(&self, property: Path) -> Result<JsValue, Thrown> {
        match property.to_string().as_str() {
            "name" => Ok("Rust".into()),
            _ => Err(Thrown::no_method(&property)),
        }
    }
}

/// Takes the connections that a worker opens with CONNECT.
async fn accept(listener: UnixListener, peer: Peer, rust: Arc<AtomicUsize>) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match socket.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        // What is no CONNECT is a plain fetch, which nobody answers here.
        if !head.starts_with(b"CONNECT") {
            let _ = socket.write_all(b"HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\n\r\n").await;
            continue;
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let socket = socket.into_std().unwrap();
        let _ = peer.connect(socket, "the worker", Some(service(&peer, Rust(rust.clone()))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_calls_a_rust_object() {
    let folder = crate::support::running::folder();
    let listener = UnixListener::bind(folder.path().join("rust")).unwrap();
    let peer = Peer::start(Settings::default());
    let made = Arc::new(AtomicUsize::new(0));
    let accepts = tokio::spawn(accept(listener, peer.clone(), made.clone()));
    let config = format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "caller", worker = (
      modules = [(name = "main.js", esModule = {})],
      compatibilityDate = "2026-11-01",
      bindings = [(name = "RUST", service = "rust")])),
    (name = "rust", external = (address = "unix:rust", http = (capnpConnectHost = "link")))],
  sockets = []);
"#,
        serde_json::Value::from(WORKER),
    );
    let running = Running::start(folder, &config, &[]);
    let session = Session::connect(&Address::Unix(running.debug_socket())).await.unwrap();
    let request = http::Request::get("http://caller/").body(Body::empty()).unwrap();
    let answer = soon(session.entrypoint("caller", None, None).fetch(request)).await.unwrap();
    let told = soon(answer.into_body().text()).await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}"));
    let missing = "The RPC receiver does not implement the method \"missing\".";
    assert_eq!(
        told,
        serde_json::json!([
            3, "Rust",
            { "name": "TypeError", "message": "no", "code": 7, "type": true, "remote": true },
            { "name": "TypeError", "message": missing, "type": true, "remote": true },
            501, [6, 16], 8, ["x", "inner"], 84, "from rust", "from the worker",
        ])
    );
    // All is given back when the event is over.
    let wait = async {
        while made.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
        loop {
            let inventory = peer.inventory().await.unwrap();
            if inventory.handlers <= 1 && inventory.questions == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(std::time::Duration::from_secs(10), wait).await.is_err() {
        panic!("{} made, {:?}", made.load(Ordering::SeqCst), peer.inventory().await);
    }
    accepts.abort();
}
