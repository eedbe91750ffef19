//! What is said of links and sessions while events go along them, wait, and fail.

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::up::{DEADLINE, Up};

const PROJECT: &str = r#"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
listen = "127.0.0.1:PORT"
[sessions.web.services]
API = "api@blue"
[sessions."api@blue"]
script = "api.js"
compatibility_date = "2026-11-01"
[sessions."api@green"]
script = "web.js"
compatibility_date = "2026-11-01"
"#;

const WEB: &str = "export default { async fetch(request, env) {
    return new Response(await env.API[new URL(request.url).pathname.slice(1) || 'hello']());
} };";

const API: &str = "import { WorkerEntrypoint } from 'cloudflare:workers';
export default class extends WorkerEntrypoint {
    hello() { return 'hello'; }
    hang() { console.log('it hangs'); return scheduler.wait(600000); }
    fetch() { return new Response('fetched'); }
}";

async fn explain(up: &Up, name: &str) -> Value {
    let (code, told, said) = up.ask(&["explain", name, "--json"]).await;
    assert_eq!(code, 0, "{said}");
    told
}

async fn until(up: &Up, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let found = async {
        loop {
            let told = explain(up, name).await;
            if fits(&told) {
                return told;
            }
        }
    };
    tokio::time::timeout(DEADLINE, found).await.expect("it comes to that in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_events_and_the_last_error_are_told() {
    let mut up = Up::start(PROJECT, &[("web.js", WEB), ("api.js", API)]).await;
    let told = explain(&up, "web/API").await;
    assert_eq!((&told["rule"], &told["target"]), (&"project".into(), &"api@blue".into()));
    assert_eq!((&told["waiting"], &told["last_error"]), (&0.into(), &Value::Null));
    assert_eq!(told["candidates"][1]["why_not"], "the project names api@blue");
    assert!(told["session"]["memory_bytes"].as_u64().unwrap() > 1_000_000);

    // Somebody dies at work.
    let mut hang = TcpStream::connect(("127.0.0.1", up.port)).await.unwrap();
    hang.write_all(b"GET /hang HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    while up.event("output").await["line"] != "it hangs" {}
    let pid = i32::try_from(told["session"]["pid"].as_i64().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let told = until(&up, "web/API", |told| !told["last_error"].is_null()).await;
    let text = told["last_error"]["message"].as_str().unwrap();
    assert!(text.contains("generation 1 of session api@blue has ended"), "{text}");

    // Nobody listens there: events wait.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(up.ask(&["attach", &free, "--name", "late"]).await.0, 0);
    // The scope may be left out.
    let (code, _, said) = up.ask(&["retarget", "web/API", "late"]).await;
    assert_eq!(code, 0, "{said}");
    let waits = up.fetch();
    let looks = async {
        let told = until(&up, "web/API", |told| told["waiting"] == 1).await;
        assert_eq!((&told["rule"], &told["session"]["state"]), (&"operator".into(), &"down".into()));
        assert_eq!(told["next"][0], "start what listens there, or attach it anew");
        assert_eq!(explain(&up, "late").await["waiting"], 1);
        assert_eq!(up.ask(&["retarget", "web/API", "api@blue"]).await.0, 0);
    };
    assert_eq!(tokio::join!(waits, looks).0, "hello");
    assert_eq!(explain(&up, "web/api").await["waiting"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_without_a_scope_is_good_wherever_it_is_unique() {
    let project = PROJECT
        .replace("\n[sessions.\"api@green\"]\nscript = \"web.js\"\ncompatibility_date = \"2026-11-01\"", "");
    let up = Up::start(&project, &[("web.js", WEB), ("api.js", API)]).await;
    let (code, told, said) = up.ask(&["call", "api", "hello", "--json"]).await;
    assert_eq!((code, told), (0, "hello".into()), "{said}");
    let (code, told, said) = up.ask(&["fetch", "api", "/", "--json"]).await;
    assert_eq!((code, &told["body"]), (0, &"fetched".into()), "{said}");
    let (code, told, said) = up.ask(&["retarget", "web/API", "api", "--json"]).await;
    assert_eq!((code, &told["links"][0]["target"]), (0, &"api@blue".into()), "{said}");
    assert_eq!(explain(&up, "api").await["session"]["session"], "api@blue");
}
