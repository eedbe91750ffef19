//! Sessions that store objects: at a reload the old process ends first.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::leave::{MAIN, Rooms, end, rest};
use crate::support::up::DEADLINE;

/// One that the worker has accepted.
async fn web_socket(rooms: &Rooms) -> TcpStream {
    let mut socket = TcpStream::connect(&rooms.listen).await.unwrap();
    let head = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let welcome = async {
        let (mut read, mut part) = (String::new(), [0; 1024]);
        while !read.ends_with("welcome") {
            let count = socket.read(&mut part).await.unwrap();
            assert!(count > 0, "{read}");
            read.push_str(&String::from_utf8_lossy(&part[..count]));
        }
    };
    tokio::time::timeout(DEADLINE, welcome).await.expect("no welcome");
    socket
}

fn edit(rooms: &Rooms) {
    std::fs::write(rooms.folder.path().join("index.ts"), MAIN.replace("got ", "took ")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_socket_does_not_hold_up_everybody() {
    let rooms = Rooms::new();
    let mut kept = rooms.up().await;
    let socket = web_socket(&rooms).await;
    edit(&rooms);
    let told = kept.event("waiting").await;
    let waits = Instant::now();
    assert_eq!(
        (&told["session"], &told["calls"], &told["web_sockets"]),
        (&json!("rooms"), &json!(0), &json!(1))
    );
    assert!(told["at_most_ms"].as_u64().unwrap() <= 3000, "{told}");
    assert_eq!(kept.event("reloaded").await["restarted"], json!(["rooms"]));
    // Requests have four.
    assert!(waits.elapsed() < Duration::from_millis(3500), "{:?}", waits.elapsed());
    assert_eq!(end(socket).await, "");
    let call = rooms.call(&mut kept).await;
    assert!(rest(call).await.ends_with("took half"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_keeps_its_time_and_what_is_waited_for_is_told() {
    let rooms = Rooms::new();
    let mut kept = rooms.up().await;
    let (socket, call) = (web_socket(&rooms).await, rooms.call(&mut kept).await);
    edit(&rooms);
    let told = kept.event("waiting").await;
    assert_eq!((&told["calls"], &told["web_sockets"]), (&json!(1), &json!(1)));
    assert!((4000..=6000).contains(&told["at_most_ms"].as_u64().unwrap()), "{told}");
    assert!(rest(call).await.ends_with("got half"));
    kept.event("reloaded").await;
    assert_eq!(end(socket).await, "");
}
