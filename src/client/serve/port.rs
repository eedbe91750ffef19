//! A debug port of ours, and what events start on behind it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use capnp::traits::HasTypeId;
use futures::future::BoxFuture;

use super::event::Dispatcher;
use super::handler::{Context, Handler};
use super::props;
use crate::client::fetch::Cf;
use crate::client::rpc::{Object, Path, Target, Thrown};
use crate::net::local::{self, Body, Call, Connection, Peer, RpcError, Settings, Stub};
use crate::schema::worker_interface_capnp::{workerd_bootstrap, workerd_debug_port};
use crate::wire::exception::Exception;
use crate::wire::v8::JsValue;

const PORT: u64 = workerd_debug_port::Client::TYPE_ID;
const GET_ENTRYPOINT: u16 = 0;
const GET_ACTOR: u16 = 1;
const BOOTSTRAP: u64 = workerd_bootstrap::Client::TYPE_ID;
const START_EVENT: u16 = 0;

/// Serves a handler on a connected socket, as a debug port. The connection goes on as long as what is returned is kept.
/// `name` says in messages who calls.
///
/// # Errors
/// There is no runtime to run its task.
pub fn serve(
    socket: impl Into<OwnedFd>,
    name: impl Into<String>,
    handler: Arc<dyn Handler>,
) -> Result<Connection, RpcError> {
    let peer = Peer::start(Settings::default());
    let port = debug_port(&peer, handler);
    peer.connect(socket, name, Some(port))
}

/// A debug port whose every service is the handler.
pub fn debug_port(peer: &Peer, handler: Arc<dyn Handler>) -> Stub {
    peer.serve(Port(handler))
}

/// Makes an object of ours what events of workers start on: a `WorkerdBootstrap`, which is what a far side is given
/// with [`Peer::connect`]. It answers calls of JavaScript RPC; other events fail.
pub fn service(peer: &Peer, target: impl Target) -> Stub {
    let handler = Arc::new(Methods(Object::new(target)));
    peer.serve(Entry { handler, context: Context::default() })
}

/// A handler that only answers calls.
struct Methods(Object);

impl Handler for Methods {
    fn call(&self, method: Path, args: Vec<JsValue>, _: Context) -> BoxFuture<'_, Result<JsValue, Thrown>> {
        self.0.call(method, args)
    }

    fn get(&self, property: Path, _: Context) -> BoxFuture<'_, Result<JsValue, Thrown>> {
        self.0.get(property)
    }
}

struct Port(Arc<dyn Handler>);

impl local::Handler for Port {
    fn call(&mut self, call: Call) {
        let context = match (call.interface, call.method) {
            (PORT, GET_ENTRYPOINT) => entrypoint(&call),
            (PORT, GET_ACTOR) => actor(&call),
            _ => return call.unimplemented(),
        };
        match context {
            Ok(context) => {
                let entry = call.serve(Entry { handler: self.0.clone(), context });
                call.respond(Body::stubs_only([entry]));
            }
            Err(error) => call.fail(Exception::failed(error)),
        }
    }
}

fn entrypoint(call: &Call) -> Result<Context, RpcError> {
    call.params().read::<workerd_debug_port::get_entrypoint_params::Owned, _>(|params, _| {
        Ok(Context {
            service: params.get_service()?.to_string()?,
            entrypoint: match params.has_entrypoint() {
                true => Some(params.get_entrypoint()?.to_string()?),
                false => None,
            },
            props: match params.has_props() {
                true => Some(props::read(params.get_props()?)?),
                false => None,
            },
            actor: None,
        })
    })
}

fn actor(call: &Call) -> Result<Context, RpcError> {
    call.params().read::<workerd_debug_port::get_actor_params::Owned, _>(|params, _| {
        Ok(Context {
            service: params.get_service()?.to_string()?,
            entrypoint: Some(params.get_entrypoint()?.to_string()?),
            props: None,
            actor: Some(params.get_actor_id()?.to_string()?),
        })
    })
}

/// Something on which events start.
struct Entry {
    handler: Arc<dyn Handler>,
    context: Context,
}

impl local::Handler for Entry {
    fn call(&mut self, call: Call) {
        if (call.interface, call.method) != (BOOTSTRAP, START_EVENT) {
            return call.unimplemented();
        }
        let cf = call.params().read::<workerd_bootstrap::start_event_params::Owned, _>(|params, _| {
            Ok(match params.has_cf_blob_json() {
                true => Some(Cf::new(params.get_cf_blob_json()?.to_string()?)),
                false => None,
            })
        });
        match cf {
            Ok(cf) => {
                let event = Dispatcher::new(self.handler.clone(), self.context.clone(), cf);
                let event = call.serve(event);
                call.respond(Body::stubs_only([event]));
            }
            Err(error) => call.fail(error.into_exception()),
        }
    }
}
