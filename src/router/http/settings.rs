//! How both sides of the face speak HTTP/1.1.

use std::error::Error;

use hyper::body::{Body, Incoming};
use hyper::service::HttpService;
use hyper::{client, server};
use hyper_util::rt::TokioIo;

use super::stream::Stream;
use crate::net::Lifetime;

/// What hyper drives on both sides.
pub(super) type Io = TokioIo<Stream>;

/// Workers with a thousand headers exist; a workerd's buffer for them is 128 KiB. hyper allocates two tables for each
/// message, 64 bytes an entry together. Where they reach 128 KiB, glibc gives memory back to the system after every
/// message and asks for it again before the next.
const MAX_HEADERS: usize = 1_536;

/// What a caller may still send after the target answered and closed: as much as is under way in the sockets and in
/// hyper's buffers, several times over. An upload without end breaks soon enough.
pub(super) const EARLY_ANSWER: usize = 4 << 20;

/// The side that faces the calling workerd.
fn server() -> server::conn::http1::Builder {
    let mut builder = server::conn::http1::Builder::new();
    builder
        // An idle or stopped caller is healthy.
        .header_read_timeout(None)
        .max_headers(MAX_HEADERS)
        // A caller that closes wants its request to stop; workerd never half-closes while it waits for an answer.
        .half_close(false)
        // A `date` that the target did not send would be visible to the caller.
        .auto_date_header(false);
    builder
}

/// Serves one connection until it ends or `lifetime` drains; then what has begun on it may still end.
pub(super) async fn serve<S, B>(stream: Stream, service: S, lifetime: &Lifetime) -> hyper::Result<()>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    B::Data: Send,
{
    let connection = server().serve_connection(Io::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = lifetime.draining().cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// The side that faces the target.
pub(super) fn client() -> client::conn::http1::Builder {
    let mut builder = client::conn::http1::Builder::new();
    builder.max_headers(MAX_HEADERS);
    builder
}
