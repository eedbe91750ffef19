//! A fake at work.

use std::fmt::Write as _;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};

use super::Fake;
use super::answer::{Canned, Planned};
use crate::client::body::Body;
use crate::client::rpc::{Path, Thrown, function};
use crate::client::serve::{Context, Handler, Reply};
use crate::session::Nearest;
use crate::wire::v8::JsValue;

impl<T: Clone + Send + Sync> Planned<T> {
    async fn bring(self) -> Result<T, Thrown> {
        if self.delay > Duration::ZERO {
            tokio::time::sleep(self.delay).await;
        }
        self.outcome
    }
}

impl Handler for Fake {
    fn fetch(&self, request: Request<Body>, _: Context) -> BoxFuture<'_, Result<Reply, Thrown>> {
        let fitting = self.routes.iter().filter(|(route, _)| route.fits(request.method(), request.uri()));
        let planned = match fitting.max_by_key(|(route, _)| route.precision()) {
            Some((_, planned)) => planned.clone(),
            None => self.nothing_for(&request),
        };
        async { Ok(planned.bring().await?.into()) }.boxed()
    }

    fn call(&self, method: Path, _: Vec<JsValue>, _: Context) -> BoxFuture<'_, Result<JsValue, Thrown>> {
        let name = method.to_string();
        let planned = match self.methods.get(&name) {
            Some(planned) => planned.clone(),
            None => Planned { delay: Duration::ZERO, outcome: Err(self.no_method(&name)) },
        };
        planned.bring().boxed()
    }

    fn get(&self, property: Path, _: Context) -> BoxFuture<'_, Result<JsValue, Thrown>> {
        let name = property.to_string();
        if let Some(planned) = self.methods.get(&name) {
            let planned = planned.clone();
            return async { Ok(function(move |_| planned.clone().bring())) }.boxed();
        }
        let names = property.names();
        // The longest name that is known; the rest is a way within its value.
        let found = (1..=names.len()).rev().find_map(|length| {
            let (name, rest) = names.split_at(length);
            Some((self.properties.get(&name.join("."))?.clone(), rest.to_vec()))
        });
        let Some((planned, rest)) = found else {
            let missing = self.no_method(&name);
            return async { Err(missing) }.boxed();
        };
        async move {
            let value = planned.bring().await?;
            let value = rest.iter().try_fold(value, |value, name| value.get(name));
            value.ok_or_else(|| Thrown::no_method(&property))
        }
        .boxed()
    }
}

impl Fake {
    /// An answer rather than an error: that is seen over plain HTTP too, where an error is but a 500.
    fn nothing_for(&self, request: &Request<Body>) -> Planned<Canned> {
        let asked = format!("{} {}", request.method(), request.uri().path());
        let routes: Vec<_> = self.routes.iter().map(|(route, _)| route.to_string()).collect();
        let mut text = format!("The fake {} has no answer to {asked}. ", self.file.display());
        let _ = match routes.is_empty() {
            true => writeln!(text, "It answers no fetch() at all."),
            false => writeln!(text, "It answers {}{}", routes.join(", "), nearest(&asked, &routes)),
        };
        let mut canned =
            Canned { status: StatusCode::NOT_IMPLEMENTED, body: text.into(), ..Canned::default() };
        canned.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
        Planned { delay: Duration::ZERO, outcome: Ok(canned) }
    }

    /// The error that a worker throws, and what there is.
    fn no_method(&self, name: &str) -> Thrown {
        if self.properties.contains_key(name) {
            return Thrown::type_error(format_args!("\"{name}\" is not a function."));
        }
        let known: Vec<_> = self.methods.keys().chain(self.properties.keys()).collect();
        let has = match known.is_empty() {
            true => "no methods and no properties.".to_owned(),
            false => {
                let methods = self.methods.keys().map(|name| format!("{name}()"));
                let all: Vec<_> = methods.chain(self.properties.keys().cloned()).collect();
                all.join(", ") + &nearest(name, &known)
            }
        };
        let file = self.file.display();
        Thrown::type_error(format_args!(
            "The RPC receiver does not implement the method \"{name}\". The fake {file} has {has}"
        ))
    }
}

/// The end of a sentence.
fn nearest<T: std::fmt::Display>(wanted: &str, known: &[T]) -> String {
    match Nearest::of(wanted, known) {
        Nearest(None) => ".".to_owned(),
        like => like.to_string(),
    }
}

impl From<Canned> for Reply {
    fn from(Canned { status, headers, body }: Canned) -> Self {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.into()
    }
}
