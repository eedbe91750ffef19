//! Whom one may find at an address.

use std::os::unix::net::UnixListener as Blocking;
use std::time::Duration;

use jackfield::client::{Address, ConnectError, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use super::stage::soon;

async fn refused(address: Address) -> ConnectError {
    soon(Session::connect_within(&address, Duration::from_millis(300))).await.err().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let missing = refused(Address::Unix(folder.path().join("none"))).await;
    assert!(matches!(missing, ConnectError::Unreachable { .. }), "{missing}");
    let path = folder.path().join("left");
    drop(Blocking::bind(&path).unwrap());
    let left = refused(Address::Unix(path)).await;
    assert!(left.to_string().contains("is the session running"), "{left}");
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let closed = refused(port.to_string().parse().unwrap()).await;
    assert!(matches!(closed, ConnectError::Unreachable { .. }) && closed.is_retryable(), "{closed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_accepts_and_says_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = refused(port.local_addr().unwrap().to_string().parse().unwrap()).await;
    assert!(matches!(silent, ConnectError::Silent { .. }), "{silent}");
    assert!(silent.to_string().contains("said nothing for 0.3 s"), "{silent}");
}

/// Answers whatever comes with these bytes, and closes.
async fn answering(answer: &'static [u8]) -> ConnectError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let serve = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.read_u8().await.unwrap();
        // It may be gone before it has read all.
        let _ = socket.write_all(answer).await;
    });
    let error = refused(Address::Unix(path)).await;
    soon(serve).await.unwrap();
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_speaks_something_else() {
    let error = answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(error, ConnectError::NotDebugPort { .. }), "{error}");
    assert!(!error.is_retryable());
    let error = answering(b"").await;
    assert!(matches!(error, ConnectError::Vanished { .. }), "{error}");
}

/// Cap'n Proto, but another object: a calling worker's face, for instance.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_serves_something_else() {
    use jackfield::net::local::{Call, Peer, Settings};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let peer = Peer::start(Settings::default());
    let connected = tokio::spawn(async move { Session::connect(&Address::Unix(path)).await });
    let (socket, _) = soon(listener.accept()).await.unwrap();
    let main = peer.serve(|call: Call| call.unimplemented());
    let _line = peer.connect(socket.into_std().unwrap(), "a client", Some(main)).unwrap();
    let error = soon(connected).await.unwrap().err().unwrap();
    assert!(matches!(error, ConnectError::NotDebugPort { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debug_port_may_listen_on_tcp() {
    use jackfield::client::serve::{fetch_with, serve};
    use jackfield::client::{Body, Thrown};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let connecting = tokio::spawn(async move { Session::connect(&address).await });
    let (socket, _) = soon(listener.accept()).await.unwrap();
    let hello = fetch_with(async |_| Ok::<_, Thrown>(http::Response::new(Body::from("hello"))));
    let _line = serve(socket.into_std().unwrap(), "a client", std::sync::Arc::new(hello)).unwrap();
    let session = soon(connecting).await.unwrap().unwrap();
    let answer =
        soon(session.entrypoint("any", None, None).fetch(super::stage::get("http://a/"))).await.unwrap();
    assert_eq!(soon(answer.into_body().text()).await.unwrap(), "hello");
}
