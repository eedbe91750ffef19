//! Values that came, with what they refer to.

use std::sync::Arc;

use super::scope::Tie;
use super::streams::{ReadableStream, WritableStream};
use super::stub::Stub;
use crate::net::local::{self, Caps};
use crate::schema::worker_interface_capnp::js_value;
use crate::schema::worker_interface_capnp::js_value::external::{Which, rpc_target};
use crate::wire::v8::{External, JsValue};

/// A service or a class of the worker's process, sealed by that process. It can only be given back.
#[derive(Debug, Clone)]
pub(super) enum Token {
    Service(Vec<u8>),
    ActorClass(Vec<u8>),
}

/// What a value refers to, in its order.
pub(super) fn externals(value: js_value::Reader<'_>, caps: &Caps, tie: &Tie) -> capnp::Result<Vec<External>> {
    let mut externals = Vec::new();
    for external in value.get_externals()? {
        externals.push(read(external, caps, tie)?);
    }
    Ok(externals)
}

fn read(external: js_value::external::Reader<'_>, caps: &Caps, tie: &Tie) -> capnp::Result<External> {
    use crate::wire::v8::ExternalKind::{ActorClass, ServiceStub, Unknown};
    let value: JsValue = match external.which()? {
        Which::RpcTarget(target) => target_stub(target, caps, tie)?.into(),
        Which::ReadableStream(stream) => {
            let source = caps.stub(&stream.get_stream()?)?;
            ReadableStream::far(source, tie.clone()).into()
        }
        Which::WritableStream(stream) => {
            let to = caps.stub(&stream.get_byte_stream()?)?;
            WritableStream::far(to, tie.clone()).into()
        }
        Which::SubrequestChannelToken(token) => {
            return Ok(External::new(ServiceStub, Arc::new(Token::Service(token?.to_vec()))));
        }
        Which::ActorClassChannelToken(token) => {
            return Ok(External::new(ActorClass, Arc::new(Token::ActorClass(token?.to_vec()))));
        }
        // Reading the value says what it is, and where.
        _ => return Ok(External::new(Unknown, Arc::new(()))),
    };
    value.as_external().cloned().ok_or_else(|| capnp::Error::failed("it refers to nothing".into()))
}

fn target_stub(target: rpc_target::Reader<'_>, caps: &Caps, tie: &Tie) -> capnp::Result<Stub> {
    let cap: local::Stub = caps.stub(&target.get_cap()?)?;
    Ok(Stub::new(cap, tie.clone()))
}
