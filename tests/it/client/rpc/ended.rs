//! What is left of a generation that ended: it fails at once, and says so.

use std::path::PathBuf;
use std::time::Duration;

use jackfield::client::{Address, CallError, Entrypoint, ReadableStream, Session, Stub};
use jackfield::net::local::Fault;

use super::ways::{soon, stub};
use crate::support::rig::Rig;

const PROJECT: &str = r#"
[sessions.api]
script = "api.js"
compatibility_date = "2026-11-01"
[sessions.api.durable_objects]
Room = { storage = "stored", unique_key = "the key" }
Draft = { storage = "ephemeral" }
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
services = { API = "api" }
"#;

const FILES: [(&str, &str); 2] = [("api.js", include_str!("worker.js")), ("web.js", "export default {}")];

/// A parked call would wait for ten seconds.
async fn at_once(stub: &Stub) -> CallError {
    let call = stub.call("increment", []);
    tokio::time::timeout(Duration::from_secs(5), call).await.expect("at once").unwrap_err()
}

struct Left {
    counter: Stub,
    stream: ReadableStream,
}

async fn left(api: &Entrypoint) -> Left {
    let counter = stub(&soon(api.call("counter", [5.into()])).await.unwrap());
    let given = soon(api.call("giveSlowly", [(1 << 30).into()])).await.unwrap();
    Left { counter, stream: ReadableStream::take(&given).unwrap() }
}

async fn connect(socket: PathBuf) -> Session {
    soon(Session::connect(&Address::Unix(socket))).await.unwrap()
}

fn is_of_the_way(error: &CallError) {
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!(error.fault(), Fault::Way, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_router() {
    let rig = Rig::start(PROJECT, &FILES).await;
    let session = connect(rig.runtime.debug_face(&"web".parse().unwrap())).await;
    let api = session.entrypoint("API", None, None);
    let Left { counter, mut stream } = left(&api).await;
    soon(futures::StreamExt::next(&mut stream)).await.unwrap().unwrap();
    rig.kill("api").await;
    for _ in 0..2 {
        let error = at_once(&counter).await;
        is_of_the_way(&error);
        let text = error.to_string();
        for part in ["api", "generation 1", "ended"] {
            assert!(text.contains(part), "{text:?} has no {part:?}");
        }
    }
    // A stream does not end as if it were whole, and what follows of a call fails as the call does.
    let rest = async {
        while let Some(bytes) = futures::StreamExt::next(&mut stream).await {
            if bytes.is_err() {
                return true;
            }
        }
        false
    };
    assert!(soon(rest).await, "the stream breaks off");
    is_of_the_way(&soon(counter.call("another", [1.into()]).get("value")).await.unwrap_err());
    // The entrypoint follows its link, over the same connection.
    let counter = stub(&soon(api.call("counter", [7.into()])).await.unwrap());
    assert_eq!(soon(counter.call("increment", [])).await.unwrap(), 8.into());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_debug_port() {
    let rig = Rig::start(PROJECT, &FILES).await;
    let socket = rig.up("api").await.debug_port.path().unwrap().to_owned();
    let session = connect(socket.clone()).await;
    let api = session.entrypoint("api", None, None);
    let Left { counter, stream } = left(&api).await;
    rig.kill("api").await;
    soon(session.closed()).await;
    for error in [at_once(&counter).await, soon(api.call("add", [])).await.unwrap_err()] {
        is_of_the_way(&error);
        assert!(matches!(error, CallError::Broken(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&socket.display().to_string()) && text.contains("connect again"), "{text}");
    }
    soon(stream.bytes()).await.unwrap_err();
    let again = connect(rig.up("api").await.debug_port.path().unwrap().to_owned()).await;
    let sum = again.entrypoint("api", None, None).call("add", [1.into(), 2.into()]);
    assert_eq!(soon(sum).await.unwrap(), 3.into());
}
