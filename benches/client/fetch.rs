//! Requests over the debug port: small ones by us and by capnp-rpc, streams by us and over the worker's HTTP socket.

use std::io::{Error, Result};
use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use jackfield::client::{Body, Entrypoint};
use tokio::net::UnixStream;

use super::capnp::Client;
use super::report::Report;
use super::rounds::{AT_ONCE, expect, many, timed};
use super::worker::with_worker;

const STREAM: usize = 64 << 20;
/// Bytes of a stream take long, and vary little.
const STREAM_ROUNDS: usize = 9;
/// At least nine tenths of the speed.
const AS_HTTP: f64 = 1.0 / 0.9;

pub fn run(rounds: usize, report: &mut Report) -> Result<()> {
    with_worker(async |ours, theirs, _| {
        for (row, at_once) in
            [("a small fetch, one after the other", 1), ("a small fetch, 64 at once", AT_ONCE)]
        {
            let (mut us, mut them) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                us.push(timed(many(at_once, || fetch(ours))).await?);
                them.push(timed(many(at_once, || hello(theirs))).await?);
            }
            report.add(row, &us, ("capnp-rpc", &them), Some(1.0));
        }
        Ok(())
    })
}

/// A stream from the worker.
pub fn down(rounds: usize, report: &mut Report) -> Result<()> {
    with_worker(async |ours, theirs, worker| {
        let http = &mut http(&worker.http()).await?;
        let url = format!("http://api/down?size={STREAM}");
        let (mut us, mut capnp, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds.min(STREAM_ROUNDS) {
            us.push(
                timed(async { counted(ours.fetch(get(&url)).await.map_err(Error::other)?).await }).await?,
            );
            plain.push(timed(over_http(http, get(&url))).await?);
            capnp.push(timed(async { expect(theirs.get(&url).await?.len() == STREAM) }).await?);
        }
        report.add("64 MiB from the worker", &us, ("its HTTP socket", &plain), Some(AS_HTTP));
        report.add("64 MiB from the worker", &us, ("capnp-rpc", &capnp), Some(1.0));
        Ok(())
    })
}

/// A stream to the worker.
pub fn up(rounds: usize, report: &mut Report) -> Result<()> {
    with_worker(async |ours, _, worker| {
        let http = &mut http(&worker.http()).await?;
        let (mut us, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..rounds.min(STREAM_ROUNDS) {
            us.push(timed(async { counted(ours.fetch(upload()).await.map_err(Error::other)?).await }).await?);
            plain.push(timed(over_http(http, upload())).await?);
        }
        report.add("64 MiB to the worker", &us, ("its HTTP socket", &plain), Some(AS_HTTP));
        Ok(())
    })
}

async fn fetch(api: &Entrypoint) -> Result<()> {
    let answer = api.fetch(get("http://api/")).await.map_err(Error::other)?;
    expect(answer.into_body().bytes().await.map_err(Error::other)? == "hello")
}

async fn hello(client: &Client) -> Result<()> {
    expect(client.get("http://api/").await? == b"hello")
}

fn get(url: &str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = url.parse().unwrap_or_default();
    request
}

/// In pieces as a file is read.
fn upload() -> Request<Body> {
    let piece = Bytes::from(vec![0; 64 << 10]);
    let pieces = stream::iter((0..STREAM / piece.len()).map(move |_| Ok::<_, Error>(piece.clone())));
    let mut request = get("http://api/up");
    *request.method_mut() = http::Method::POST;
    *request.body_mut() = Body::stream(Some(STREAM as u64), pieces);
    request
}

/// Reads all of an answer: so many bytes, or a text that says so.
async fn counted<B>(answer: Response<B>) -> Result<()>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let mut frames = answer.into_body().into_data_stream();
    let (mut count, mut last) = (0, Bytes::new());
    while let Some(bytes) = frames.next().await {
        last = bytes.map_err(Error::other)?;
        count += last.len();
    }
    expect(count == STREAM || last == STREAM.to_string())
}

async fn http(socket: &Path) -> Result<SendRequest<Body>> {
    let stream = TokioIo::new(UnixStream::connect(socket).await?);
    let (sender, connection) = handshake(stream).await.map_err(Error::other)?;
    drop(tokio::task::spawn_local(connection));
    Ok(sender)
}

async fn over_http(sender: &mut SendRequest<Body>, mut request: Request<Body>) -> Result<()> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    *request.uri_mut() = path.parse().unwrap_or_default();
    request.headers_mut().insert("host", http::HeaderValue::from_static("api"));
    sender.ready().await.map_err(Error::other)?;
    counted(sender.send_request(request).await.map_err(Error::other)?).await
}
