use std::future::Future;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::path::Path;
use super::stub::Stub;
use super::thrown::Thrown;
use crate::wire::v8::{External, ExternalKind, JsValue, View};

/// An object of this process that workers call: what JavaScript calls an `RpcTarget`.
///
/// Calls begin in the order in which they arrive, and may go on side by side. Their futures are dropped when the
/// caller does not want the answer any more. They begin on the task of the connection, which must not be blocked. The
/// object is dropped when nobody refers to it any more.
///
/// ```
/// use jackfield::client::{Path, Target, Thrown, object};
/// use jackfield::wire::v8::JsValue;
///
/// struct Doubler;
///
/// impl Target for Doubler {
///     async fn call(&self, method: Path, args: Vec<JsValue>) -> Result<JsValue, Thrown> {
///         match (method.names(), &args[..]) {
///             ([name], [number]) if name == "double" => {
///                 let number = number.as_f64().ok_or_else(|| Thrown::type_error("double a number"))?;
///                 Ok((2.0 * number).into())
///             }
///             _ => Err(Thrown::no_method(&method)),
///         }
///     }
/// }
///
/// let _argument: JsValue = object(Doubler);
/// ```
pub trait Target: Send + Sync + 'static {
    /// Answers a call of the method at this path; of the object itself, if the path is empty.
    fn call(&self, method: Path, args: Vec<JsValue>) -> impl Future<Output = Result<JsValue, Thrown>> + Send;

    /// Answers with the property at this path.
    fn get(&self, property: Path) -> impl Future<Output = Result<JsValue, Thrown>> + Send {
        let missing = Thrown::no_method(&property);
        async { Err(missing) }
    }
}

impl Thrown {
    /// What a worker says of a method or a property that its class does not have.
    pub fn no_method(path: &Path) -> Self {
        Thrown::type_error(format_args!("The RPC receiver does not implement the method \"{path}\"."))
    }
}

/// A value that stands for an object of ours: whoever gets it can call it.
pub fn object(target: impl Target) -> JsValue {
    Object::new(target).into()
}

/// A value that stands for a function of ours: whoever gets it can call it.
///
/// ```
/// use jackfield::client::{Thrown, function};
/// use jackfield::wire::v8::JsValue;
///
/// let _argument: JsValue = function(|args| async move {
///     let name = args.first().and_then(JsValue::as_str).ok_or_else(|| Thrown::type_error("a name, please"))?;
///     Ok(format!("hello {name}").into())
/// });
/// ```
pub fn function<F, R>(function: F) -> JsValue
where
    F: Fn(Vec<JsValue>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<JsValue, Thrown>> + Send + 'static,
{
    object(Function(function))
}

struct Function<F>(F);

impl<F, R> Target for Function<F>
where
    F: Fn(Vec<JsValue>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<JsValue, Thrown>> + Send + 'static,
{
    async fn call(&self, path: Path, args: Vec<JsValue>) -> Result<JsValue, Thrown> {
        match path.names() {
            [] => (self.0)(args).await,
            _ => Err(Thrown::no_method(&path)),
        }
    }
}

/// What there is to do with an object.
pub(super) enum Request {
    Call(Vec<JsValue>),
    Get,
}

type Answer = BoxFuture<'static, Result<JsValue, Thrown>>;

/// Any [`Target`].
#[derive(Clone)]
pub(in crate::client) struct Object(Arc<dyn Erased>);

trait Erased: Send + Sync {
    fn request(self: Arc<Self>, path: Path, request: Request) -> Answer;
}

impl<T: Target> Erased for T {
    fn request(self: Arc<Self>, path: Path, request: Request) -> Answer {
        async move {
            match request {
                Request::Call(args) => self.call(path, args).await,
                Request::Get => self.get(path).await,
            }
        }
        .boxed()
    }
}

impl Object {
    pub fn new(target: impl Target) -> Self {
        Object(Arc::new(target))
    }

    pub fn call(&self, method: Path, args: Vec<JsValue>) -> Answer {
        self.request(method, Request::Call(args))
    }

    pub fn get(&self, property: Path) -> Answer {
        self.request(property, Request::Get)
    }

    pub(super) fn request(&self, path: Path, request: Request) -> Answer {
        self.0.clone().request(path, request)
    }
}

impl From<Object> for JsValue {
    fn from(object: Object) -> Self {
        External::new(ExternalKind::Stub, Arc::new(object)).into()
    }
}

/// An answer, for calls on it that were sent before it was there.
pub(super) struct Answered(pub JsValue);

impl Answered {
    /// Goes as far as the names lead within the value.
    fn walk(&self, path: &Path) -> Result<(JsValue, Path), Thrown> {
        let mut value = self.0.clone();
        let mut names = path.names();
        while let [name, rest @ ..] = names {
            if value.as_external().is_some() {
                break;
            }
            // As in JavaScript, what is no property is none of the method's either.
            let own = matches!(value.view(), View::Object(_) | View::Array(_));
            let next = own.then(|| value.get(name)).flatten();
            value = next.ok_or_else(|| Thrown::no_method(path))?;
            names = rest;
        }
        Ok((value, Path::from(names)))
    }
}

impl Target for Answered {
    async fn call(&self, path: Path, args: Vec<JsValue>) -> Result<JsValue, Thrown> {
        let (callee, rest) = self.walk(&path)?;
        request(&callee, &path, rest, Request::Call(args)).await
    }

    async fn get(&self, path: Path) -> Result<JsValue, Thrown> {
        match self.walk(&path)? {
            (value, rest) if rest.names().is_empty() => Ok(value),
            (callee, rest) => request(&callee, &path, rest, Request::Get).await,
        }
    }
}

async fn request(callee: &JsValue, path: &Path, rest: Path, request: Request) -> Result<JsValue, Thrown> {
    if let Some(object) = callee.as_external().and_then(External::downcast_ref::<Object>) {
        return object.request(rest, request).await;
    }
    let Some(stub) = Stub::of(callee) else {
        return Err(Thrown::type_error(format_args!("\"{path}\" is not a function.")));
    };
    match request {
        Request::Call(args) => Target::call(&stub, rest, args).await,
        Request::Get => Target::get(&stub, rest).await,
    }
}
