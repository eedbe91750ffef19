//! From a request to the operator and back.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body, Frame};
use hyper::header::{ALLOW, CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::operator::Operator;
use super::problem::{Code, Problem, Refusal};
use super::shape::{Attach, ChangeRequest, EndDev, FakeRequest, GUEST, Places, Run};
use super::told::Telling;
use crate::session::{Nearest, wrangler};

/// The largest body of a request. A change of a thousand links, with props, stays below it.
pub const MAX_BODY: usize = 1 << 20;

/// The largest fake, with what belongs to the request around it. Its answers are kept in memory.
pub const MAX_FAKE: usize = 16 << 20;

/// The largest request for [`Operator::dev`]: systems let a process have some megabytes of variables.
pub const MAX_DEV: usize = 16 << 20;

/// How long a body may take. It comes from the same machine.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// JSON, a value a line.
const EVENTS: &str = "application/x-ndjson";

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];

/// Every path, with the methods it takes. Kept beside the match in [`route`], which must know the same.
const PATHS: &[(&str, &[Method])] = &[
    ("/v1/status", GET),
    ("/v1/sessions", GET),
    ("/v1/links", &[Method::GET, Method::POST]),
    ("/v1/explain", GET),
    ("/v1/fakes", POST),
    ("/v1/runs", POST),
    ("/v1/attached", POST),
    ("/v1/places", POST),
    ("/v1/dev", POST),
    ("/v1/dev/end", POST),
    ("/v1/reload", POST),
    ("/v1/end", GET),
    ("/v1/down", POST),
];

type Answer = Response<Either<Full<Bytes>, BoxBody<Bytes, Infallible>>>;

/// Answers one request; a refusal is an answer too.
pub(super) async fn answer<O, B>(operator: &Arc<O>, request: Request<B>) -> Result<Answer, Infallible>
where
    O: Operator,
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let allowed = PATHS.iter().find(|(path, _)| *path == request.uri().path()).map(|(_, methods)| *methods);
    Ok(match route(operator, request, allowed).await {
        Ok(answer) => answer,
        Err(error) => {
            let mut answer = json(error.code.status(), &Refusal { error });
            if let Some(allowed) = allowed.filter(|_| answer.status() == StatusCode::METHOD_NOT_ALLOWED) {
                answer.headers_mut().insert(ALLOW, allow(allowed));
            }
            answer
        }
    })
}

async fn route<O, B>(
    operator: &Arc<O>,
    request: Request<B>,
    allowed: Option<&[Method]>,
) -> Result<Answer, Problem>
where
    O: Operator,
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    refuse_pages(&request)?;
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let allowed = allowed.ok_or_else(|| no_such_path(&path))?;
    if !allowed.contains(&method) {
        return Err(Problem::new(Code::MethodNotAllowed, format!("{path} does not take {method}"))
            .hint(format!("use {}", allow(allowed).to_str().unwrap_or_default())));
    }
    match (method.as_str(), path.as_str()) {
        ("GET", "/v1/status") => Ok(json(StatusCode::OK, &operator.status())),
        ("GET", "/v1/sessions") => Ok(json(StatusCode::OK, &operator.sessions())),
        ("GET", "/v1/links") => Ok(json(StatusCode::OK, &operator.links())),
        ("GET", "/v1/explain") => {
            let asked = asked(request.uri().query().unwrap_or_default())?;
            Ok(json(StatusCode::OK, &operator.explain(asked).await?))
        }
        ("POST", "/v1/links") => {
            let change: ChangeRequest = read(request, MAX_BODY).await?;
            Ok(json(StatusCode::OK, &operator.change(change).await?))
        }
        ("POST", "/v1/fakes") => {
            let fake: FakeRequest = read(request, MAX_FAKE).await?;
            Ok(json(StatusCode::OK, &operator.fake(fake).await?))
        }
        ("POST", "/v1/runs") => {
            let run: Run = read(request, MAX_BODY).await?;
            Ok(json(StatusCode::OK, &operator.run(run).await?))
        }
        ("POST", "/v1/attached") => {
            let attach: Attach = read(request, MAX_BODY).await?;
            Ok(json(StatusCode::OK, &operator.attach(attach).await?))
        }
        ("POST", "/v1/places") => {
            let places: Places = read(request, MAX_BODY).await?;
            Ok(json(StatusCode::OK, &operator.places(places)))
        }
        ("POST", "/v1/dev") => {
            let request: wrangler::Request = read(request, MAX_DEV).await?;
            let (guest, telling) = operator.clone().dev(request)?;
            Ok(told(guest, telling))
        }
        ("POST", "/v1/dev/end") => {
            let end: EndDev = read(request, MAX_BODY).await?;
            Ok(json(StatusCode::OK, &operator.end_dev(end)?))
        }
        ("POST", "/v1/reload") => Ok(json(StatusCode::OK, &operator.reload().await?)),
        ("GET", "/v1/end") => Ok(json(StatusCode::OK, &operator.end().await)),
        ("POST", "/v1/down") => Ok(json(StatusCode::OK, &operator.down().await?)),
        _ => Err(no_such_path(&path)),
    }
}

/// A unix socket is out of a page's reach, until somebody forwards it to a TCP port. Browsers send Origin with all that
/// could change anything, and the name that led them here as Host.
fn refuse_pages<B>(request: &Request<B>) -> Result<(), Problem> {
    if request.headers().contains_key(ORIGIN) {
        return Err(Problem::new(
            Code::Forbidden,
            "requests from web pages (with an Origin header) are refused",
        )
        .hint("use the command line, or a program that sends no Origin"));
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next().map(HeaderValue::as_bytes), hosts.next()) {
        (Some(b"localhost"), None) => Ok(()),
        _ => Err(Problem::new(Code::Forbidden, "the Host header is not `localhost`")
            .hint("with curl: --unix-socket SOCKET http://localhost/v1/status")),
    }
}

fn no_such_path(path: &str) -> Problem {
    let nearest = Nearest::of(&path, PATHS.iter().map(|(path, _)| path));
    let all: Vec<_> = PATHS.iter().map(|(path, _)| *path).collect();
    Problem::new(Code::NotFound, format!("there is nothing at {path}{nearest}"))
        .hint(format!("the paths are {}", all.join(", ")))
}

/// What `link=` says in a query.
fn asked(query: &str) -> Result<String, Problem> {
    let bad = |why: &str| {
        Problem::new(Code::BadRequest, why)
            .hint("ask for a link, /v1/explain?link=web/API, or a session, ?link=web")
    };
    let text = query.split('&').find_map(|pair| pair.strip_prefix("link="));
    let text =
        text.filter(|text| !text.is_empty()).ok_or_else(|| bad("the query does not say which link"))?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(match byte {
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => u8::try_from(high << 4 | low).unwrap_or_default(),
                _ => return Err(bad("the query has a `%` that two hexadecimal digits do not follow")),
            },
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| bad("the query is no text"))
}

async fn read<T, B>(request: Request<B>, limit: usize) -> Result<T, Problem>
where
    T: DeserializeOwned,
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Problem::new(Code::BadRequest, format!("the body's content type is `{kind}`, not JSON"))
            .hint("send the header `content-type: application/json`"));
    }
    let body = Limited::new(request.into_body(), limit).collect();
    let body = match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Problem::new(Code::TooLarge, format!("the body is larger than {limit} bytes"))
                .hint("say less at a time"));
        }
        Ok(Err(error)) => return Err(Problem::new(Code::BadRequest, format!("the body broke off: {error}"))),
        Err(_) => {
            return Err(Problem::new(
                Code::TooSlow,
                format!("the body did not arrive within {BODY_TIMEOUT:?}"),
            ));
        }
    };
    serde_json::from_slice(&body)
        .map_err(|error| Problem::new(Code::BadRequest, format!("the body is not what is expected: {error}")))
}

fn allow(methods: &[Method]) -> HeaderValue {
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("GET"))
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    // Our shapes have string keys and no fallible parts, so this cannot fail; if it ever does, say so.
    let (status, body) = match serde_json::to_vec(body) {
        Ok(body) => (status, body),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string().into_bytes()),
    };
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from(body))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// An event a line, as they come.
fn told(guest: u64, telling: Telling) -> Answer {
    let lines = stream::unfold(telling, |mut telling| async {
        let told = telling.next().await?;
        // As with answers, it cannot fail.
        let mut line = serde_json::to_vec(&told).unwrap_or_default();
        line.push(b'\n');
        Some((Ok(Frame::data(Bytes::from(line))), telling))
    });
    let mut answer = Response::new(Either::Right(StreamBody::new(lines).boxed()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS));
    answer.headers_mut().insert(GUEST, guest.into());
    answer
}
