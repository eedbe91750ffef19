//! Objects of ours, called by workers.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::host::Host;
use super::ids::{CALL, EXTERNAL_PUSHER, PUSH_BYTE_STREAM, TARGET};
use super::incoming::externals;
use super::outgoing::{Outgoing, Way, with_value};
use super::path::Path;
use super::push;
use super::scope::Tie;
use super::target::{Answered, Object, Request};
use super::thrown::Thrown;
use crate::net::local::{Body, Call, Handler, RpcError, Stub};
use crate::schema::worker_interface_capnp::event_dispatcher;
use crate::schema::worker_interface_capnp::js_rpc_target::{call_params, call_results};
use crate::wire::exception::Exception;
use crate::wire::v8::{JsValue, View, deserialize};

/// An object of ours, as far sides see it.
pub(super) struct Served {
    object: Object,
    tie: Tie,
}

impl Served {
    pub fn new(object: Object, tie: Tie) -> Self {
        Served { object, tie }
    }
}

impl Handler for Served {
    fn call(&mut self, call: Call) {
        match (call.interface, call.method) {
            (TARGET, CALL) => answer(&self.object, self.tie.clone(), call),
            (EXTERNAL_PUSHER, PUSH_BYTE_STREAM) => push::push(self.tie.host().claims(), call),
            _ => call.unimplemented(),
        }
    }
}

/// What a call asks for.
struct Asked {
    path: Path,
    request: Request,
    /// Where streams of the answer go.
    pusher: Option<Stub>,
}

/// Begins to answer at once, so that calls begin in their order, and goes on by itself.
fn answer(object: &Object, tie: Tie, mut call: Call) {
    let Asked { path, request, pusher } = match read(&mut call, &tie) {
        Ok(asked) => asked,
        Err(error) => return call.fail(error),
    };
    let canceled = call.canceled().clone();
    let work = object.request(path, request);
    let answer = async move {
        let answered = tokio::select! {
            biased;
            () = canceled.cancelled() => return,
            answered = AssertUnwindSafe(work).catch_unwind() => answered,
        };
        match answered.unwrap_or_else(|panic| Err(panicked(&*panic))) {
            Ok(value) => respond(call, &value, tie, pusher).await,
            Err(thrown) => call.fail(thrown.to_exception()),
        }
    };
    go_on(answer.boxed());
}

fn go_on(mut answer: BoxFuture<'static, ()>) {
    let begun = answer.poll_unpin(&mut Context::from_waker(Waker::noop()));
    if let (Poll::Pending, Ok(runtime)) = (begun, tokio::runtime::Handle::try_current()) {
        // Ends with the call: when it is answered or cancelled, or its connection ends.
        drop(runtime.spawn(answer));
    }
}

pub(in crate::client) fn panicked(panic: &(dyn Any + Send)) -> Thrown {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Thrown::error(format_args!("The Rust object that was called has panicked: {}", text.unwrap_or("unknown")))
}

fn read(call: &mut Call, tie: &Tie) -> Result<Asked, Exception> {
    let unreadable = |error: RpcError| error.into_exception();
    let params = call.take_params();
    let read = params.read::<call_params::Owned, _>(|params, caps| {
        use call_params::{Which, operation, results_stream_handler};
        let path = match params.which()? {
            Which::MethodName(name) => Path::from(name?.to_str()?),
            Which::MethodPath(names) => names?
                .iter()
                .map(|name| Ok(name?.to_string()?))
                .collect::<capnp::Result<Vec<String>>>()?
                .into(),
        };
        let (is_call, args) = match params.get_operation().which()? {
            operation::Which::CallWithArgs(args) if params.get_operation().has_call_with_args() => {
                let args = args?;
                let value = deserialize(args.get_v8_serialized()?, externals(args, caps, tie)?);
                (true, Some(value))
            }
            operation::Which::CallWithArgs(_) => (true, None),
            operation::Which::GetProperty(()) => (false, None),
        };
        let pusher = match params.get_results_stream_handler().which()? {
            results_stream_handler::Which::ExternalPusher(pusher) => {
                pusher.ok().map(|pusher| caps.stub(&pusher)).transpose()?
            }
            results_stream_handler::Which::Obsolete4(_) => None,
        };
        Ok((path, is_call, args, pusher))
    });
    let (path, is_call, args, pusher) = read.map_err(unreadable)?;
    let args = args.transpose().map_err(|error| {
        let text = format!("The Rust object that was called cannot read the arguments: {error}.");
        Thrown::type_error(text).to_exception()
    })?;
    let request = match is_call {
        true => Request::Call(args.map_or_else(Vec::new, |args| elements(&args))),
        false => Request::Get,
    };
    Ok(Asked { path, request, pusher })
}

fn elements(args: &JsValue) -> Vec<JsValue> {
    match args.view() {
        View::Array(array) => {
            (0..array.len()).map(|index| array.get(index).map_or(JsValue::UNDEFINED, Into::into)).collect()
        }
        _ => Vec::new(),
    }
}

async fn respond(call: Call, value: &JsValue, tie: Tie, pusher: Option<Stub>) {
    let way = Way { tie: tie.clone(), pusher: pusher.as_ref() };
    let mut outgoing = match Outgoing::of(value, &way).await {
        Ok(outgoing) => outgoing,
        Err(error) => {
            let text =
                format_args!("The Rust object that was called answers with what cannot be sent: {error}");
            return call.fail(Thrown::dom_exception("DataCloneError", text).to_exception());
        }
    };
    tie.keep(std::mem::take(&mut outgoing.pumps));
    let pipeline = match (value.view(), outgoing.single_target()) {
        (View::External(_), Some(target)) => Some(target.clone()),
        (View::Object(_) | View::Array(_), _) => {
            Some(call.serve(Served::new(Object::new(Answered(value.clone())), tie)))
        }
        // Nothing can be called on anything else.
        _ => None,
    };
    let body = with_value::<call_results::Owned>(Some(&outgoing), 0, |mut results, caps| {
        outgoing.fill(results.reborrow().init_result(), caps);
        if let Some(pipeline) = &pipeline {
            results.set_call_pipeline(caps.client(pipeline));
        }
        Ok(())
    });
    match body {
        Ok(body) => call.respond(body),
        Err(error) => call.fail(error.into_exception()),
    }
}

/// Answers `jsRpcSession`: with a session whose calls go to an object of ours.
pub(in crate::client) fn begin_session(call: Call, object: Object) {
    let begun = Tie::serving(Host::of_call(&call)).and_then(|(tie, session)| {
        let top = call.serve(Served::new(object, tie));
        Body::build::<event_dispatcher::js_rpc_session_results::Owned>(|mut results, caps| {
            results.set_top_level(caps.client(&top));
            results.set_session(caps.client(&session));
            Ok(())
        })
    });
    match begun {
        Ok(body) => call.respond(body),
        Err(error) => call.fail(error.into_exception()),
    }
}
