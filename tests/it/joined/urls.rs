//! Sessions under `jackfield run` as browsers reach them: over their debug ports, behind the one port of the ingress.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::stage::{Stage, entry, serve};
use crate::support::up::DEADLINE;

/// `/echo` gives back each part when it comes; a WebSocket gives back each message until it is told to close.
const WORKER: &str = r#"
import { WorkerEntrypoint } from "cloudflare:workers";
function answer(who, request) {
    if (request.headers.get("upgrade") === "websocket") {
        const [near, far] = Object.values(new WebSocketPair());
        far.accept();
        far.addEventListener("message", ({ data }) => {
            if (data === "close") far.close(4001, "as you say");
            else far.send(`${who} heard ${data}`);
        });
        return new Response(null, { status: 101, webSocket: near });
    }
    return new Response(request.body, { headers: { "x-who": who } });
}
export class Admin extends WorkerEntrypoint { fetch(request) { return answer("Admin", request); } }
export default { fetch(request) { return answer("default", request); } };
"#;

const UPGRADE: &str = "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The URL of a session, as `ls` shows it.
async fn authority(stage: &Stage, session: &str) -> String {
    let (_, told, _) = stage.ask(&["ls", "--json"]).await;
    let rows = told["sessions"].as_array().unwrap();
    let row = rows.iter().find(|row| row["session"] == session).unwrap();
    let url = row["url"].as_str().unwrap_or_else(|| panic!("no URL: {row}"));
    url.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned()
}

async fn connect(authority: &str) -> TcpStream {
    let port: u16 = authority.split_once(':').unwrap().1.parse().unwrap();
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// What comes, up to those bytes.
async fn read_to(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let read = async {
        while !found.ends_with(end) {
            let byte = stream.read_u8().await;
            found.push(byte.unwrap_or_else(|error| panic!("{error} after {}", found.escape_ascii())));
        }
    };
    tokio::time::timeout(DEADLINE, read).await.unwrap_or_else(|_| panic!("no {}", end.escape_ascii()));
    found
}

/// A masked text frame, with a mask of zeros.
fn message(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[tokio::test]
async fn websockets_and_streams_reach_a_session_that_joined() {
    let stage = Stage::new();
    let run = stage.run(&["--scope", "x"]).await;
    let target = serve(WORKER);
    run.register("api", &entry(&target));
    stage.until(&[("api@x", "up")]).await;
    let api = authority(&stage, "api@x").await;
    // What it exports is not known, and browsers write hosts in lower case.
    for (host, who) in [(api.clone(), "default"), (format!("admin.{api}"), "Admin")] {
        let head = format!("GET / HTTP/1.1\r\nhost: {host}\r\n{UPGRADE}\r\n");
        let mut socket = connect(&api).await;
        socket.write_all(head.as_bytes()).await.unwrap();
        let answer = read_to(&mut socket, b"\r\n\r\n").await;
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{host}: {}", answer.escape_ascii());
        // To and fro on one socket: nothing of it waits for an end.
        for text in ["one", "two"] {
            socket.write_all(&message(text)).await.unwrap();
            let frame = read_to(&mut socket, text.as_bytes()).await;
            assert!(frame.ends_with(format!("{who} heard {text}").as_bytes()), "{}", frame.escape_ascii());
        }
        socket.write_all(&message("close")).await.unwrap();
        let close = read_to(&mut socket, b"as you say").await;
        assert!(close.starts_with(&[0x88, 12, 0x0f, 0xa1]), "{}", close.escape_ascii());

        let head = format!("POST /echo HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut stream = connect(&api).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"5\r\nfirst\r\n").await.unwrap();
        let answer = read_to(&mut stream, b"5\r\nfirst\r\n").await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(&format!("x-who: {who}")), "{answer}");
        stream.write_all(b"6\r\nsecond\r\n").await.unwrap();
        read_to(&mut stream, b"6\r\nsecond\r\n").await;
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        read_to(&mut stream, b"0\r\n\r\n").await;
    }
    stage.down().await;
}

async fn head(api: &str, host: &str) -> (String, String) {
    let mut stream = connect(api).await;
    let head = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn entrypoints_are_found_in_any_case_unless_that_alone_tells_two_apart() {
    let stage = Stage::new();
    let run = stage.run(&["--scope", "x"]).await;
    let one = |name: &str| {
        format!(
            "export class {name} extends WorkerEntrypoint {{ fetch(request) {{ return answer('{name}', request); }} }}\n"
        )
    };
    let target =
        serve(&format!("{WORKER}{}", ["AdminAPI", "twinHouse", "TwinHouse", "lower"].map(one).concat()));
    run.register("api", &entry(&target));
    stage.until(&[("api@x", "up")]).await;
    let api = authority(&stage, "api@x").await;
    for (typed, who) in [
        ("admin", "Admin"),
        ("ADMIN", "Admin"),
        ("adminapi", "AdminAPI"),
        ("lower", "lower"),
        ("TwinHouse", "TwinHouse"),
        ("twinHouse", "twinHouse"),
    ] {
        let (head, _) = head(&api, &format!("{typed}.{api}")).await;
        let is_it = head.starts_with("HTTP/1.1 200 ") && head.contains(&format!("x-who: {who}\r\n"));
        assert!(is_it || head.ends_with(&format!("x-who: {who}")), "{typed}: {head}");
    }
    let (status, text) = head(&api, &format!("twinhouse.{api}")).await;
    assert!(!status.starts_with("HTTP/1.1 200"), "{status}");
    assert!(text.contains("twinHouse and TwinHouse") && text.contains("jackfield fetch"), "{text}");
    let (status, text) = head(&api, &format!("nobody.{api}")).await;
    assert!(!status.starts_with("HTTP/1.1 200") && text.contains("no entrypoint nobody"), "{status} {text}");
    stage.down().await;
}

/// Whoever opens the URL of a session that is missing waits for it, as a caller does.
#[tokio::test]
async fn a_url_waits_for_the_successor_of_a_session_that_joined() {
    let stage = Stage::new();
    let run = stage.run(&["--scope", "x"]).await;
    let mut old = serve(WORKER);
    run.register("api", &entry(&old));
    stage.until(&[("api@x", "up")]).await;
    let api = authority(&stage, "api@x").await;
    old.kill();
    stage.until(&[("api@x", "down")]).await;
    let mut stream = connect(&api).await;
    let head = format!("POST / HTTP/1.1\r\nhost: {api}\r\ncontent-length: 4\r\n\r\nbody");
    stream.write_all(head.as_bytes()).await.unwrap();
    let is_waiting = async { while stage.ask(&["explain", "api", "--json"]).await.1["waiting"] != 1 {} };
    tokio::time::timeout(DEADLINE, is_waiting).await.expect("the request waits");
    let new = serve(&WORKER.replace("default\"", "successor\""));
    run.register("api", &entry(&new).replace("one", "two"));
    let answer = String::from_utf8(read_to(&mut stream, b"body").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("x-who: successor"), "{answer}");
    stage.down().await;
}
