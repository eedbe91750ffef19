//! The object that a far side writes a stream to.

use bytes::Bytes;
use capnp::traits::HasTypeId;
use tokio::sync::oneshot;

use super::inbox::{Feed, READER_GONE};
use crate::net::local::{Body, Call, Handler, Pending, RpcError, Span, Stub};
use crate::schema::byte_stream_capnp::byte_stream;
use crate::wire::exception::Exception;

pub(super) const STREAM: u64 = byte_stream::Client::TYPE_ID;
const CALLBACK: u64 = byte_stream::substream_callback::Client::TYPE_ID;

pub(super) const WRITE: u16 = 0;
pub(super) const END: u16 = 1;
const GET_SUBSTREAM: u16 = 2;

const ENDED: u16 = 0;
const REACHED_LIMIT: u16 = 1;

/// A ByteStream whose bytes come to us.
pub(crate) struct Written {
    pub(super) feed: Feed<Bytes>,
    /// Takes the call that ends the stream, and answers it; else it is answered at once.
    pub(super) end: Option<oneshot::Sender<Call>>,
}

impl Handler for Written {
    fn call(&mut self, call: Call) {
        match (call.interface, call.method) {
            (STREAM, WRITE) => {
                if let Some((bytes, call)) = written(call) {
                    feed(&self.feed, bytes, call);
                }
            }
            (STREAM, END) => {
                self.feed.end();
                match self.end.take() {
                    None => call.respond(Body::empty()),
                    Some(end) => {
                        if let Err(call) = end.send(call) {
                            call.fail(Exception::disconnected(READER_GONE));
                        }
                    }
                }
            }
            (STREAM, GET_SUBSTREAM) => substream(&self.feed, call),
            _ => call.unimplemented(),
        }
    }
}

fn feed(feed: &Feed<Bytes>, bytes: Bytes, call: Call) {
    match bytes.is_empty() {
        true => call.respond(Body::empty()),
        false => feed.push(bytes.clone(), bytes.len(), Some(call)),
    }
}

/// What a write brings. Without anything the call has failed.
fn written(mut call: Call) -> Option<(Bytes, Call)> {
    let bytes = call
        .take_params()
        .into_bytes::<byte_stream::write_params::Owned>(|params| Ok(Span::of(params.get_bytes()?)));
    match bytes {
        Ok(bytes) => Some((bytes, call)),
        Err(error) => {
            call.fail(error.into_exception());
            None
        }
    }
}

/// A worker that passes a stream on to us hands us the way out of that stream: whoever writes there writes to this
/// object then, and the worker has nothing to do with the bytes any more.
fn substream(feed: &Feed<Bytes>, call: Call) {
    let params = call.params().read::<byte_stream::get_substream_params::Owned, _>(|params, caps| {
        Ok((caps.stub(&params.get_callback()?)?, params.get_limit()))
    });
    match params {
        Ok((callback, limit)) => {
            let state = State::Open { feed: feed.clone(), callback, left: limit };
            let substream = call.serve(Substream { limit, state });
            call.respond(Body::stubs_only([substream]));
        }
        Err(error) => call.fail(error.into_exception()),
    }
}

/// A part of a stream, for somebody else to write.
struct Substream {
    limit: u64,
    state: State,
}

enum State {
    /// Still within the limit.
    Open {
        feed: Feed<Bytes>,
        callback: Stub,
        left: u64,
    },
    /// Beyond the limit: the rest goes elsewhere.
    Next(Stub),
    Ended,
}

impl Handler for Substream {
    fn call(&mut self, call: Call) {
        match (&mut self.state, call.interface, call.method) {
            (State::Next(next), STREAM, _) => call.forward(next),
            (State::Ended, STREAM, _) => call.fail(Exception::failed("The stream has ended already.")),
            (State::Open { .. }, STREAM, WRITE) => self.write(call),
            (State::Open { callback, left, .. }, STREAM, END) => {
                end(callback, self.limit - *left, call);
                self.state = State::Ended;
            }
            (State::Open { feed, .. }, STREAM, GET_SUBSTREAM) => substream(feed, call),
            _ => call.unimplemented(),
        }
    }
}

impl Substream {
    fn write(&mut self, call: Call) {
        let Some((bytes, call)) = written(call) else { return };
        let State::Open { feed: to, callback, left } = &mut self.state else { return };
        let within = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= within as u64;
        if *left > 0 {
            return feed(to, bytes, call);
        }
        // What follows goes where the callback says, which costs no round trip.
        let asked = callback.start_now(CALLBACK, REACHED_LIMIT, Body::empty());
        let next = match asked {
            Ok(asked) => asked.pipeline(&[0]),
            Err(error) => return call.fail(error.into_exception()),
        };
        let (own, rest) = (bytes.slice(..within), bytes.slice(within..));
        if rest.is_empty() {
            feed(to, own, call);
        } else {
            to.push(own, within, None);
            answer_with(next.start_now(STREAM, WRITE, Body::data(rest)), call);
        }
        self.state = State::Next(next);
    }
}

/// Tells the callback that the substream has ended; its answer is that of the end.
fn end(callback: &Stub, written: u64, call: Call) {
    let body = Body::build::<byte_stream::substream_callback::ended_params::Owned>(|mut params, _| {
        params.set_byte_count(written);
        Ok(())
    });
    answer_with(body.and_then(|body| callback.start_now(CALLBACK, ENDED, body)), call);
}

/// Answers a call as soon as another one is.
fn answer_with(other: Result<Pending, RpcError>, call: Call) {
    let other = match other {
        Ok(other) => other,
        Err(error) => return call.fail(error.into_exception()),
    };
    // Ends with the connection at the latest, and there is one for each substream.
    let task = async move {
        match other.await {
            Ok(_) => call.respond(Body::empty()),
            Err(error) => call.fail(error.into_exception()),
        }
    };
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(task));
    }
}
