//! Streams that come with values.
//!
//! A far side that sends a stream asks for a sink and a source first: it writes to the sink, and puts the source into
//! its value, so that we recognise which of the sinks is meant. The source may arrive before it is known whose it is
//! (as a part of an answer of ours that is on its way), so it is called like any object, and tells where it belongs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::ids::{EXTERNAL_PUSHER, PUSH_BYTE_STREAM};
use crate::client::stream::Reader;
use crate::net::local::{Body, Call, Handler, RpcError, Span, Stub};
use crate::schema::byte_stream_capnp::byte_stream;
use crate::schema::worker_interface_capnp::js_value::external_pusher;
use crate::wire::build::Content;
use crate::wire::exception::Exception;

/// Our own interface of sources, which no far side calls: a random number, as all type ids are.
const SOURCE: u64 = 0xb3a4_91d7_60ce_5f28;
const CLAIM: u16 = 0;

/// Those who wait for the stream behind a source.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    next: AtomicU64,
    by_number: Mutex<HashMap<u64, oneshot::Sender<Pushed>>>,
}

/// A stream that a far side has begun.
pub(super) struct Pushed {
    pub reader: Reader,
    /// How many bytes it will have, if its writer has said so.
    pub length: Option<u64>,
}

impl Claims {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Pushed>>> {
        self.0.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream behind a source.
    ///
    /// # Errors
    /// The source is none of ours, or its stream was taken already.
    pub async fn claim(&self, source: &Stub) -> Result<Pushed, RpcError> {
        let claim = Claim { claims: self, number: self.0.next.fetch_add(1, Ordering::Relaxed) };
        let (give, take) = oneshot::channel();
        self.waiting().insert(claim.number, give);
        let body = Body::new(Content::data(Bytes::copy_from_slice(&claim.number.to_le_bytes())), Vec::new());
        source.call(SOURCE, CLAIM, body).await?;
        take.await.map_err(|_| RpcError::Failed(Exception::failed("The stream is not there.")))
    }
}

/// A claim that is under way.
struct Claim<'a> {
    claims: &'a Claims,
    number: u64,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.claims.waiting().remove(&self.number);
    }
}

/// Gives sinks and sources to a far side.
pub(super) struct Pusher(pub Claims);

impl Handler for Pusher {
    fn call(&mut self, call: Call) {
        match (call.interface, call.method) {
            (EXTERNAL_PUSHER, PUSH_BYTE_STREAM) => push(&self.0, call),
            _ => call.unimplemented(),
        }
    }
}

/// Answers a `pushByteStream`.
pub(super) fn push(claims: &Claims, call: Call) {
    let said = call.params().read::<external_pusher::push_byte_stream_params::Owned, _>(|params, _| {
        Ok(params.get_length_plus_one())
    });
    let length = match said {
        // Zero stands for a length that is not known.
        Ok(said) => said.checked_sub(1),
        Err(error) => return call.fail(error.into_exception()),
    };
    let (sink, reader) = Reader::for_call(&call);
    let source = call.serve(Source { claims: claims.clone(), pushed: Some(Pushed { reader, length }) });
    let body = Body::build::<external_pusher::push_byte_stream_results::Owned>(|mut results, caps| {
        results.set_source(caps.client(&source));
        results.set_sink(caps.client(&sink));
        Ok(())
    });
    match body {
        Ok(body) => call.respond(body),
        Err(error) => call.fail(error.into_exception()),
    }
}

/// Stands for a stream in a value. Dropped unclaimed, it tells the writer that nobody reads.
struct Source {
    claims: Claims,
    pushed: Option<Pushed>,
}

impl Handler for Source {
    fn call(&mut self, mut call: Call) {
        if (call.interface, call.method) != (SOURCE, CLAIM) {
            return call.unimplemented();
        }
        let number = call
            .take_params()
            .into_bytes::<byte_stream::write_params::Owned>(|params| Ok(Span::of(params.get_bytes()?)))
            .ok()
            .and_then(|bytes| Some(u64::from_le_bytes(*bytes.first_chunk()?)));
        let claim = number.and_then(|number| self.claims.waiting().remove(&number));
        match (claim, self.pushed.take()) {
            (Some(claim), Some(pushed)) => {
                // Whoever wanted it may have gone: then it is dropped, and its writer told.
                let _ = claim.send(pushed);
                call.respond(Body::empty());
            }
            (_, pushed) => {
                self.pushed = pushed;
                call.fail(Exception::failed("The stream was taken already."));
            }
        }
    }
}
