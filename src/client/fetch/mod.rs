//! Requests, and what comes back.

mod answered;
mod cf;
mod context;
mod error;
mod exchange;
mod upload;

pub(super) use answered::Answered;
pub use cf::Cf;
pub use error::FetchError;

use http::{Request, Response};

use super::body::Body;
use super::entrypoint::Entrypoint;

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
        exchange::exchange(self, request).await
    }
}
