use capnp::{NotInSchema, struct_list, text};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::ext::ReasonPhrase;

use super::names;
use crate::schema::http_over_capnp_capnp::{http_header, http_request, http_response};

/// How long a body is, if that is known beforehand.
pub type Length = Option<u64>;

/// Why a head has no form on the other side.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// Cap'n Proto HTTP numbers its methods, and this one has no number.
    #[error(
        "the method {0} does not exist here: use one of the registered methods, such as GET, POST or QUERY"
    )]
    Method(Method),
    /// A worker needs the whole URL.
    #[error("the URL `{0}` is not absolute: write it with scheme and host, like `http://example.com/path`")]
    Relative(Uri),
    /// What came as URL is none.
    #[error("`{url}` is not a URL: {source}")]
    Url {
        /// What came.
        url: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// A header that the `http` crate cannot hold.
    #[error("the header `{name}` cannot be taken over: {why}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A number beyond the tables: the other side speaks a newer form.
    #[error("the head has {0}, which is unknown here: the peer is newer than this")]
    Unknown(NotInSchema),
    /// A number within the tables that stands for nothing.
    #[error("the head has a name without a text")]
    Nameless,
    /// A status that HTTP does not know.
    #[error("{0} is not an HTTP status")]
    Status(u16),
    /// The message is broken.
    #[error("the head cannot be read: {0}")]
    Unreadable(#[from] capnp::Error),
}

impl From<NotInSchema> for HeadError {
    fn from(unknown: NotInSchema) -> Self {
        HeadError::Unknown(unknown)
    }
}

/// Bytes of texts that the form of these headers takes, for those who reserve room for it.
pub fn texts(headers: &HeaderMap) -> usize {
    // Two texts, each padded to a word, and the entry in the list.
    const ENTRY: usize = 48;
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ENTRY).sum()
}

/// Writes the head of a request.
///
/// # Errors
/// The method has no number, or the URL is not absolute.
pub fn fill_request(
    into: &mut http_request::Builder,
    method: &Method,
    url: &Uri,
    headers: &HeaderMap,
    length: Length,
) -> Result<(), HeadError> {
    let number = names::number_of_method(method.as_str()).ok_or_else(|| HeadError::Method(method.clone()))?;
    if url.scheme().is_none() || url.authority().is_none() {
        return Err(HeadError::Relative(url.clone()));
    }
    into.set_method(number);
    into.set_url(&*url.to_string());
    fill_headers(&mut into.reborrow().init_headers(count(headers)), headers);
    match length {
        Some(length) => into.reborrow().init_body_size().set_fixed(length),
        None => into.reborrow().init_body_size().set_unknown(()),
    }
    Ok(())
}

/// Writes the head of an answer.
pub fn fill_response(
    into: &mut http_response::Builder,
    status: StatusCode,
    reason: Option<&ReasonPhrase>,
    headers: &HeaderMap,
    length: Length,
) {
    into.set_status_code(status.as_u16());
    let reason = match reason {
        Some(reason) => reason.as_bytes(),
        None => status.canonical_reason().unwrap_or_default().as_bytes(),
    };
    into.set_status_text(text::Reader(reason));
    fill_headers(&mut into.reborrow().init_headers(count(headers)), headers);
    match length {
        Some(length) => into.reborrow().init_body_size().set_fixed(length),
        None => into.reborrow().init_body_size().set_unknown(()),
    }
}

/// How many entries the list of these headers has.
pub fn count(headers: &HeaderMap) -> u32 {
    headers.len().min(u32::MAX as usize) as u32
}

/// Writes headers into a list of [`count`] entries. Values go byte for byte.
pub fn fill_headers(into: &mut struct_list::Builder<http_header::Owned>, headers: &HeaderMap) {
    for ((name, value), index) in headers.iter().zip(0..into.len()) {
        let header = into.reborrow().get(index);
        let value = text::Reader(value.as_bytes());
        match names::number_of_header(name.as_str()) {
            Some(number) => {
                let mut header = header.init_common();
                header.set_name(number);
                match names::number_of_value(value.to_str().unwrap_or_default()) {
                    Some(number) => header.set_common_value(number),
                    None => header.set_value(value),
                }
            }
            None => {
                let mut header = header.init_uncommon();
                header.set_name(name.as_str());
                header.set_value(value);
            }
        }
    }
}

/// Reads the head of a request.
///
/// # Errors
/// It is not one, or the types of the `http` crate cannot hold it.
pub fn read_request(from: http_request::Reader) -> Result<(Request<()>, Length), HeadError> {
    let mut request = Request::new(());
    *request.method_mut() = names::method(from.get_method()?).ok_or(HeadError::Nameless)?;
    let url = from.get_url()?.as_bytes();
    *request.uri_mut() = Uri::try_from(url)
        .map_err(|source| HeadError::Url { url: String::from_utf8_lossy(url).into_owned(), source })?;
    if request.uri().authority().is_none() {
        return Err(HeadError::Relative(request.uri().clone()));
    }
    *request.headers_mut() = read_headers(from.get_headers()?)?;
    let length = match from.get_body_size().which()? {
        http_request::body_size::Fixed(length) => Some(length),
        http_request::body_size::Unknown(()) => None,
    };
    Ok((request, length))
}

/// Reads the head of an answer. A phrase other than the usual one of its status is kept as an extension of type
/// [`ReasonPhrase`].
///
/// # Errors
/// As [`read_request`].
pub fn read_response(from: http_response::Reader) -> Result<(Response<()>, Length), HeadError> {
    let mut response = Response::new(());
    let status = from.get_status_code();
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| HeadError::Status(status))?;
    let phrase = from.get_status_text()?.as_bytes();
    let usual = response.status().canonical_reason().unwrap_or_default();
    if from.has_status_text()
        && phrase != usual.as_bytes()
        && let Ok(phrase) = ReasonPhrase::try_from(phrase)
    {
        response.extensions_mut().insert(phrase);
    }
    *response.headers_mut() = read_headers(from.get_headers()?)?;
    let length = match from.get_body_size().which()? {
        http_response::body_size::Fixed(length) => Some(length),
        http_response::body_size::Unknown(()) => None,
    };
    Ok((response, length))
}

/// Reads a list of headers. Values come byte for byte.
///
/// # Errors
/// A name is none, or a value has a byte that no HTTP/1 message could carry.
pub fn read_headers(from: struct_list::Reader<http_header::Owned>) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::new();
    for header in from {
        let (name, value) = match header.which()? {
            http_header::Common(header) => {
                let name = names::header(header.get_name()?).ok_or(HeadError::Nameless)?;
                let value = match header.which()? {
                    http_header::common::CommonValue(number) => {
                        names::value(number?).ok_or(HeadError::Nameless)?.as_bytes()
                    }
                    http_header::common::Value(value) => value?.as_bytes(),
                };
                (HeaderName::from_static(name), value)
            }
            http_header::Uncommon(header) => {
                let header = header?;
                let name = header.get_name()?.as_bytes();
                let name = HeaderName::from_bytes(name)
                    .map_err(|error| unfit(&String::from_utf8_lossy(name), error))?;
                (name, header.get_value()?.as_bytes())
            }
        };
        let value = HeaderValue::from_bytes(value).map_err(|error| unfit(name.as_str(), error))?;
        let known = name.clone();
        headers.try_append(name, value).map_err(|error| unfit(known.as_str(), error))?;
    }
    Ok(headers)
}

fn unfit(name: &str, why: impl std::fmt::Display) -> HeadError {
    HeadError::Header { name: name.to_owned(), why: why.to_string() }
}
