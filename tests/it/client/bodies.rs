//! Bodies of real workers, both ways: long ones, broken ones, and such as nobody wants any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::Request;
use jackfield::client::{Body, BodyError, Entrypoint, FetchError};
use jackfield::net::local::Inventory;
use jackfield::rpc::TableSizes;

use super::stage::{Way, either_way, get, soon};

either_way! {
    bodies_of_every_length_come_back,
    nothing_piles_up,
    half_a_body_is_not_taken_for_a_whole_one,
    a_body_that_fails_here_is_not_taken_for_a_whole_one_there,
    what_is_dropped_is_cancelled,
    a_worker_that_does_not_read_the_request_answers_all_the_same,
    requests_leave_nothing_behind,
}

const SCRIPT: &str = r#"
let told = "";
function tell(what) { told = what; }
function chunks(count, size, after) {
    let sent = 0;
    return new ReadableStream({
        type: "bytes",
        pull(controller) {
            if (sent++ < count) return controller.enqueue(new Uint8Array(size).fill(sent));
            if (after === "fail") throw new Error("in the middle");
            if (after === "end") return controller.close();
            return scheduler.wait(60_000);
        },
        cancel(reason) { tell("cancelled"); },
    });
}
export default {
    async fetch(request, env, ctx) {
        const url = new URL(request.url);
        const query = url.searchParams;
        switch (url.pathname) {
            case "/echo": return new Response(request.body);
            case "/count": {
                let count = 0;
                for await (const chunk of request.body) count += chunk.byteLength;
                return new Response(String(count));
            }
            case "/chunks":
                return new Response(chunks(Number(query.get("count")), Number(query.get("size")), query.get("after")));
            case "/fixed": {
                const { readable, writable } = new FixedLengthStream(Number(query.get("length")));
                const writer = writable.getWriter();
                writer.write(new Uint8Array(10)).then(() => writer.close()).catch(() => {});
                return new Response(readable);
            }
            case "/ignore": return new Response("enough");
            case "/hang":
                request.signal.addEventListener("abort", () => tell("aborted"));
                return scheduler.wait(60_000);
            case "/upload": {
                const read = request.arrayBuffer();
                const telling = read.then(() => tell("whole"), error => tell("broken: " + error.message));
                // The request may be cancelled first.
                ctx.waitUntil(telling);
                await telling;
                return new Response("read");
            }
            case "/told": return new Response(told);
            default: return new Response(null);
        }
    },
};
"#;

async fn text(api: &Entrypoint, url: &str) -> String {
    let answer = soon(api.fetch(get(url))).await.unwrap();
    soon(answer.into_body().text()).await.unwrap()
}

/// What the worker was told, once it was.
async fn told(api: &Entrypoint) -> String {
    let told = async {
        loop {
            let told = text(api, "http://a/told").await;
            if !told.is_empty() {
                return told;
            }
        }
    };
    soon(told).await
}

fn post(url: &str, body: Body) -> Request<Body> {
    Request::post(url).body(body).unwrap()
}

/// So many bytes in pieces, and how many of them were taken so far.
fn source(total: u64) -> (impl futures::Stream<Item = Result<Bytes, std::io::Error>>, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let count = taken.clone();
    let pieces = stream::unfold(0, move |at| {
        let length = (total - at).min(48_000);
        count.fetch_add(length, Relaxed);
        let piece = Bytes::from(vec![(at / 48_000) as u8; length as usize]);
        futures::future::ready((length > 0).then_some((Ok(piece), at + length)))
    });
    (pieces, taken)
}

/// Reads all of a body that [`source`] made.
async fn check(mut body: Body, total: u64) {
    let mut at = 0u64;
    while let Some(piece) = soon(body.next()).await {
        for byte in piece.unwrap() {
            assert_eq!(byte, (at / 48_000) as u8, "at {at}");
            at += 1;
        }
    }
    assert_eq!(at, total);
}

async fn bodies_of_every_length_come_back(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    for total in [0, 1, 64 << 10, (64 << 10) + 1, 64 << 20] {
        for length in [None, Some(total)] {
            let request = post("http://a/echo", Body::stream(length, source(total).0));
            let answer = soon(api.fetch(request)).await.unwrap();
            check(answer.into_body(), total).await;
            let request = post("http://a/count", Body::stream(length, source(total).0));
            match soon(api.fetch(request)).await {
                Ok(answer) => assert_eq!(soon(answer.into_body().text()).await.unwrap(), total.to_string()),
                // A body of no bytes is no body.
                Err(error) => assert!(total == 0 && length.is_some(), "{error}"),
            }
        }
        let size = total.clamp(1, 65_536);
        let url = format!("http://a/chunks?count={}&size={size}&after=end", total / size);
        let answer = soon(api.fetch(get(&url))).await.unwrap();
        assert_eq!(soon(answer.into_body().bytes()).await.unwrap().len() as u64, total / size * size);
    }
}

/// A reader that does not read stops the worker, and the worker the sender.
async fn nothing_piles_up(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let (pieces, taken) = source(256 << 20);
    let mut answer = soon(api.fetch(post("http://a/echo", Body::stream(None, pieces)))).await.unwrap();
    let first = soon(answer.body_mut().next()).await.unwrap().unwrap();
    assert!(!first.is_empty());
    // Meanwhile others are served, over the same connection.
    for _ in 0..200 {
        assert_eq!(text(&api, "http://a/ignore").await, "enough");
    }
    assert!(taken.load(Relaxed) < 4 << 20, "{} bytes are under way", taken.load(Relaxed));
    drop(answer);
}

async fn half_a_body_is_not_taken_for_a_whole_one(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let mut body =
        soon(api.fetch(get("http://a/chunks?count=3&size=10&after=fail"))).await.unwrap().into_body();
    let mut came = 0;
    let error = loop {
        match soon(body.next()).await.unwrap() {
            Ok(bytes) => came += bytes.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(came, 30);
    assert!(
        matches!(error, BodyError::Truncated(_)) && error.to_string().contains("in the middle"),
        "{error}"
    );
    assert!(soon(body.next()).await.is_none());

    let body = soon(api.fetch(get("http://a/fixed?length=20"))).await.unwrap().into_body();
    assert_eq!(body.length(), Some(20));
    let error = soon(body.bytes()).await.unwrap_err();
    assert!(matches!(error, BodyError::Truncated(_) | BodyError::Length { said: 20, found: 10 }), "{error}");

    // The process that dies in the middle.
    let mut body =
        soon(api.fetch(get("http://a/chunks?count=1&size=10&after=hang"))).await.unwrap().into_body();
    soon(body.next()).await.unwrap().unwrap();
    stage.session.close();
    let error = soon(body.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, BodyError::Truncated(_)), "{error}");
    let error = soon(api.fetch(get("http://a/"))).await.err().unwrap();
    assert!(error.is_retryable(), "{error}");
}

async fn a_body_that_fails_here_is_not_taken_for_a_whole_one_there(way: Way) {
    for (length, pieces) in [(None, 1), (Some(100), 1), (Some(12), 3)] {
        let stage = way.start(SCRIPT).await;
        let api = stage.api();
        let good = stream::repeat_with(|| Ok(Bytes::from_static(b"12345678"))).take(pieces);
        let bad = stream::iter((pieces == 1).then(|| Err(std::io::Error::other("the disk is gone"))));
        let body = Body::stream(length, good.chain(bad));
        let error = soon(api.fetch(post("http://a/upload", body))).await.err().unwrap();
        assert!(matches!(error, FetchError::Body(_)), "{error}");
        let told = told(&api).await;
        assert!(told.starts_with("broken"), "{told}");
    }
}

async fn what_is_dropped_is_cancelled(way: Way) {
    // Before the head.
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let hanging = tokio::spawn({
        let api = api.clone();
        async move { api.fetch(get("http://a/hang")).await.map(drop) }
    });
    // What was asked later has been answered.
    assert_eq!(text(&api, "http://a/ignore").await, "enough");
    hanging.abort();
    assert_eq!(told(&api).await, "aborted");

    // In the middle of the body.
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let mut body =
        soon(api.fetch(get("http://a/chunks?count=100000&size=1000&after=end"))).await.unwrap().into_body();
    soon(body.next()).await.unwrap().unwrap();
    drop(body);
    assert_eq!(told(&api).await, "cancelled");

    // In the middle of the upload.
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    let body = Body::stream(
        None,
        stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"a"))]).chain(stream::pending()),
    );
    let uploading = tokio::spawn({
        let api = api.clone();
        async move { api.fetch(post("http://a/upload", body)).await.map(drop) }
    });
    assert_eq!(text(&api, "http://a/ignore").await, "enough");
    uploading.abort();
    assert!(told(&api).await.starts_with("broken"));
}

async fn a_worker_that_does_not_read_the_request_answers_all_the_same(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    for length in [None, Some(64 << 20)] {
        let answer = soon(api.fetch(post("http://a/ignore", Body::stream(length, source(64 << 20).0)))).await;
        assert_eq!(soon(answer.unwrap().into_body().text()).await.unwrap(), "enough");
    }
}

/// Nothing of them is left in the tables.
async fn requests_leave_nothing_behind(way: Way) {
    let stage = way.start(SCRIPT).await;
    let api = stage.api();
    assert_eq!(text(&api, "http://a/ignore").await, "enough");
    let tables = async || {
        (stage.session.peer().inventory().await.unwrap(), stage.session.connection().sizes().await.unwrap())
    };
    // The first event's answers may still be on their way.
    let mut before = tables().await;
    soon(async {
        while before != tables().await {
            before = tables().await;
        }
    })
    .await;
    for count in 0..300 {
        let answer = soon(api.fetch(post("http://a/echo", "some bytes".into()))).await.unwrap();
        match count % 3 {
            0 => drop(answer),
            _ => assert_eq!(soon(answer.into_body().text()).await.unwrap(), "some bytes"),
        }
    }
    // What the first event still held when it was looked at may be gone by now; more than that may not be there.
    let no_more = |(inventory, sizes): (Inventory, TableSizes)| {
        let (first, own) = &before;
        inventory.capabilities <= first.capabilities
            && inventory.held <= first.held
            && inventory.handlers <= first.handlers
            && sizes.questions <= own.questions
            && sizes.answers <= own.answers
            && sizes.imports <= own.imports
            && sizes.exports <= own.exports
    };
    soon(async { while !no_more(tables().await) {} }).await;
}
