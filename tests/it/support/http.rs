//! The smallest HTTP client that drives a worker: one connection a request, over a unix socket.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// Longer than any case may take in the worker itself, so that the worker's own account of a hang arrives first.
const LIMIT: Duration = Duration::from_secs(40);

/// Fetches `path` from the worker behind `socket` and gives the whole body.
pub async fn get(socket: &Path, path: &str) -> Result<String, String> {
    tokio::time::timeout(LIMIT, exchange(socket, path))
        .await
        .map_err(|_| format!("no answer to {path} within {LIMIT:?}"))?
        .map_err(|error| format!("GET {path}: {error}"))
}

async fn exchange(socket: &Path, path: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = hyper::Request::get(path).header("host", "caller").body(Empty::<Bytes>::new())?;
    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    driver.abort();
    Ok(String::from_utf8(body.to_vec())?)
}
