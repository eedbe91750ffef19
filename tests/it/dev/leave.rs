//! How `jackfield dev` ends: its calls may, unless it is asked twice.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{folder, free_port};
use crate::support::up::{DEADLINE, Kept, command};

const CONFIG: &str = r#"
name = "rooms"
main = "index.ts"
compatibility_date = "2026-11-01"
[[durable_objects.bindings]]
name = "ROOMS"
class_name = "Room"
[[migrations]]
tag = "v1"
new_sqlite_classes = ["Room"]
"#;

pub(super) const MAIN: &str = r#"
import { DurableObject } from "cloudflare:workers";
export class Room extends DurableObject {}
export default {
    async fetch(request: Request): Promise<Response> {
        if (request.headers.has("upgrade")) {
            const [near, far] = Object.values(new WebSocketPair());
            far.accept();
            far.send("welcome");
            return new Response(null, { status: 101, webSocket: near });
        }
        console.log("began");
        return new Response("got " + await request.text());
    },
};
"#;

/// A session that stores objects, and its command.
pub(super) struct Rooms {
    pub(super) folder: tempfile::TempDir,
    pub(super) listen: String,
}

impl Rooms {
    pub(super) fn new() -> Self {
        let folder = folder(&[("wrangler.toml", CONFIG), ("index.ts", MAIN)]);
        Self { folder, listen: format!("127.0.0.1:{}", free_port()) }
    }

    fn start(&self) -> Kept {
        Kept::start(&self.folder, &["dev", "--json", "--listen", &self.listen])
    }

    pub(super) async fn up(&self) -> Kept {
        let mut kept = self.start();
        kept.event("ready").await;
        kept
    }

    /// A request that the worker has, and waits for the rest of.
    pub(super) async fn call(&self, kept: &mut Kept) -> TcpStream {
        let mut call = TcpStream::connect(&self.listen).await.unwrap();
        let head = "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 4\r\n\r\nha";
        call.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(kept.event("output").await["line"], "began");
        call
    }
}

pub(super) async fn rest(mut call: TcpStream) -> String {
    call.write_all(b"lf").await.unwrap();
    end(call).await
}

/// What comes of a call.
pub(super) async fn end(mut call: TcpStream) -> String {
    let mut answer = Vec::new();
    // One that is broken may be reset.
    let _ = tokio::time::timeout(DEADLINE, call.read_to_end(&mut answer)).await.expect("it does not end");
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_ends_when_its_calls_have() {
    let rooms = Rooms::new();
    for signal in [Signal::INT, Signal::HUP] {
        let mut kept = rooms.up().await;
        let call = rooms.call(&mut kept).await;
        kept.signal(signal);
        kept.event("stopping").await;
        assert!(rest(call).await.ends_with("got half"));
        kept.event("stopped").await;
        assert_eq!(kept.code().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_breaks_the_calls() {
    let rooms = Rooms::new();
    let mut kept = rooms.up().await;
    let call = rooms.call(&mut kept).await;
    kept.signal(Signal::TERM);
    kept.event("stopping").await;
    let began = Instant::now();
    kept.signal(Signal::INT);
    assert_eq!(kept.code().await, 1);
    assert!(!end(call).await.contains("got"));
    rooms.up().await;
    // The calls' own time is ten.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_session_that_ends_says_so() {
    let rooms = Rooms::new();
    let mut kept = rooms.up().await;
    let call = rooms.call(&mut kept).await;
    // Nobody asked the calls to end sooner.
    kept.signal(Signal::KILL);
    let mut next = rooms.start();
    let told = next.event("waiting").await;
    assert_eq!((&told["session"], &told["calls"]), (&json!("rooms"), &json!(1)));
    let at_most = told["at_most_ms"].as_u64().unwrap();
    assert!((1000..=12_000).contains(&at_most), "{told}");
    // It need not be waited for to be stopped.
    next.signal(Signal::INT);
    next.event("stopped").await;
    assert_eq!(next.code().await, 0);
    let mut next = rooms.start();
    next.event("waiting").await;
    assert!(rest(call).await.ends_with("got half"));
    next.event("ready").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_what_is_waited_for() {
    let rooms = Rooms::new();
    let mut kept = rooms.up().await;
    let call = rooms.call(&mut kept).await;
    let mut other = command(&rooms.folder, &["dev", "--listen", &rooms.listen]);
    other.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    kept.signal(Signal::KILL);
    let mut other = other.spawn().unwrap();
    let mut said = String::new();
    let mut errors = other.stderr.take().unwrap();
    let until = async |said: &mut String, errors: &mut tokio::process::ChildStderr, wanted: &str| {
        let mut part = [0; 1024];
        while !said.contains(wanted) {
            let count = tokio::time::timeout(DEADLINE, errors.read(&mut part)).await.expect(wanted).unwrap();
            assert!(count > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&part[..count]));
        }
    };
    let waits = "waits for the end of its old process with 1 call; ";
    until(&mut said, &mut errors, waits).await;
    drop(rest(call).await);
    until(&mut said, &mut errors, "ready in").await;
    let pid = rustix::process::Pid::from_raw(other.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    until(&mut said, &mut errors, "stopped\n").await;
    let stopping = "stopping; calls in progress may end, Ctrl-C does not wait for them\n";
    assert!(said.contains(stopping), "{said}");
    assert_eq!(other.wait().await.unwrap().code(), Some(0));
}
