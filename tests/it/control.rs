//! The control API over its socket, with an operator that stands for the daemon.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jackfield::control::shape::{ChangeRequest, Move, State};
use jackfield::control::{Client, ClientError, Code, server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::operator::Desk;

const DEADLINE: Duration = Duration::from_secs(20);

struct Daemon {
    folder: tempfile::TempDir,
    desk: Arc<Desk>,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = server::bind(&folder.path().join("control.sock")).unwrap();
        let (desk, stop) = (Arc::new(Desk::new()), CancellationToken::new());
        let served = tokio::spawn(server::serve(listener, desk.clone(), stop.clone()));
        Self { folder, desk, stop, served }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    fn client(&self) -> Client {
        Client::new(self.socket())
    }
}

/// Sends `request` as it is and reads until the server closes; returns status and body.
async fn raw(socket: &Path, request: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("no answer").unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn get(path: &str, header: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n")
}

fn post(path: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn request(link: &str, target: &str) -> ChangeRequest {
    let change = Move { link: link.parse().unwrap(), target: target.parse().unwrap(), props: None };
    ChangeRequest { changes: vec![change], ..Default::default() }
}

#[tokio::test]
async fn a_client_sees_and_moves_what_the_operator_has() {
    let daemon = Daemon::start();
    let client = daemon.client();
    assert_eq!(client.status().await.unwrap().sessions_up, 2);
    let sessions = client.sessions().await.unwrap().sessions;
    let states: Vec<_> = sessions.iter().map(|row| (row.session.to_string(), row.state)).collect();
    let starting = State::Starting;
    let expected =
        [("api@blue", State::Up), ("api@green", starting), ("site@main", starting), ("web", State::Up)];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state)));

    let before = client.links().await.unwrap();
    let changed = client.change(&request("web/API", "api@green#Admin")).await.unwrap();
    assert!(changed.revision > before.revision);
    assert_eq!(changed.links.len(), 1);
    assert_eq!(changed.links[0].target.to_string(), "api@green#Admin");
    let stale = ChangeRequest { expected_revision: Some(before.revision), ..request("web/API", "web") };
    match client.change(&stale).await {
        Err(ClientError::Refused(problem)) => assert_eq!(problem.code, Code::Stale),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.reload().await.unwrap().revision, changed.revision);
    assert_eq!(client.down().await.unwrap().sessions.len(), 4);
}

#[tokio::test]
async fn the_json_is_what_scripts_were_promised() {
    let daemon = Daemon::start();
    let (status, body) = raw(&daemon.socket(), &get("/v1/links", "")).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let expected = json!({
        "revision": daemon.desk.revision(),
        "links": [
            {
                "link": "web/API", "kind": "service", "rule": null, "target": "api@blue",
                "props": {"tenant": 7},
                "accepts_props": false, "revision": 1, "state": "up", "why": null, "fake": null, "leases": 2
            },
            {
                "link": "web/ROOMS", "kind": "actor", "rule": null, "target": "api@blue#Room",
                "props": null,
                "accepts_props": false, "revision": 1, "state": "up", "why": null, "fake": null, "leases": 2
            }
        ]
    });
    assert_eq!((status, body), (200, expected));

    let change = r#"{"changes":[{"link":"web/APO","target":"api@green"}],"wait":true}"#;
    let (status, body) =
        raw(&daemon.socket(), &post("/v1/links", "application/json; charset=utf-8", change)).await;
    let expected = json!({"error": {
        "code": "unknown_link",
        "message": "there is no link web/APO; did you mean web/API?",
        "hint": "`jackfield links` lists the links"
    }});
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (404, expected));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_way_out() {
    let daemon = Daemon::start();
    let before = daemon.desk.revision();
    let json = "application/json";
    let huge = " ".repeat((1 << 20) + 1);
    let change = |text: &str| format!(r#"{{"changes":[{text}]}}"#);
    let cases = [
        (get("/v1/link", ""), 404, "there is nothing at /v1/link; did you mean /v1/links?"),
        (get("/v1/down", ""), 405, "/v1/down does not take GET"),
        (get("/v1/links", "origin: http://localhost:3000\r\n"), 403, "Origin"),
        ("GET /v1/links HTTP/1.1\r\nhost: evil.test\r\nconnection: close\r\n\r\n".to_owned(), 403, "Host"),
        ("GET /v1/links HTTP/1.0\r\n\r\n".to_owned(), 403, "Host"),
        (post("/v1/links", "text/plain", "{}"), 400, "content type is `text/plain`"),
        (post("/v1/links", json, "{"), 400, "EOF while parsing"),
        (post("/v1/links", json, "{}"), 400, "missing field `changes`"),
        (post("/v1/links", json, r#"{"changes":[],"cutt":true}"#), 400, "unknown field `cutt`"),
        (post("/v1/links", json, &change(r#"{"link":"API","target":"api"}"#)), 400, "SESSION/BINDING"),
        (
            post("/v1/links", json, &change(r#"{"link":"web/API","target":"../x"}"#)),
            400,
            "`../x` is not a target",
        ),
        (post("/v1/links", json, &huge), 413, "larger than 1048576 bytes"),
    ];
    for (request, status, text) in cases {
        let shown = &request[..request.len().min(200)];
        let (found, body) = raw(&daemon.socket(), &request).await;
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{shown}: {body}"));
        let message = body["error"]["message"].as_str().unwrap();
        assert_eq!(found, status, "{shown}: {message}");
        assert!(message.contains(text), "{shown}: {message}");
    }
    assert_eq!(daemon.desk.revision(), before, "a refused request changed something");
}

#[tokio::test]
async fn only_the_owner_can_open_the_socket_and_a_stale_one_is_replaced() {
    let daemon = Daemon::start();
    let mode = std::fs::metadata(daemon.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // As after kill -9: the file is there, nobody listens.
    daemon.served.abort();
    assert!(daemon.served.await.unwrap_err().is_cancelled());
    let client = Client::new(daemon.folder.path().join("control.sock"));
    assert!(matches!(client.status().await, Err(ClientError::Connect { .. })));
    server::bind(client.socket()).unwrap();
}

#[tokio::test]
async fn a_stop_lets_a_request_in_progress_end() {
    let daemon = Daemon::start();
    let hold = daemon.desk.hold_changes().await;
    let client = daemon.client();
    let waiting = tokio::spawn(async move { client.change(&request("web/API", "web")).await });
    tokio::time::timeout(DEADLINE, daemon.desk.change_begun()).await.expect("the request did not arrive");
    // An idle connection must not hold up the end.
    let idle = UnixStream::connect(daemon.socket()).await.unwrap();
    daemon.stop.cancel();
    drop(hold);
    tokio::time::timeout(DEADLINE, waiting).await.unwrap().unwrap().unwrap();
    tokio::time::timeout(DEADLINE, daemon.served).await.expect("the server did not end").unwrap();
    drop(idle);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_wait() {
    let daemon = Daemon::start();
    let _hold = daemon.desk.hold_changes().await;
    let client = daemon.client();
    let waiting = tokio::spawn(async move { client.change(&request("web/API", "web")).await });
    tokio::time::timeout(DEADLINE, daemon.desk.change_begun()).await.expect("the request did not arrive");
    waiting.abort();
    tokio::time::timeout(DEADLINE, daemon.desk.change_dropped()).await.expect("the request was not dropped");
}
