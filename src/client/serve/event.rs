use std::sync::Arc;

use capnp::traits::HasTypeId;

use super::handler::{Context, Handler};
use super::http::Service;
use crate::client::fetch::Cf;
use crate::client::rpc::{Object, Path, Target, Thrown, begin_session};
use crate::net::local::{self, Body, Call};
use crate::schema::worker_interface_capnp::event_dispatcher;
use crate::wire::exception::Exception;
use crate::wire::v8::JsValue;

const DISPATCHER: u64 = event_dispatcher::Client::TYPE_ID;
const GET_HTTP_SERVICE: u16 = 0;
const JS_RPC_SESSION: u16 = 9;

/// An event that takes one use.
pub(super) struct Dispatcher {
    /// Gone when it was used.
    event: Option<Event>,
}

/// What an event is made of.
pub(super) struct Event {
    pub handler: Arc<dyn Handler>,
    pub context: Context,
    pub cf: Option<Cf>,
}

impl Dispatcher {
    pub fn new(handler: Arc<dyn Handler>, context: Context, cf: Option<Cf>) -> Self {
        Dispatcher { event: Some(Event { handler, context, cf }) }
    }
}

impl local::Handler for Dispatcher {
    fn call(&mut self, call: Call) {
        if call.interface != DISPATCHER || !matches!(call.method, GET_HTTP_SERVICE | JS_RPC_SESSION) {
            return call.unimplemented();
        }
        let Some(event) = self.event.take() else {
            return call.fail(Exception::failed("EventDispatcher can only be used for one request."));
        };
        match call.method {
            GET_HTTP_SERVICE => {
                let service = call.serve(Service::new(event));
                call.respond(Body::stubs_only([service]));
            }
            _ => begin_session(call, Object::new(event)),
        }
    }
}

/// The main object of its RPC session.
impl Target for Event {
    async fn call(&self, method: Path, args: Vec<JsValue>) -> Result<JsValue, Thrown> {
        self.handler.call(method, args, self.context.clone()).await
    }

    async fn get(&self, property: Path) -> Result<JsValue, Thrown> {
        self.handler.get(property, self.context.clone()).await
    }
}
