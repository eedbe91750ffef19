use std::fmt;
use std::future::Future;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use serde_json::Value;

use crate::client::body::Body;
use crate::client::rpc::{Path, Thrown};
use crate::client::websocket::WebSocket;
use crate::wire::v8::JsValue;

/// What an event was started on, as its caller asked for it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    /// The service that was asked for.
    pub service: String,
    /// The entrypoint, or the class of an actor; `None` is the default one.
    pub entrypoint: Option<String>,
    /// What a worker would find as `ctx.props`.
    pub props: Option<Value>,
    /// The id of the actor, if one was asked for.
    pub actor: Option<String>,
}

/// What is behind a debug port of ours: it takes the events that workers start there.
///
/// The work for an event is dropped when its caller gives it up.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. A [`Cf`](crate::client::Cf) among its extensions is what its caller said of it. Its body is
    /// read as it comes; what is not read of it, the caller does not send.
    fn fetch(&self, request: Request<Body>, context: Context) -> BoxFuture<'_, Result<Reply, Thrown>> {
        let _ = (request, context);
        async { Err(Thrown::type_error("The Rust object that was called takes no fetch().")) }.boxed()
    }

    /// Answers a call of a method.
    fn call(
        &self,
        method: Path,
        args: Vec<JsValue>,
        context: Context,
    ) -> BoxFuture<'_, Result<JsValue, Thrown>> {
        let _ = (args, context);
        async move { Err(Thrown::no_method(&method)) }.boxed()
    }

    /// Answers with a property.
    fn get(&self, property: Path, context: Context) -> BoxFuture<'_, Result<JsValue, Thrown>> {
        let _ = context;
        async move { Err(Thrown::no_method(&property)) }.boxed()
    }
}

/// What a handler answers a request.
pub enum Reply {
    /// An ordinary answer.
    Response(Response<Body>),
    /// A WebSocket: its head, and what serves it until it ends.
    WebSocket(Response<()>, Serving),
}

type Serving = Box<dyn FnOnce(WebSocket) -> BoxFuture<'static, ()> + Send>;

impl Reply {
    /// Opens a WebSocket, which a worker has to have asked for. It ends when `serve` does.
    ///
    /// # Examples
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use jackfield::client::serve::Reply;
    ///
    /// // An echo. It closes as the worker does.
    /// let reply = Reply::websocket(|mut socket| async move {
    ///     while let Some(Ok(message)) = socket.next().await {
    ///         if socket.send(message).await.is_err() {
    ///             break;
    ///         }
    ///     }
    /// });
    /// # assert!(matches!(reply, Reply::WebSocket(..)));
    /// ```
    pub fn websocket<F>(serve: impl FnOnce(WebSocket) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Reply::WebSocket(Response::new(()), Box::new(|socket| serve(socket).boxed()))
    }
}

impl From<Response<Body>> for Reply {
    fn from(response: Response<Body>) -> Self {
        Reply::Response(response)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Response(response) => response.fmt(f),
            Reply::WebSocket(head, _) => write!(f, "WebSocket({:?})", head.headers()),
        }
    }
}

/// A handler that only answers requests, by a function.
///
/// # Examples
/// ```
/// use http::{Request, Response};
/// use jackfield::client::serve::fetch_with;
/// use jackfield::client::{Body, Thrown};
///
/// let hello = fetch_with(|request: Request<Body>| async move {
///     let name = request.uri().query().ok_or_else(|| Thrown::type_error("the name is missing"))?;
///     Ok(Response::new(Body::from(format!("hello {name}"))))
/// });
/// # let _: &dyn jackfield::client::serve::Handler = &hello;
/// ```
pub fn fetch_with<A, F, R>(answer: A) -> impl Handler
where
    A: Fn(Request<Body>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<R, Thrown>> + Send + 'static,
    R: Into<Reply>,
{
    Fetch(answer)
}

struct Fetch<A>(A);

impl<A, F, R> Handler for Fetch<A>
where
    A: Fn(Request<Body>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<R, Thrown>> + Send + 'static,
    R: Into<Reply>,
{
    fn fetch(&self, request: Request<Body>, _: Context) -> BoxFuture<'_, Result<Reply, Thrown>> {
        let answer = (self.0)(request);
        async { answer.await.map(Into::into) }.boxed()
    }
}
