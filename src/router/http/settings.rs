//! How both sides of the face speak HTTP/1.1.

use hyper::{client, server};
use hyper_util::rt::TokioIo;

use super::stream::Stream;

/// What hyper drives on both sides.
pub(super) type Io = TokioIo<Stream>;

/// More than any workerd can send: its header buffer is 128 KiB, and workers with a thousand headers exist. hyper
/// allocates this table per message, 64 bytes an entry, so it is not simply made huge.
const MAX_HEADERS: usize = 2_048;

/// What a caller may still send after the target answered and closed: as much as is under way in the sockets and in
/// hyper's buffers, several times over. An upload without end breaks soon enough.
pub(super) const EARLY_ANSWER: usize = 4 << 20;

/// The side that faces the calling workerd.
pub(super) fn server() -> server::conn::http1::Builder {
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

/// The side that faces the target.
pub(super) fn client() -> client::conn::http1::Builder {
    let mut builder = client::conn::http1::Builder::new();
    builder.max_headers(MAX_HEADERS);
    builder
}
