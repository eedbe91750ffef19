//! Answers of our own: what a calling worker gets when its event could not be served.

use bytes::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::body::FaceBody;
use super::route::{Broken, Refusal};

/// Tells our answers from those of the target, and says which kind it is.
pub(super) const ERROR_HEADER: HeaderName = HeaderName::from_static("jackfield-error");

/// An answer of ours to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its status.
    pub status: StatusCode,
    /// What its body is.
    pub content_type: &'static str,
    /// Its body.
    pub body: String,
}

impl Page {
    /// It is of this moment, runs nothing, and goes into no frame.
    pub(super) fn response(self) -> Response<FaceBody> {
        const STATIC: [(HeaderName, HeaderValue); 4] = [
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (
                CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(
                    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
                ),
            ),
        ];
        let mut response = Response::new(FaceBody::text(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.extend(STATIC);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        response
    }
}

/// A plain-text error of ours.
pub(super) fn error(status: StatusCode, kind: &'static str, text: String) -> Response<FaceBody> {
    let mut text = text;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let mut response = Response::new(FaceBody::text(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(ERROR_HEADER, HeaderValue::from_static(kind));
    response
}

/// The event was broken by `--cut` before its answer began.
pub(super) fn cut(label: &str) -> Response<FaceBody> {
    let text = format!(
        "The link was re-targeted with --cut while {label} was working on this request. \
         It may have been carried out. Send it again to reach the new target."
    );
    error(StatusCode::SERVICE_UNAVAILABLE, "cut", text)
}

/// The connection ended after the event was delivered and before its answer began.
pub(super) fn broken(label: &str, why: &str, broken: Broken) -> Response<FaceBody> {
    let text = match broken {
        Broken::Process => format!(
            "{label} ended while it was working on this request ({why}). It may have been carried out, so it was not sent \
             again. Send it again to reach the next generation."
        ),
        Broken::Connection { failed: Some(failed) } => {
            format!("{label} gave no answer, since what it called has failed. {failed}")
        }
        Broken::Connection { failed: None } => format!(
            "{label} gave no answer, and runs ({why}). workerd does so where a worker fails because what it called has \
             gone: its output says more. The request may have been carried out, so it was not sent again."
        ),
    };
    error(StatusCode::SERVICE_UNAVAILABLE, "broken", text)
}

/// The target failed before it answered. Its own HTTP socket says no more.
pub(super) fn failed(status: StatusCode) -> Response<FaceBody> {
    let mut response =
        Response::new(FaceBody::text(Bytes::from(status.canonical_reason().unwrap_or_default())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A worker's own `connect()`, where the target has no socket that takes it.
pub(super) fn no_connect(label: &str) -> Response<FaceBody> {
    let text = format!(
        "{label} takes no connect() by this link: the link's target has props, or no socket of its own. Take the \
         props off the link, or name the entrypoint in a link of jackfield.toml and `jackfield reload`."
    );
    error(StatusCode::NOT_IMPLEMENTED, "unsupported", text)
}

/// The route named an upstream again that had just refused the event.
pub(super) fn refused(refusal: &Refusal) -> Response<FaceBody> {
    let Refusal { upstream, why } = refusal;
    let text = format!("{} could not be reached ({why}). The request was not delivered.", upstream.label);
    error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
}
