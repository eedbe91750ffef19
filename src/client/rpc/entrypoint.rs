use futures::FutureExt;

use super::error::CallError;
use super::ids::{DISPATCHER, JS_RPC_SESSION};
use super::path::Path;
use super::promise::{Callee, Operation, Promise};
use super::scope::Tie;
use crate::client::entrypoint::Entrypoint;
use crate::net::local::Body;
use crate::wire::v8::JsValue;

impl Entrypoint {
    /// Calls a method of the entrypoint, or of the Durable Object. Each call is an event of its own.
    ///
    /// The call sets off at once; for what the [`Promise`] is good for beside its value, see there.
    ///
    /// # Cancellation
    /// Dropping the promise before the value is there cancels the call: the worker is told, and stops.
    ///
    /// # Errors
    /// The promise fails if the worker throws or cannot be reached: see [`CallError`].
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(api: jackfield::client::Entrypoint) -> Result<(), Box<dyn std::error::Error>> {
    /// let sum = api.call("add", [1.into(), 2.into()]).await?;
    /// assert_eq!(sum.as_f64(), Some(3.0));
    /// # Ok(()) }
    /// ```
    pub fn call(&self, method: impl Into<Path>, args: impl IntoIterator<Item = JsValue>) -> Promise {
        self.rpc(method.into(), Operation::call(args))
    }

    /// Gets a property of the entrypoint: of its class, that is, and not an own field. Each is an event of its own.
    ///
    /// # Cancellation
    /// As [`Entrypoint::call`].
    ///
    /// # Errors
    /// As [`Entrypoint::call`].
    pub fn get(&self, property: impl Into<Path>) -> Promise {
        self.rpc(property.into(), Operation::Get)
    }

    fn rpc(&self, path: Path, operation: Operation) -> Promise {
        let entrypoint = self.clone();
        let begun = async move { begin(entrypoint).await }.boxed();
        Promise::begin(self.session().rpc().clone(), begun, path, operation)
    }
}

/// Begins an event. Nothing is waited for but room: all goes in one flight.
async fn begin(entrypoint: Entrypoint) -> Result<Callee, CallError> {
    let event = entrypoint.event().await?;
    let begun = event.dispatcher().start(DISPATCHER, JS_RPC_SESSION, Body::empty()).await?;
    let (cap, session) = (begun.pipeline(&[0]), begun.pipeline(&[1]));
    Ok(Callee { cap, tie: Tie::asking(entrypoint.session().rpc().clone(), session, event) })
}
