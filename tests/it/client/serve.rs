//! Handlers in Rust, asked by a client in Rust.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt, stream};
use http::{Request, Response};
use jackfield::client::serve::{Context, Handler, Reply, fetch_with, serve};
use jackfield::client::{
    ActorId, Body, BodyError, Cf, Close, Entrypoint, FetchError, Message, Path, ReadableStream, Session,
    Thrown, WebSocketError,
};
use jackfield::net::local::{Connection, Peer, Settings};
use jackfield::wire::v8::JsValue;
use serde_json::json;
use tokio::sync::mpsc;

use super::stage::{get, soon};

/// Both ends of a connection.
struct Ends {
    session: Session,
    _line: Connection,
}

fn ends(handler: impl Handler) -> Ends {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let line = serve(theirs, "a client", Arc::new(handler)).unwrap();
    let peer = Peer::start(Settings::default());
    let far = peer.connect(ours, "a handler", None).unwrap();
    Ends { session: Session::over(peer, far, "a handler"), _line: line }
}

impl Ends {
    fn entrypoint(&self) -> Entrypoint {
        self.session.entrypoint("rust", None, None)
    }
}

async fn text(response: Response<Body>) -> String {
    soon(response.into_body().text()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_a_function() {
    let ends = ends(fetch_with(async |request: Request<Body>| {
        let cf = request.extensions().get::<Cf>().cloned();
        let said = format!(
            "{} {} {:?} {} {:?}",
            request.method(),
            request.uri(),
            request.headers().get("x-a"),
            cf.unwrap_or(Cf::new("none")).as_str(),
            request.body().length()
        );
        let body = request.into_body().text().await.map_err(Thrown::error)?;
        Ok::<_, Thrown>(
            Response::builder()
                .status(299)
                .header("x-b", "2")
                .body(Body::from(format!("{said} {body}")))
                .unwrap(),
        )
    }));
    let request =
        Request::put("http://a/b?c").header("x-a", "1").extension(Cf::new("{}")).body(Body::from("hi"));
    let response = soon(ends.entrypoint().fetch(request.unwrap())).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-b"]), (299, &"2".parse().unwrap()));
    assert_eq!(text(response).await, r#"PUT http://a/b?c Some("1") {} Some(2) hi"#);
    let response = soon(ends.entrypoint().fetch(get("http://a/"))).await.unwrap();
    assert_eq!(text(response).await, "GET http://a/ None none Some(0) ");
    let head = Request::head("http://a/").body(Body::empty()).unwrap();
    assert_eq!(text(soon(ends.entrypoint().fetch(head)).await.unwrap()).await, "");
}

/// Says what it was asked for.
struct Says;

impl Handler for Says {
    fn fetch(&self, _: Request<Body>, context: Context) -> BoxFuture<'_, Result<Reply, Thrown>> {
        let said = format!("{context:?}");
        async { Ok(Response::new(Body::from(said)).into()) }.boxed()
    }
}

/// Tells how long a stream is, before it reads it.
struct Measures;

impl Handler for Measures {
    fn call(&self, _: Path, args: Vec<JsValue>, _: Context) -> BoxFuture<'_, Result<JsValue, Thrown>> {
        async move {
            let mut stream = ReadableStream::take(&args[0]).unwrap();
            let length = stream.length().await.map_or(JsValue::NULL, |length| (length as u32).into());
            let bytes = stream.bytes().await.map_err(Thrown::error)?;
            Ok(JsValue::array([length, (bytes.len() as u32).into()]))
        }
        .boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_says_how_long_it_is() {
    let ends = ends(Measures);
    let parts = || stream::iter([Ok::<_, std::io::Error>(Bytes::from("parts"))]);
    let measured = async |stream: ReadableStream| {
        let call = ends.entrypoint().call("measure", [stream.into()]);
        soon(call).await
    };
    let (known, found) = (JsValue::from(5), JsValue::from(5));
    let both = measured(ReadableStream::new(Body::stream(Some(5), parts()))).await.unwrap();
    assert_eq!(both, JsValue::array([known, found.clone()]));
    let one = measured(ReadableStream::new(Body::stream(None, parts()))).await.unwrap();
    assert_eq!(one, JsValue::array([JsValue::NULL, found]));
    let none = measured(ReadableStream::new("")).await.unwrap();
    assert_eq!(none, JsValue::array([0, 0]));
    // One that has another length than it said is not taken for whole.
    let error = measured(ReadableStream::new(Body::stream(Some(6), parts()))).await.unwrap_err();
    assert!(error.to_string().contains("5 bytes, and its head said 6"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_knows_what_it_was_asked_for() {
    let ends = ends(Says);
    let admin = ends.session.entrypoint("rust", Some("Admin"), Some(json!({ "a": [1] })));
    let said = text(soon(admin.fetch(get("http://a/"))).await.unwrap()).await;
    let expected = Context {
        service: "rust".into(),
        entrypoint: Some("Admin".into()),
        props: Some(json!({ "a": [1] })),
        actor: None,
    };
    assert_eq!(said, format!("{expected:?}"));
    let room = ends.session.actor("rust", "Room", ActorId::ephemeral("x"));
    let said = text(soon(room.fetch(get("http://a/"))).await.unwrap()).await;
    assert!(said.contains(r#"actor: Some("x")"#), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_stream_through_a_handler() {
    const TOTAL: usize = 64 << 20;
    let ends =
        ends(fetch_with(async |request: Request<Body>| Ok::<_, Thrown>(Response::new(request.into_body()))));
    for length in [None, Some(TOTAL as u64)] {
        let piece = Bytes::from(vec![7; 100_000]);
        let whole = (0..TOTAL.div_ceil(100_000))
            .map(move |at| Ok::<_, std::io::Error>(piece.slice(..100_000.min(TOTAL - at * 100_000))));
        let request = Request::post("http://a/").body(Body::stream(length, stream::iter(whole))).unwrap();
        let response = soon(ends.entrypoint().fetch(request)).await.unwrap();
        assert_eq!(response.body().length(), length);
        assert_eq!(soon(response.into_body().bytes()).await.unwrap().len(), TOTAL);
    }
    // What fails here fails there, and comes back as a failure.
    let bad = stream::iter([Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("the disk is gone"))]);
    let request = Request::post("http://a/").body(Body::stream(None, bad)).unwrap();
    let error = match soon(ends.entrypoint().fetch(request)).await {
        Ok(response) => soon(response.into_body().bytes()).await.unwrap_err(),
        Err(FetchError::Body(error)) => error,
        Err(error) => panic!("{error}"),
    };
    assert!(error.to_string().contains("the disk is gone"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_throws_arrives() {
    let ends = ends(fetch_with(async |request: Request<Body>| match request.uri().path() {
        "/type" => Err(Thrown::type_error("no")),
        "/own" => Err(Thrown::new("MyError", "mine")),
        "/again" => Err(Thrown { retryable: true, ..Thrown::error("later") }),
        "/panic" => panic!("on purpose"),
        "/half" => {
            let half = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("the disk is gone"))];
            Ok(Response::new(Body::stream(None, stream::iter(half))))
        }
        _ => Err(Thrown::error(std::io::Error::other("not there"))),
    }));
    let api = ends.entrypoint();
    for (path, reason) in [
        ("/type", "remote.jsg.TypeError: no"),
        ("/own", "remote.jsg.Error: MyError: mine"),
        ("/again", "remote.jsg.Error: later"),
        ("/", "remote.jsg.Error: not there"),
    ] {
        let error = soon(api.fetch(get(&format!("http://a{path}")))).await.err().unwrap();
        assert_eq!(error.is_retryable(), path == "/again", "{error}");
        let FetchError::Event(error) = error else { panic!("{error}") };
        assert_eq!(error.exception().unwrap().reason, reason);
    }
    let error = soon(api.fetch(get("http://a/panic"))).await.err().unwrap();
    assert!(error.to_string().contains("panicked: on purpose"), "{error}");
    let response = soon(api.fetch(get("http://a/half"))).await.unwrap();
    let error = soon(response.into_body().bytes()).await.unwrap_err();
    assert!(
        matches!(&error, BodyError::Truncated(_)) && error.to_string().contains("the disk is gone"),
        "{error}"
    );
    struct Nothing;
    impl Handler for Nothing {}
    let error = soon(self::ends(Nothing).entrypoint().fetch(get("http://a/"))).await.err().unwrap();
    assert!(error.to_string().contains("takes no fetch()"), "{error}");
}

/// Tells when it is dropped.
struct Guard(mpsc::Sender<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_ends_with_its_request() {
    let (tell, mut told) = mpsc::channel(8);
    let (begin, mut begun) = mpsc::channel(8);
    let ends = ends(fetch_with(move |request: Request<Body>| {
        let guard = Guard(tell.clone());
        let begin = begin.clone();
        async move {
            if request.uri().path() == "/body" {
                let endless = stream::repeat_with(move || {
                    let _held = &guard;
                    Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1000]))
                });
                return Ok::<_, Thrown>(Response::new(Body::stream(None, endless)));
            }
            begin.send(()).await.unwrap();
            let _held = guard;
            std::future::pending().await
        }
    }));
    let api = ends.entrypoint();
    let asking = tokio::spawn(async move { api.fetch(get("http://a/")).await.map(drop) });
    soon(begun.recv()).await.unwrap();
    asking.abort();
    soon(told.recv()).await.unwrap();
    let mut response = soon(ends.entrypoint().fetch(get("http://a/body"))).await.unwrap();
    soon(response.body_mut().next()).await.unwrap().unwrap();
    drop(response);
    soon(told.recv()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_opens_a_websocket() {
    let (tell, mut told) = mpsc::channel(8);
    let (end, mut ended) = mpsc::channel(8);
    let ends = ends(fetch_with(move |_: Request<Body>| {
        let (tell, ended) = (tell.clone(), end.clone());
        async move {
            let mut reply = Reply::websocket(move |mut socket| async move {
                // Fails where the caller drops it at once.
                let _ = socket.send(Message::Text("hello".into())).await;
                let _guard = Guard(ended);
                loop {
                    match socket.next().await {
                        Some(Ok(Message::Close(Close { code, reason }))) => {
                            tell.send(format!("{code} {reason}")).await.unwrap();
                            return socket.close(4000, "bye").await.unwrap();
                        }
                        Some(Ok(message)) => socket.send(message).await.unwrap(),
                        Some(Err(_)) | None => return,
                    }
                }
            });
            if let Reply::WebSocket(head, _) = &mut reply {
                head.headers_mut().insert("x-a", "1".parse().unwrap());
            }
            Ok::<_, Thrown>(reply)
        }
    }));
    let api = ends.entrypoint();
    let open = async || soon(api.websocket(Request::get("http://a/").body(()).unwrap())).await.unwrap();
    let (head, mut socket) = open().await;
    assert_eq!(head.headers()["x-a"], "1");
    let long = Message::Binary(vec![1; 1 << 20].into());
    for message in [Message::Text("hello".into()), Message::Text("ü".into()), long] {
        if message != Message::Text("hello".into()) {
            soon(socket.send(message.clone())).await.unwrap();
        }
        assert_eq!(soon(socket.next()).await.unwrap().unwrap(), message);
    }
    soon(socket.close(3001, "enough")).await.unwrap();
    assert_eq!(soon(told.recv()).await.unwrap(), "3001 enough");
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::Close(Close::new(4000, "bye")));
    assert!(soon(socket.next()).await.is_none());
    // Either side may drop it.
    let (_, mut socket) = open().await;
    soon(ended.recv()).await.unwrap();
    soon(socket.next()).await.unwrap().unwrap();
    socket.abort();
    soon(ended.recv()).await.unwrap();
    let (_, mut socket) = open().await;
    soon(socket.next()).await.unwrap().unwrap();
    ends._line.close();
    let error = soon(socket.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, WebSocketError::Aborted(_)), "{error}");
    let refused = soon(api.fetch(get("http://a/"))).await.err().unwrap();
    assert!(refused.is_retryable(), "{refused}");
}
