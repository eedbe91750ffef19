use std::fmt;
use std::sync::Arc;

use super::path::Path;
use super::promise::{Callee, Operation, Promise};
use super::scope::Tie;
use super::target::Target;
use super::thrown::Thrown;
use crate::net::local;
use crate::wire::v8::{External, ExternalKind, JsValue};

/// An object or a function of a far side: what JavaScript calls an `RpcStub`.
///
/// Clones share it. It can be put into a value and so passed on, to its own process or to any other. When the last
/// clone and the last value with it are gone, the far side disposes of it: there, `Symbol.dispose` runs.
///
/// ```no_run
/// # async fn example(api: jackfield::client::Entrypoint) -> Result<(), Box<dyn std::error::Error>> {
/// use jackfield::client::Stub;
///
/// let counter = Stub::of(&api.call("makeCounter", [10.into()]).await?).ok_or("no counter")?;
/// counter.call("increment", []).await?;
/// assert_eq!(counter.get("value").await?, 11.into());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Stub(Arc<Inner>);

struct Inner {
    /// Given back before the session.
    cap: local::Stub,
    tie: Tie,
}

impl Stub {
    pub(super) fn new(cap: local::Stub, tie: Tie) -> Self {
        Stub(Arc::new(Inner { cap, tie }))
    }

    /// The stub that a value is. `None` if it is none, or one of an object of ours that was sent nowhere.
    pub fn of(value: &JsValue) -> Option<Self> {
        Stub::of_external(value.as_external()?)
    }

    pub(super) fn of_external(external: &External) -> Option<Self> {
        external.downcast_ref::<Stub>().cloned()
    }

    pub(super) fn capability(&self) -> &local::Stub {
        &self.0.cap
    }

    /// Calls a method: see [`Promise`]. No names at all call the function itself.
    pub fn call(&self, method: impl Into<Path>, args: impl IntoIterator<Item = JsValue>) -> Promise {
        self.begin(method.into(), Operation::call(args))
    }

    /// Calls the function that it stands for.
    pub fn invoke(&self, args: impl IntoIterator<Item = JsValue>) -> Promise {
        self.call(Path::default(), args)
    }

    /// Gets a property.
    pub fn get(&self, property: impl Into<Path>) -> Promise {
        self.begin(property.into(), Operation::Get)
    }

    fn begin(&self, path: Path, operation: Operation) -> Promise {
        let stub = self.clone();
        let host = self.0.tie.host().clone();
        let callee = async move { Ok(Callee { cap: stub.0.cap.clone(), tie: stub.0.tie.clone() }) };
        Promise::begin(host, callee, path, operation)
    }
}

/// For passing it on to a process that cannot reach it by itself.
impl Target for Stub {
    async fn call(&self, path: Path, args: Vec<JsValue>) -> Result<JsValue, Thrown> {
        Ok(Stub::call(self, path, args).await?)
    }

    async fn get(&self, path: Path) -> Result<JsValue, Thrown> {
        Ok(Stub::get(self, path).await?)
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RpcStub")
    }
}

impl From<Stub> for JsValue {
    fn from(stub: Stub) -> Self {
        External::new(ExternalKind::Stub, Arc::new(stub)).into()
    }
}
