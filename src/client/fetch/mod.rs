//! Requests, and what comes back.

mod answered;
mod cf;
mod context;
mod error;
mod exchange;
mod upload;

pub(super) use answered::Answered;
pub use cf::Cf;
pub(super) use context::{CONTEXT, START_RESPONSE, START_WEB_SOCKET};
pub use error::FetchError;

use http::header::{HeaderValue, UPGRADE};
use http::{Request, Response};

use super::body::Body;
use super::entrypoint::Entrypoint;
use super::websocket::WebSocket;

impl Entrypoint {
    /// Sends a request, whose URL is absolute, and waits for the head of its answer. Redirects come as the worker
    /// sends them. A [`Cf`] among the request's extensions is what the worker finds as `request.cf`; a phrase that is
    /// not the usual one of its status is among the answer's, as a [`hyper::ext::ReasonPhrase`].
    ///
    /// # Cancellation
    /// Dropping the future, or the body of the answer before its end, cancels the request: the worker is told.
    ///
    /// # Errors
    /// The worker failed, or could not be reached, before it answered: see [`FetchError`]. What happens after the head
    /// is an error of the answer's body.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(api: jackfield::client::Entrypoint) -> Result<(), Box<dyn std::error::Error>> {
    /// use jackfield::client::Cf;
    ///
    /// let request = http::Request::post("https://api.example/items")
    ///     .header("content-type", "application/json")
    ///     .extension(Cf::new(r#"{"country":"PT"}"#))
    ///     .body(r#"{"name":"jack"}"#.into())?;
    /// let answer = api.fetch(request).await?;
    /// assert_eq!(answer.status(), 201);
    /// # Ok(()) }
    /// ```
    pub async fn fetch(&self, request: Request<Body>) -> Result<Response<Body>, FetchError> {
        match self.send(request).await? {
            Answer::Response(response) => Ok(response),
            Answer::WebSocket(..) => Err(FetchError::WebSocket),
        }
    }

    /// Asks for a WebSocket. The header `upgrade` need not be there.
    ///
    /// # Cancellation
    /// Dropping the future, or the socket, aborts it: the worker is told.
    ///
    /// # Errors
    /// As [`Entrypoint::fetch`]; and the worker answered otherwise, which is [`FetchError::NoWebSocket`] with its
    /// answer.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(api: jackfield::client::Entrypoint) -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::{SinkExt, StreamExt};
    /// use jackfield::client::{Close, Message};
    ///
    /// let request = http::Request::get("https://api.example/chat").body(())?;
    /// let (_head, mut socket) = api.websocket(request).await?;
    /// socket.send(Message::Text("hello".into())).await?;
    /// while let Some(message) = socket.next().await {
    ///     match message? {
    ///         Message::Text(text) => println!("{text}"),
    ///         Message::Binary(bytes) => println!("{} bytes", bytes.len()),
    ///         Message::Close(_) => socket.close(Close::NORMAL, "bye").await?,
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn websocket(&self, request: Request<()>) -> Result<(Response<()>, WebSocket), FetchError> {
        let mut request = request.map(|()| Body::empty());
        request.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        match self.send(request).await? {
            Answer::WebSocket(head, socket) => Ok((head, socket)),
            Answer::Response(response) => Err(FetchError::NoWebSocket(Box::new(response))),
        }
    }

    /// Sends a request to which the worker may answer either way. It may open a WebSocket only if the request has the
    /// header `upgrade: websocket`.
    ///
    /// # Cancellation
    /// As [`Entrypoint::fetch`] and [`Entrypoint::websocket`].
    ///
    /// # Errors
    /// As [`Entrypoint::fetch`].
    pub async fn send(&self, request: Request<Body>) -> Result<Answer, FetchError> {
        exchange::exchange(self, request).await
    }
}

/// What a worker answers.
pub enum Answer {
    /// An ordinary answer.
    Response(Response<Body>),
    /// A WebSocket, and the head with which it was opened.
    WebSocket(Response<()>, WebSocket),
}
