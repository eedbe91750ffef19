//! The addresses at which sessions are reached from outside, while sessions come and go.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::up::{DEADLINE, Up, command};

const PROJECT: &str = r#"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
listen = "127.0.0.1:PORT"
"#;

const WEB: &str = r#"
export default {
    async fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname === "/echo") return new Response(request.body);
        if (pathname === "/hang") {
            const { readable, writable } = new TransformStream();
            const writer = writable.getWriter();
            writer.write(new TextEncoder().encode("begun"));
            if (request.body) request.body.pipeTo(new WritableStream({ close: () => writer.close() }));
            return new Response(readable);
        }
        if (request.headers.get("upgrade") === "websocket") {
            const [near, far] = Object.values(new WebSocketPair());
            far.accept();
            far.send("hello");
            return new Response(null, { status: 101, webSocket: near });
        }
        return Response.json([request.method, request.url, request.cf ?? null, request.headers.get("x-own")]);
    },
};
"#;

/// A raw exchange; the answer up to its end, or up to `until`.
pub async fn exchange(port: u16, request: &str, until: Option<&str>) -> (TcpStream, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        loop {
            let read = stream.read(&mut part).await.unwrap();
            answer.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&answer);
            if read == 0 || until.is_some_and(|until| text.contains(until)) {
                return (stream, text.into_owned());
            }
        }
    };
    tokio::time::timeout(DEADLINE, exchange).await.expect("an answer in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_from_outside_arrives_as_it_was_sent() {
    let mut up = Up::start(PROJECT, &[("web.js", WEB)]).await;
    let port = up.port;
    let request = "PUT /p%20?q=1 HTTP/1.1\r\nhost: some.localhost:81\r\nx-own: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let (_, answer) = exchange(port, request, None).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains(r#"["PUT","http://some.localhost:81/p%20?q=1",{"clientIp":"127.0.0.1:"#),
        "{answer}"
    );
    assert!(answer.ends_with(r#""},"1"]"#), "{answer}");

    let (_, answer) = exchange(port, "GET / HTTP/1.0\r\nhost: localhost\r\n\r\n", None).await;
    assert!(answer.contains(r#"["GET","http://localhost/",{"clientIp":"#), "{answer}");

    // A page on the web may point its own name here.
    for host in ["evil.example", "localhost.evil.example:80", "127.0.0.2"] {
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let (_, answer) = exchange(port, &request, None).await;
        let is_told = answer.contains(&format!("http://localhost:{port}/"));
        assert!(answer.starts_with("HTTP/1.1 403 ") && is_told, "{host}: {answer}");
    }

    let body = "x".repeat(300_000);
    let request = format!(
        "POST /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 300000\r\n\r\n{body}"
    );
    let (_, answer) = exchange(port, &request, None).await;
    assert_eq!(answer.matches('x').count(), 300_000);

    let request = "GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let (_socket, answer) = exchange(port, request, Some("hello")).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");

    up.signal(Signal::INT);
    up.event("stopping").await;
    up.signal(Signal::INT);
    assert_eq!(up.ended().await, 1, "a second Ctrl-C does not wait for the socket");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_while_sessions_are_replaced() {
    const RELOADS: usize = 4;
    let mut up = Up::start(PROJECT, &[("web.js", WEB)]).await;
    let (port, stop, served) = (up.port, Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let (stop, served) = (stop.clone(), served.clone());
            tokio::spawn(async move {
                while !stop.load(SeqCst) {
                    let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
                    let (_, answer) = exchange(port, request, None).await;
                    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
                    served.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    for round in 0..RELOADS {
        up.write("web.js", &format!("{WEB}// {round}"));
        let (code, _, said) = up.ask(&["reload"]).await;
        assert_eq!(code, 0, "{said}");
    }
    // A session of another name takes the address over.
    let project = PROJECT.replace("sessions.web", "sessions.site").replace("PORT", &port.to_string());
    up.write("jackfield.toml", &project);
    let (code, _, said) = up.ask(&["reload"]).await;
    assert_eq!(code, 0, "{said}");
    let (_, sessions, _) = up.ask(&["ls", "--json"]).await;
    assert_eq!(sessions["sessions"][0]["url"], format!("http://127.0.0.1:{port}"));
    stop.store(true, SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(served.load(SeqCst) >= RELOADS);

    // Without an address nobody listens.
    up.write("jackfield.toml", &project.replace("listen", "#"));
    let (code, _, said) = up.ask(&["reload"]).await;
    assert_eq!(code, 0, "{said}");
    let refused = async {
        loop {
            match TcpStream::connect(("127.0.0.1", port)).await {
                Err(error) => return error.kind(),
                Ok(_) => tokio::task::yield_now().await,
            }
        }
    };
    assert_eq!(tokio::time::timeout(DEADLINE, refused).await.unwrap(), ErrorKind::ConnectionRefused);
    up.signal(Signal::INT);
    up.event("stopped").await;
    assert_eq!(up.ended().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_requests_end_and_takes_no_new_ones() {
    let mut up = Up::start(PROJECT, &[("web.js", WEB)]).await;
    let request = "POST /hang HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n";
    let (mut stream, answer) = exchange(up.port, request, Some("begun")).await;
    assert!(answer.contains("begun"), "{answer}");
    up.signal(Signal::INT);
    up.event("stopping").await;
    let port = up.port;
    let refused = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.expect("new connections are refused");
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the whole answer: {rest:?}");
    up.event("stopped").await;
    assert_eq!(up.ended().await, 0);
}

#[tokio::test]
async fn an_address_that_is_taken_is_a_mistake_in_the_file() {
    let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let project = PROJECT.replace("127.0.0.1:PORT", &address.to_string());
    std::fs::write(folder.path().join("jackfield.toml"), project).unwrap();
    std::fs::write(folder.path().join("web.js"), WEB).unwrap();
    let output = tokio::time::timeout(DEADLINE, command(&folder, &["up"]).output()).await.unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "jackfield.toml:5:10: session `web` cannot be reached at {address}\n  \
         another program listens there; end it, or choose another port\n\
         help: nothing was started; put it right and try again\n"
    );
    assert!(said.ends_with(&expected), "{said}");
    assert_eq!(output.status.code(), Some(2));
}
