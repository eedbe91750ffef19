//! The one port at which browsers reach all sessions, by their hosts.

use serde_json::Value;

use crate::ingress::exchange;
use crate::joined::stage::serve;
use crate::support::up::{DEADLINE, Up, command};

const PROJECT: &str = r#"
[sessions.web]
script = "worker.js"
compatibility_date = "2026-11-01"
[sessions.web.services]
ADMIN = "api@feature#Admin"
[sessions."api@feature"]
script = "worker.js"
compatibility_date = "2026-11-01"
"#;

const WORKER: &str = r#"
import { WorkerEntrypoint } from "cloudflare:workers";
async function answer(who, request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/echo") return new Response(request.body);
    if (request.headers.get("upgrade") === "websocket") {
        const [near, far] = Object.values(new WebSocketPair());
        far.accept();
        far.send(`hello from ${who}`);
        return new Response(null, { status: 101, webSocket: near });
    }
    return Response.json([who, request.method, request.url, typeof request.cf?.clientIp]);
}
export class Admin extends WorkerEntrypoint { fetch(request) { return answer("Admin", request); } }
export class Other extends WorkerEntrypoint { fetch(request) { return answer("Other", request); } }
export default { fetch(request) { return answer("default", request); } };
"#;

/// The ingress port of a daemon.
async fn port(up: &Up) -> u16 {
    let folder = up.folder.path().join("run").read_dir().unwrap().next().unwrap().unwrap().path();
    let client = jackfield::control::Client::new(folder.join("control.sock"));
    let ingress = client.status().await.unwrap().ingress.unwrap();
    ingress.strip_prefix("http://localhost:").unwrap().trim_end_matches('/').parse().unwrap()
}

async fn get(port: u16, host: &str, more: &str) -> (u16, String) {
    let host = host.replace("PORT", &port.to_string());
    let request = format!("GET /p?q=1 HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n");
    let (_, answer) = exchange(port, &request, None).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_session_and_entrypoint_has_a_host() {
    let up = Up::start(PROJECT, &[("worker.js", WORKER)]).await;
    let port = port(&up).await;
    // The same worker once more, in a process that somebody else runs: it is reached over its debug port.
    let other = serve(WORKER);
    let attached = format!("unix:{}", other.debug_socket().display());
    let words = ["attach", &attached, "--name", "plain", "--service", "core:user:api"];
    assert_eq!(up.ask(&words).await.0, 0);
    let cases = [
        ("web.localhost:PORT", "default"),
        ("API.feature.localhost:PORT", "default"),
        ("api.localhost:PORT", "default"),
        // Over HTTP, and over Cap'n Proto: no link names the other.
        ("admin.api.localhost:PORT", "Admin"),
        ("other.api.feature.localhost:PORT", "Other"),
    ];
    for (host, who) in cases {
        let (status, body) = get(port, host, "").await;
        let url = format!("http://{}/p?q=1", host.replace("PORT", &port.to_string()));
        let told: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{host}: {status} {body}"));
        assert_eq!((status, &told), (200, &serde_json::json!([who, "GET", url, "string"])), "{host}");
    }
    let (status, body) = get(port, "plain.localhost:PORT", "").await;
    assert!(status == 200 && body.contains(".localhost:"), "{status} {body}");

    for host in ["web", "admin.api", "other.api"] {
        let request = format!(
            "GET / HTTP/1.1\r\nhost: {host}.localhost:{port}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let (_socket, answer) = exchange(port, &request, Some("hello from ")).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let body = "x".repeat(300_000);
        let request = format!(
            "POST /echo HTTP/1.1\r\nhost: {host}.localhost:{port}\r\nconnection: close\r\ncontent-length: 300000\r\n\r\n{body}"
        );
        let (_, answer) = exchange(port, &request, None).await;
        assert_eq!(answer.matches('x').count(), 300_000, "{host}");
    }

    // What nobody listens for yet is waited for.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(up.ask(&["attach", &free, "--name", "late"]).await.0, 0);
    let comes = async {
        while up.ask(&["explain", "late", "--json"]).await.1["waiting"] != 1 {}
        let words = ["attach", &attached, "--name", "late", "--service", "core:user:api"];
        assert_eq!(up.ask(&words).await.0, 0);
    };
    let comes = tokio::time::timeout(DEADLINE, comes);
    let (answer, comes) = tokio::join!(get(port, "late.localhost:PORT", ""), comes);
    comes.unwrap();
    assert_eq!(answer.0, 200, "{}", answer.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_hosts_get_a_list_and_strange_ones_nothing() {
    let up = Up::start(PROJECT, &[("worker.js", WORKER)]).await;
    let port = port(&up).await;
    let (status, page) = get(port, "wbe.localhost:PORT", "accept: text/html\r\n").await;
    assert_eq!(status, 404);
    for part in [
        "There is no session wbe; did you mean web?",
        &format!("<a href=\"http://web.localhost:{port}/\">"),
        &format!("<a href=\"http://admin.api.localhost:{port}/\">Admin</a>"),
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let (status, told) = get(port, "nope.api.localhost:PORT", "accept: application/json\r\n").await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, &told["error"]["code"]), (404, &"not_found".into()));
    assert_eq!(told["sessions"][0]["url"], format!("http://api.localhost:{port}/"));
    let request = format!("GET / HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\r\n");
    let (_, answer) = exchange(port, &request, None).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK")
            && answer.contains("content-security-policy: default-src 'none'")
    );
    for host in
        ["evil.example:PORT", "localhost", "web.localhost.:PORT", "web.localhost:1", "192.168.0.1:PORT"]
    {
        let (status, body) = get(port, host, "").await;
        assert!(status == 403 && !body.contains("api"), "{host}: {status} {body}");
    }
    let (status, _) = get(port, "web.localhost:PORT", "host: web.localhost\r\n").await;
    assert!(status == 403 || status == 400);

    // Somebody else's port is a mistake of whoever asked for it.
    let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
    std::fs::write(folder.path().join("jackfield.toml"), PROJECT).unwrap();
    std::fs::write(folder.path().join("worker.js"), WORKER).unwrap();
    let mut second = command(&folder, &["up"]);
    second.env("JACKFIELD_INGRESS_PORT", port.to_string());
    let output = tokio::time::timeout(DEADLINE, second.output()).await.unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && said.contains(&format!("cannot listen at port {port}")),
        "{said}"
    );
}
