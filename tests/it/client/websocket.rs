//! WebSockets with a real worker.

use futures::{SinkExt, StreamExt};
use http::Request;
use jackfield::client::{Close, Entrypoint, FetchError, Message, WebSocket, WebSocketError};

use super::stage::{Way, either_way, get, soon};

either_way! {
    messages_go_both_ways,
    either_side_closes,
    a_lost_socket_is_no_closed_one,
    a_worker_may_answer_otherwise,
}

const SCRIPT: &str = r#"
let told = [];
export default {
    async fetch(request) {
        const url = new URL(request.url);
        if (url.pathname === "/told") return Response.json(told);
        if (url.pathname === "/plain") return new Response("no socket here", { status: 404 });
        const [client, server] = Object.values(new WebSocketPair());
        server.accept();
        server.binaryType = "arraybuffer";
        server.addEventListener("close", event => {
            told.push(["close", event.code, event.reason, event.wasClean]);
            if (url.pathname === "/echo") server.close(event.code === 1005 ? undefined : event.code, event.reason);
        });
        server.addEventListener("error", event => told.push(["error", event.message]));
        server.addEventListener("message", event => {
            if (event.data === "close") return server.close(4001, "as you say");
            if (event.data === "bare") return server.close();
            server.send(event.data);
        });
        if (url.pathname === "/greet") for (const word of ["one", "two"]) server.send(word);
        const headers = { "sec-websocket-protocol": request.headers.get("sec-websocket-protocol") ?? "none" };
        return new Response(null, { status: 101, webSocket: client, headers });
    },
};
"#;

async fn open(api: &Entrypoint, url: &str) -> WebSocket {
    let request = Request::get(url).body(()).unwrap();
    soon(api.websocket(request)).await.unwrap().1
}

async fn next(socket: &mut WebSocket) -> Message {
    soon(socket.next()).await.unwrap().unwrap()
}

/// What the worker was told, once there is something.
async fn told(api: &Entrypoint) -> String {
    let told = async {
        loop {
            let answer = api.fetch(get("http://a/told")).await.unwrap();
            let told = answer.into_body().text().await.unwrap();
            if told != "[]" {
                return told;
            }
        }
    };
    soon(told).await
}

async fn messages_go_both_ways(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let request = Request::get("http://a/greet").header("sec-websocket-protocol", "chat").body(()).unwrap();
    let (head, mut socket) = soon(api.websocket(request)).await.unwrap();
    assert_eq!(
        (head.status().as_u16(), &head.headers()["sec-websocket-protocol"]),
        (101, &"chat".parse().unwrap())
    );
    assert_eq!(next(&mut socket).await, Message::Text("one".into()));
    assert_eq!(next(&mut socket).await, Message::Text("two".into()));
    let long = Message::Binary(vec![7; 1 << 20].into());
    for message in [
        Message::Text("grüß dich".into()),
        Message::Text(String::new()),
        Message::Binary([0, 255][..].into()),
        long,
    ] {
        soon(socket.send(message.clone())).await.unwrap();
        assert_eq!(next(&mut socket).await, message);
    }
    // Many at once, none of which waits for an answer.
    let (mut sink, mut stream) = socket.split();
    let sending = async {
        for count in 0..2_000 {
            sink.feed(Message::Text(count.to_string())).await.unwrap();
        }
        sink.flush().await.unwrap();
    };
    let receiving = async {
        for count in 0..2_000 {
            assert_eq!(stream.next().await.unwrap().unwrap(), Message::Text(count.to_string()));
        }
    };
    soon(async { tokio::join!(sending, receiving) }).await;
}

async fn either_side_closes(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let mut socket = open(&api, "http://a/").await;
    soon(socket.send(Message::Text("close".into()))).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Close(Close::new(4001, "as you say")));
    assert!(soon(socket.next()).await.is_none());
    soon(socket.close(4001, "as you say")).await.unwrap();
    let error = soon(socket.send(Message::Text("late".into()))).await.unwrap_err();
    assert!(matches!(error, WebSocketError::Closed), "{error}");
    assert_eq!(told(&api).await, r#"[["close",4001,"as you say",true]]"#);

    let mut socket = open(&api, "http://a/").await;
    soon(socket.send(Message::Text("bare".into()))).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Close(Close::new(Close::NO_STATUS, "")));

    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let mut socket = open(&api, "http://a/echo").await;
    soon(socket.close(4999, "bye")).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Close(Close::new(4999, "bye")));
    assert!(soon(socket.next()).await.is_none());
    assert_eq!(told(&api).await, r#"[["close",4999,"bye",true]]"#);
}

async fn a_lost_socket_is_no_closed_one(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let mut socket = open(&api, "http://a/").await;
    soon(socket.send(Message::Text("hi".into()))).await.unwrap();
    next(&mut socket).await;
    socket.abort();
    let told = told(&api).await;
    assert!(told.contains("1006") || told.contains("error"), "{told}");

    let mut socket = open(&api, "http://a/").await;
    stage.session.close();
    let error = soon(socket.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, WebSocketError::Aborted(_)), "{error}");
    assert!(soon(socket.next()).await.is_none());
    let error = soon(socket.send(Message::Text("late".into()))).await.unwrap_err();
    assert!(matches!(error, WebSocketError::Refused(_)), "{error}");
}

async fn a_worker_may_answer_otherwise(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let asked = soon(api.websocket(Request::get("http://a/plain").body(()).unwrap())).await;
    let Err(FetchError::NoWebSocket(response)) = asked else { panic!("a socket") };
    assert_eq!(response.status(), 404);
    assert_eq!(soon(response.into_body().text()).await.unwrap(), "no socket here");
}
