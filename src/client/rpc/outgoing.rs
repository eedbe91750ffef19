//! Values on their way out, with what they refer to.

use capnp::traits::Owned;
use futures::TryStreamExt;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::error::ValueError;
use super::ids::{EXTERNAL_PUSHER, PUSH_BYTE_STREAM};
use super::incoming::Token;
use super::scope::Tie;
use super::serve::Served;
use super::streams::{take_near, take_readable, take_writable};
use super::stub::Stub;
use super::target::Object;
use crate::client::body::Body;
use crate::client::stream::{Reader, Writer};
use crate::net::local::{self, Call, Caps, Pending};
use crate::schema::worker_interface_capnp::js_value::external_pusher;
use crate::schema::worker_interface_capnp::{StreamEncoding, js_value};
use crate::wire::v8::{External, ExternalKind, JsValue, Limits, serialize_within};

/// workerd takes no longer value in a call, nor in an answer.
const LIMITS: Limits = Limits { bytes: 32 << 20, depth: Limits::DEPTH, memory: Limits::MEMORY };

/// A value, ready to be sent.
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    externals: Vec<Wire>,
    /// Streams that flow as long as these are held.
    pub pumps: Vec<AbortOnDropHandle<()>>,
}

enum Wire {
    Target(local::Stub),
    Writable(local::Stub),
    Readable(local::Stub),
    Token(Token),
}

/// Where things in a value are made and go to.
pub(super) struct Way<'a> {
    /// That of the objects of ours in it.
    pub tie: Tie,
    /// Makes streams at the receiver.
    pub pusher: Option<&'a local::Stub>,
}

impl Outgoing {
    /// Serializes a value, and begins to send its streams.
    ///
    /// # Cancellation
    /// Streams in the value may be taken.
    pub async fn of(value: &JsValue, way: &Way<'_>) -> Result<Self, ValueError> {
        let encoded = serialize_within(value, LIMITS)?;
        let mut outgoing = Outgoing { bytes: encoded.bytes, externals: Vec::new(), pumps: Vec::new() };
        for external in &encoded.externals {
            let wire = outgoing.wire(external, way).await?;
            outgoing.externals.push(wire);
        }
        Ok(outgoing)
    }

    async fn wire(&mut self, external: &External, way: &Way<'_>) -> Result<Wire, ValueError> {
        let kind = external.kind();
        if let Some(object) = external.downcast_ref::<Object>() {
            return Ok(Wire::Target(way.tie.host().serve(Served::new(object.clone(), way.tie.clone()))));
        }
        if let Some(stub) = external.downcast_ref::<Stub>() {
            // A stub of another connection is called from here.
            return Ok(Wire::Target(match way.tie.host().is_home_of(stub.capability()) {
                true => stub.capability().clone(),
                false => {
                    let object = Object::new(stub.clone());
                    way.tie.host().serve(Served::new(object, way.tie.clone()))
                }
            }));
        }
        if let Some(token) = external.downcast_ref::<Token>() {
            return Ok(Wire::Token(token.clone()));
        }
        match kind {
            ExternalKind::ReadableStream => {
                let stream = take_readable(external).ok_or(ValueError::Taken(kind))?;
                self.push(stream.into_body(), way).await
            }
            ExternalKind::WritableStream => match take_near(external) {
                Some(written) => Ok(Wire::Writable(way.tie.host().serve(written))),
                None => {
                    let stream = take_writable(external).ok_or(ValueError::Taken(kind))?;
                    self.pass_on(stream.into_stub(), way)
                }
            },
            _ => Err(ValueError::Bound(kind)),
        }
    }

    async fn push(&mut self, body: Body, way: &Way<'_>) -> Result<Wire, ValueError> {
        let kind = ExternalKind::ReadableStream;
        let pusher = way.pusher.ok_or(ValueError::NoPusher(kind))?;
        let runtime = way.tie.host().runtime().ok_or(ValueError::NoRuntime(kind))?;
        let length = body.length().map_or(0, |length| length.saturating_add(1));
        let params =
            local::Body::build::<external_pusher::push_byte_stream_params::Owned>(|mut params, _| {
                params.set_length_plus_one(length);
                Ok(())
            })?;
        let pushed = pusher.start(EXTERNAL_PUSHER, PUSH_BYTE_STREAM, params).await?;
        let (source, sink) = (pushed.pipeline(&[0]), pushed.pipeline(&[1]));
        self.pumps.push(AbortOnDropHandle::new(runtime.spawn(pump(body, sink, pushed))));
        Ok(Wire::Readable(source))
    }

    /// Whoever writes to a stream of another connection writes to us, and we to it.
    fn pass_on(&self, (to, tie): (local::Stub, Tie), way: &Way<'_>) -> Result<Wire, ValueError> {
        if way.tie.host().is_home_of(&to) {
            return Ok(Wire::Writable(to));
        }
        let kind = ExternalKind::WritableStream;
        let runtime = way.tie.host().runtime().ok_or(ValueError::NoRuntime(kind))?;
        let (written, reader, ended) = Reader::passing();
        // It ends with whoever writes, who may have no more to do with the call by then.
        runtime.spawn(async move {
            pass(reader, Writer::new(to), ended).await;
            drop(tie);
        });
        Ok(Wire::Writable(way.tie.host().serve(written)))
    }

    /// Whether capabilities go along.
    pub fn carries(&self) -> bool {
        !self.externals.is_empty()
    }

    /// How much room it takes in a message.
    pub fn size(&self) -> usize {
        self.bytes.len() + 64 * self.externals.len()
    }

    /// The capability of a value that is a stub and nothing else.
    pub fn single_target(&self) -> Option<&local::Stub> {
        match self.externals.as_slice() {
            [Wire::Target(stub)] => Some(stub),
            _ => None,
        }
    }

    pub fn fill(&self, mut value: js_value::Builder<'_>, caps: &Caps) {
        value.set_v8_serialized(&self.bytes);
        if self.externals.is_empty() {
            return;
        }
        let mut list = value.init_externals(self.externals.len().min(u32::MAX as usize) as u32);
        for (index, wire) in (0..).zip(&self.externals) {
            let mut external = list.reborrow().get(index);
            match wire {
                Wire::Target(stub) => external.init_rpc_target().set_cap(caps.client(stub)),
                Wire::Writable(stub) => {
                    let mut stream = external.init_writable_stream();
                    stream.set_byte_stream(caps.client(stub));
                    stream.set_encoding(StreamEncoding::Identity);
                }
                Wire::Readable(source) => {
                    let mut stream = external.init_readable_stream();
                    stream.set_stream(caps.client(source));
                    stream.set_encoding(StreamEncoding::Identity);
                }
                Wire::Token(Token::Service(token)) => external.set_subrequest_channel_token(token),
                Wire::Token(Token::ActorClass(token)) => external.set_actor_class_channel_token(token),
            }
        }
    }
}

/// Sends a stream. What fails here breaks it off there, and what fails there ends it.
async fn pump(mut body: Body, sink: local::Stub, pushed: Pending) {
    let mut writer = Writer::new(sink);
    loop {
        match body.try_next().await {
            Ok(Some(bytes)) => {
                if writer.write(bytes).await.is_err() {
                    return;
                }
            }
            Ok(None) => break,
            Err(_) => return,
        }
    }
    let _ = writer.end().await;
    drop(pushed);
}

/// Passes a stream on to a far side, whose answer to its end is ours.
async fn pass(mut reader: Reader, mut writer: Writer, ended: oneshot::Receiver<Call>) {
    let refused = loop {
        match reader.read().await {
            Ok(Some(bytes)) => match writer.write(bytes).await {
                Ok(()) => {}
                Err(refused) => break refused,
            },
            Ok(None) => match (writer.end().await, ended.await) {
                (Ok(()), Ok(end)) => return end.respond(local::Body::empty()),
                (Err(refused), Ok(end)) => return end.fail(refused.exception().clone()),
                (_, Err(_)) => return,
            },
            // Without its end the stream breaks off there, too.
            Err(_) => return,
        }
    };
    reader.refuse(refused.exception().clone());
}

/// Content of a message, with room for a value.
pub(super) fn with_value<T: Owned>(
    value: Option<&Outgoing>,
    bytes: usize,
    fill: impl Fn(T::Builder<'_>, &Caps) -> capnp::Result<()>,
) -> Result<local::Body, local::RpcError> {
    local::Body::sized::<T>(bytes + value.map_or(0, Outgoing::size), fill)
}
