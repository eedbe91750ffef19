//! Headers, requests and responses.

use super::view::JsRef;

/// What may be done to headers; they carry it along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Guard {
    /// Nothing.
    Immutable,
    /// What a request's headers allow.
    Request,
    /// What a response's headers allow.
    Response,
    /// Everything.
    #[default]
    None,
}

impl Guard {
    pub(super) fn number(self) -> u32 {
        self as u32
    }

    pub(super) fn of_number(number: u32) -> Option<Self> {
        [Guard::Immutable, Guard::Request, Guard::Response, Guard::None]
            .into_iter()
            .find(|guard| *guard as u32 == number)
    }
}

/// The names that have a number, which is their place.
const COMMON: [&str; 48] = [
    "",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "accept",
    "access-control-allow-origin",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
];

/// A header's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeaderName {
    Common(u8),
    Other(Box<[u8]>),
}

impl HeaderName {
    pub(super) fn of(name: &[u8]) -> Self {
        let known = (1..).zip(&COMMON[1..]).find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
        known.map_or_else(|| HeaderName::Other(name.into()), |(number, _)| HeaderName::Common(number))
    }

    pub(super) fn of_number(number: u32) -> Option<Self> {
        let number = u8::try_from(number).ok().filter(|number| *number != 0)?;
        COMMON.get(usize::from(number)).map(|_| HeaderName::Common(number))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            HeaderName::Common(number) => {
                COMMON.get(usize::from(*number)).map(|name| name.as_bytes()).unwrap_or_default()
            }
            HeaderName::Other(name) => name,
        }
    }
}

/// A Headers object: names and values, a name as often as it has values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    pub(super) guard: Guard,
    pub(super) list: Vec<(HeaderName, Box<[u8]>)>,
}

impl Headers {
    /// No headers, with this guard.
    pub fn new(guard: Guard) -> Self {
        Headers { guard, list: Vec::new() }
    }

    /// What may be done to them.
    pub fn guard(&self) -> Guard {
        self.guard
    }

    /// Adds a value to a name.
    pub fn append(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.list.push((HeaderName::of(name.as_ref()), value.as_ref().into()));
    }

    /// Names and values. A name that HTTP knows is in lower case; values need not be UTF-8.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.list.iter().map(|(name, value)| (name.bytes(), &**value))
    }
}

/// A Request: the two arguments that its constructor takes.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The URL.
    pub url: &'a str,
    /// An object with what is not as usual: `method`, `headers`, `body` and so on.
    pub init: JsRef<'a>,
}

/// A Response: the two arguments that its constructor takes.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// The body: a stream or `null`.
    pub body: JsRef<'a>,
    /// An object with what is not as usual: `status`, `headers` and so on.
    pub init: JsRef<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_have_numbers() {
        assert_eq!(HeaderName::of(b"Accept-Charset"), HeaderName::Common(1));
        assert_eq!(HeaderName::of(b"content-type"), HeaderName::Common(17));
        assert_eq!(HeaderName::of(b"www-authenticate"), HeaderName::Common(47));
        assert_eq!(HeaderName::of(b"x-own"), HeaderName::Other((*b"x-own").into()));
        assert_eq!(HeaderName::of_number(48), None);
        assert_eq!(HeaderName::of_number(0), None);
    }
}
