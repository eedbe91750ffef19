//! Requests to a real workerd over its debug port.

use http::{Method, Request};
use hyper::ext::ReasonPhrase;
use jackfield::client::{Body, Cf, FetchError};

use super::stage::{Stage, Way, either_way, get, soon};

either_way! {
    a_request_arrives_as_it_was_sent,
    every_method_arrives,
    heads_come_as_they_are,
}

const SCRIPT: &str = r#"
import { WorkerEntrypoint } from "cloudflare:workers";
export default {
    async fetch(request) {
        const url = new URL(request.url);
        switch (url.pathname) {
            case "/see": {
                const body = request.body === null ? null : await request.text();
                return Response.json({
                    method: request.method, url: request.url, cf: request.cf ?? null, body,
                    headers: [...request.headers],
                });
            }
            case "/status": return new Response(null, { status: Number(url.search.slice(1)) });
            case "/heads": return new Response("a", { status: 299, statusText: "Quite So", headers: [
                ["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-twice", "1"], ["x-twice", "2"], ["x-odd", "\u00e9 \u00ff"],
                ["content-type", "text/odd"], ["accept-encoding", "gzip, deflate"],
            ] });
            case "/move": return Response.redirect("http://elsewhere/", 307);
            case "/throw": throw new TypeError("on purpose");
            case "/echo": return new Response(request.body);
            default: return new Response("hello", { status: 201 });
        }
    },
};
export class Named extends WorkerEntrypoint {
    fetch(request) { return Response.json(this.ctx.props); }
}
"#;

async fn a_request_arrives_as_it_was_sent(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let request = Request::post("https://some.where:81/see?a=%20b")
        .header("x-a", "1")
        .header("x-a", "2")
        .header("accept-encoding", "gzip, deflate")
        .extension(Cf::new(r#"{"country":"PT"}"#))
        .body(Body::from("hi"));
    let answer = soon(api.fetch(request.unwrap())).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let seen: serde_json::Value =
        serde_json::from_slice(&soon(answer.into_body().bytes()).await.unwrap()).unwrap();
    assert_eq!(
        seen,
        serde_json::json!({
            "method": "POST", "url": "https://some.where:81/see?a=%20b", "cf": { "country": "PT" }, "body": "hi",
            "headers": [["accept-encoding", "gzip, deflate"], ["content-length", "2"], ["x-a", "1, 2"]],
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn entrypoints_have_their_props_and_wrong_names_say_so() {
    let stage = Stage::start(SCRIPT).await;
    let named = stage.session.entrypoint("api", Some("Named"), Some(serde_json::json!({ "tenant": 7 })));
    for _ in 0..2 {
        let answer = soon(named.fetch(get("http://a/"))).await.unwrap();
        assert_eq!(soon(answer.into_body().text()).await.unwrap(), r#"{"tenant":7}"#);
    }
    for (service, name, expected) in
        [("nope", None, r#"Worker "nope" not found"#), ("api", Some("Nope"), "Nope")]
    {
        let error =
            soon(stage.session.entrypoint(service, name, None).fetch(get("http://a/"))).await.err().unwrap();
        assert!(matches!(error, FetchError::Event(_)) && error.to_string().contains(expected), "{error}");
    }
    let error = soon(named.fetch(get("/relative"))).await.err().unwrap();
    assert!(matches!(error, FetchError::Request(_)), "{error}");
}

async fn every_method_arrives(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let methods = "GET POST PUT DELETE PATCH PURGE OPTIONS COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH \
        UNLOCK ACL REPORT MKACTIVITY CHECKOUT MERGE MSEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE QUERY BAN";
    for method in methods.split_whitespace() {
        let request = Request::builder().method(method).uri("http://a/see").body(Body::empty()).unwrap();
        let answer = soon(api.fetch(request)).await.unwrap();
        let seen = soon(answer.into_body().text()).await.unwrap();
        assert!(seen.contains(&format!(r#"{{"method":"{method}""#)), "{method}: {seen}");
    }
    let mut request = get("http://a/");
    *request.method_mut() = Method::from_bytes(b"FROB").unwrap();
    let error = soon(api.fetch(request)).await.err().unwrap();
    assert!(error.to_string().contains("FROB"), "{error}");
}

async fn heads_come_as_they_are(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let answer = soon(api.fetch(get("http://a/heads"))).await.unwrap();
    assert_eq!(answer.status(), 299);
    assert_eq!(answer.extensions().get::<ReasonPhrase>().unwrap().as_bytes(), b"Quite So");
    let all = |name: &str| -> Vec<&[u8]> {
        answer.headers().get_all(name).iter().map(|value| value.as_bytes()).collect()
    };
    assert_eq!(all("set-cookie"), [&b"a=1"[..], b"b=2"]);
    assert_eq!(all("x-twice"), [&b"1"[..], b"2"]);
    assert_eq!(all("x-odd"), ["\u{e9} \u{ff}".as_bytes()]);
    assert_eq!(all("content-type"), [&b"text/odd"[..]]);
    assert_eq!(all("accept-encoding"), [&b"gzip, deflate"[..]]);

    let answer = soon(api.fetch(get("http://a/move"))).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (307, &"http://elsewhere/".parse().unwrap())
    );
    for status in [204, 205, 304, 404, 599] {
        let answer = soon(api.fetch(get(&format!("http://a/status?{status}")))).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().length()), (status, Some(0)));
        assert_eq!(answer.extensions().get::<ReasonPhrase>().is_some(), status == 599);
    }
    let request = Request::head("http://a/").body(Body::empty()).unwrap();
    let answer = soon(api.fetch(request)).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().length()), (201, Some(0)));
    let error = soon(api.fetch(get("http://a/throw"))).await.err().unwrap();
    let FetchError::Event(error) = error else { panic!("{error}") };
    assert_eq!(error.exception().unwrap().reason, "remote.jsg.TypeError: on purpose");
}
