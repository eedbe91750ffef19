//! An object of ours, as what events of workers start on.

use capnp::traits::HasTypeId;

use super::ids::{DISPATCHER, JS_RPC_SESSION};
use super::serve::begin_session;
use super::target::{Object, Target};
use crate::net::local::{Body, Call, Handler, Peer, Stub};
use crate::schema::worker_interface_capnp::workerd_bootstrap;
use crate::wire::exception::Exception;

const BOOTSTRAP: u64 = workerd_bootstrap::Client::TYPE_ID;
const START_EVENT: u16 = 0;

/// Makes an object of ours what events of workers start on: a `WorkerdBootstrap`, which is what a far side is given
/// with [`Peer::connect`](crate::net::local::Peer::connect). It answers calls of JavaScript RPC; other events fail.
pub fn service(peer: &Peer, target: impl Target) -> Stub {
    peer.serve(Bootstrap(Object::new(target)))
}

struct Bootstrap(Object);

impl Handler for Bootstrap {
    fn call(&mut self, call: Call) {
        match (call.interface, call.method) {
            (BOOTSTRAP, START_EVENT) => {
                let dispatcher = call.serve(Dispatcher(Some(self.0.clone())));
                call.respond(Body::stubs_only([dispatcher]));
            }
            _ => call.unimplemented(),
        }
    }
}

/// One event.
struct Dispatcher(Option<Object>);

impl Handler for Dispatcher {
    fn call(&mut self, call: Call) {
        match (call.interface, call.method, self.0.take()) {
            (DISPATCHER, _, None) => {
                call.fail(Exception::failed("EventDispatcher can only be used for one request."));
            }
            (DISPATCHER, JS_RPC_SESSION, Some(object)) => begin_session(call, object),
            (DISPATCHER, _, Some(_)) => {
                call.fail(Exception::failed(
                    "The target of this link is a Rust object that answers RPC calls and no other events.",
                ));
            }
            _ => call.unimplemented(),
        }
    }
}
