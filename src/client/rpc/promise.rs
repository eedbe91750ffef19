use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::task::coop::unconstrained;
use tokio_util::task::AbortOnDropHandle;

use super::error::CallError;
use super::host::Host;
use super::ids::{CALL, TARGET};
use super::incoming::externals;
use super::outgoing::{Outgoing, Way, with_value};
use super::path::Path;
use super::scope::Tie;
use crate::net::local::{self, Payload, Pending, RpcError, Span};
use crate::schema::worker_interface_capnp::js_rpc_target::{call_params, call_results};
use crate::wire::v8::{JsValue, deserialize};

/// A call that is under way: a future of its value, and itself something to call.
///
/// The call sets off at once, and calls on one object arrive in the order in which they are made. If much is under way
/// it waits for room, in this order too. Calls on a promise go along with it and wait for no
/// round trip: they reach the object that it will bring.
///
/// The value's stubs and streams are live, see [`Stub`](super::Stub) and [`ReadableStream`](super::ReadableStream).
/// An object without stubs may have a disposer: that runs when the promise is dropped, which is at once unless it is
/// awaited by reference.
///
/// # Cancellation
/// Dropping it before the value is there cancels the call: the worker is told, and stops. Streams that were sent
/// along break off. A call on the promise that is still wanted keeps it going.
///
/// # Errors
/// See [`CallError`].
///
/// # Examples
/// ```no_run
/// # async fn example(api: jackfield::client::Entrypoint) -> Result<(), Box<dyn std::error::Error>> {
/// // One flight for both: `total` is asked of the cart before there is one.
/// let cart = api.call("cart", ["alice".into()]);
/// let total = cart.call(["prices", "total"], []).await?;
/// # Ok(()) }
/// ```
#[must_use = "dropping it cancels the call"]
pub struct Promise {
    state: State,
    host: Host,
    /// Goes on for a call that waits for room: others behind it would wait for its being polled.
    _waiting: Option<AbortOnDropHandle<()>>,
}

type Starting = Shared<BoxFuture<'static, Result<Arc<Started>, CallError>>>;

enum State {
    Starting(Starting),
    Started(Arc<Started>),
    Failed(CallError),
}

/// What to do with what the path leads to.
pub(super) enum Operation {
    Call(Vec<JsValue>),
    Get,
}

impl Operation {
    pub fn call(args: impl IntoIterator<Item = JsValue>) -> Self {
        Operation::Call(args.into_iter().collect())
    }
}

/// Whom to call.
pub(super) struct Callee {
    pub cap: local::Stub,
    pub tie: Tie,
}

/// A call that was sent. Fields are dropped in this order: the call before its session.
struct Started {
    answer: Mutex<Answer>,
    pumps: Mutex<Vec<AbortOnDropHandle<()>>>,
    /// Capabilities were sent along.
    carries: bool,
    callee: Callee,
}

enum Answer {
    Waiting(Pending),
    Value(JsValue, Option<local::Stub>),
    Failed(CallError),
}

impl Promise {
    /// Sets a call off. `callee` is waited for; it says where to.
    pub(super) fn begin(
        host: Host,
        callee: impl Future<Output = Result<Callee, CallError>> + Send + 'static,
        path: Path,
        operation: Operation,
    ) -> Self {
        let its = host.clone();
        let start = async move { Ok(Arc::new(start(its, callee.await?, path, operation).await?)) };
        let mut promise = Promise { state: State::Starting(start.boxed().shared()), host, _waiting: None };
        // There is nearly always room: then it sets off here, also if the caller's task has done much already.
        let first = std::pin::pin!(unconstrained(poll_fn(|cx| promise.poll_started(cx).map(drop))));
        let _ = first.poll(&mut Context::from_waker(Waker::noop()));
        if let (State::Starting(start), Some(runtime)) = (&promise.state, promise.host.runtime()) {
            let goes_on = start.clone().map(drop);
            promise._waiting = Some(AbortOnDropHandle::new(runtime.spawn(goes_on)));
        }
        promise
    }

    /// Calls a method of what the call will bring: see [`Promise`].
    pub fn call(&self, method: impl Into<Path>, args: impl IntoIterator<Item = JsValue>) -> Promise {
        self.follow(method.into(), Operation::call(args))
    }

    /// Calls the function that the call will bring.
    pub fn invoke(&self, args: impl IntoIterator<Item = JsValue>) -> Promise {
        self.call(Path::default(), args)
    }

    /// Gets a property of what the call will bring.
    pub fn get(&self, property: impl Into<Path>) -> Promise {
        self.follow(property.into(), Operation::Get)
    }

    fn follow(&self, path: Path, operation: Operation) -> Promise {
        let before = match &self.state {
            State::Starting(start) => Ok(start.clone()),
            State::Started(started) => Err(started.follow()),
            State::Failed(error) => Err(Err(error.clone())),
        };
        let callee = async move {
            match before {
                Ok(start) => start.await?.follow(),
                Err(callee) => callee,
            }
        };
        Promise::begin(self.host.clone(), callee, path, operation)
    }

    fn poll_started(&mut self, cx: &mut Context<'_>) -> Poll<Result<&Started, CallError>> {
        if let State::Starting(start) = &mut self.state {
            self.state = match ready!(start.poll_unpin(cx)) {
                Ok(started) => State::Started(started),
                Err(error) => State::Failed(error),
            };
        }
        match &self.state {
            State::Started(started) => Poll::Ready(Ok(started)),
            State::Failed(error) => Poll::Ready(Err(error.clone())),
            State::Starting(_) => Poll::Pending,
        }
    }
}

impl Future for Promise {
    type Output = Result<JsValue, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(self.get_mut().poll_started(cx))?.poll(cx)
    }
}

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Promise")
    }
}

async fn start(host: Host, callee: Callee, path: Path, operation: Operation) -> Result<Started, CallError> {
    let mut args = match &operation {
        Operation::Call(args) if !args.is_empty() => {
            let way = Way { tie: callee.tie.loose(), pusher: Some(&callee.cap) };
            Some(Outgoing::of(&JsValue::array(args.iter().cloned()), &way).await?)
        }
        _ => None,
    };
    let pumps = args.as_mut().map(|args| std::mem::take(&mut args.pumps)).unwrap_or_default();
    let body = with_value::<call_params::Owned>(args.as_ref(), path.bytes(), |mut params, caps| {
        match path.names() {
            [name] => params.set_method_name(name),
            names => {
                let mut list = params.reborrow().init_method_path(names.len() as u32);
                for (index, name) in (0..).zip(names) {
                    list.set(index, name);
                }
            }
        }
        let mut to_do = params.reborrow().init_operation();
        match (&operation, &args) {
            (Operation::Get, _) => to_do.set_get_property(()),
            (Operation::Call(_), Some(args)) => args.fill(to_do.init_call_with_args(), caps),
            // A call is what it is anyway, and no arguments are said by their absence.
            (Operation::Call(_), None) => {}
        }
        params.init_results_stream_handler().set_external_pusher(caps.client(host.pusher()));
        Ok(())
    })?;
    let carries = args.is_some_and(|args| args.carries());
    let pending = callee.cap.start(TARGET, CALL, body).await?;
    Ok(Started { answer: Mutex::new(Answer::Waiting(pending)), pumps: Mutex::new(pumps), carries, callee })
}

impl Started {
    fn answer(&self) -> MutexGuard<'_, Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it will bring, or has brought.
    fn follow(&self) -> Result<Callee, CallError> {
        let cap = match &*self.answer() {
            Answer::Waiting(pending) => pending.pipeline(&[1]),
            Answer::Value(_, Some(cap)) => cap.clone(),
            Answer::Value(_, None) => return Err(CallError::NoObject),
            Answer::Failed(error) => return Err(error.clone()),
        };
        Ok(Callee { cap, tie: self.callee.tie.clone() })
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<JsValue, CallError>> {
        let mut answer = self.answer();
        if let Answer::Waiting(pending) = &mut *answer {
            let payload = ready!(Pin::new(pending).poll(cx));
            *answer = match self.read(payload) {
                Ok((value, pipeline)) => Answer::Value(value, pipeline),
                Err(error) => Answer::Failed(error),
            };
        }
        Poll::Ready(match &*answer {
            Answer::Value(value, _) => Ok(value.clone()),
            Answer::Failed(error) => Err(error.clone()),
            // It was replaced above.
            Answer::Waiting(_) => return Poll::Pending,
        })
    }

    fn read(&self, payload: Result<Payload, RpcError>) -> Result<(JsValue, Option<local::Stub>), CallError> {
        let tie = &self.callee.tie;
        let mut pumps = self.pumps.lock().unwrap_or_else(PoisonError::into_inner);
        // What was sent flows on, whatever the answer is: the worker may have put it aside.
        tie.keep(std::mem::take(&mut *pumps));
        if self.carries {
            tie.carries();
        }
        let payload = payload?;
        let (externals, pipeline, disposer) = payload.read::<call_results::Owned, _>(|results, caps| {
            let externals = externals(results.get_result()?, caps, tie)?;
            let pipeline = match results.has_call_pipeline() {
                true => Some(caps.stub(&results.get_call_pipeline()?)?),
                false => None,
            };
            Ok((externals, pipeline, results.get_has_disposer()))
        })?;
        if disposer || !externals.is_empty() {
            tie.carries();
        }
        let bytes = payload.into_bytes::<call_results::Owned>(|results| {
            Ok(Span::of(results.get_result()?.get_v8_serialized()?))
        })?;
        let value = deserialize(&bytes, externals).map_err(CallError::Answer)?;
        Ok((value, pipeline))
    }
}
