//! Names that travel as numbers.

use http::Method;

use crate::schema::http_over_capnp_capnp::{CommonHeaderName, CommonHeaderValue, HttpMethod};

/// A table read in both directions.
macro_rules! table {
    ($(#[$doc:meta])* $number:ident, $from:ident, $to:ident; $($variant:ident = $text:literal,)*) => {
        $(#[$doc])*
        pub(super) fn $to(number: $number) -> Option<&'static str> {
            match number {
                $($number::$variant => Some($text),)*
                #[allow(unreachable_patterns)]
                _ => None,
            }
        }

        pub(super) fn $from(text: &str) -> Option<$number> {
            match text {
                $($text => Some($number::$variant),)*
                _ => None,
            }
        }
    };
}

table! {
    /// The header of that number, in the lower case of the `http` crate.
    CommonHeaderName, number_of_header, header;
    AcceptCharset = "accept-charset",
    AcceptEncoding = "accept-encoding",
    AcceptLanguage = "accept-language",
    AcceptRanges = "accept-ranges",
    Accept = "accept",
    AccessControlAllowOrigin = "access-control-allow-origin",
    Age = "age",
    Allow = "allow",
    Authorization = "authorization",
    CacheControl = "cache-control",
    ContentDisposition = "content-disposition",
    ContentEncoding = "content-encoding",
    ContentLanguage = "content-language",
    ContentLength = "content-length",
    ContentLocation = "content-location",
    ContentRange = "content-range",
    ContentType = "content-type",
    Cookie = "cookie",
    Date = "date",
    Etag = "etag",
    Expect = "expect",
    Expires = "expires",
    From = "from",
    Host = "host",
    IfMatch = "if-match",
    IfModifiedSince = "if-modified-since",
    IfNoneMatch = "if-none-match",
    IfRange = "if-range",
    IfUnmodifiedSince = "if-unmodified-since",
    LastModified = "last-modified",
    Link = "link",
    Location = "location",
    MaxForwards = "max-forwards",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    Range = "range",
    Referer = "referer",
    Refresh = "refresh",
    RetryAfter = "retry-after",
    Server = "server",
    SetCookie = "set-cookie",
    StrictTransportSecurity = "strict-transport-security",
    TransferEncoding = "transfer-encoding",
    UserAgent = "user-agent",
    Vary = "vary",
    Via = "via",
    WwwAuthenticate = "www-authenticate",
}

table! {
    /// The value of that number.
    CommonHeaderValue, number_of_value, value;
    GzipDeflate = "gzip, deflate",
}

table! {
    /// The method of that number.
    HttpMethod, number_of_method, method_text;
    Get = "GET",
    Head = "HEAD",
    Post = "POST",
    Put = "PUT",
    Delete = "DELETE",
    Patch = "PATCH",
    Purge = "PURGE",
    Options = "OPTIONS",
    Trace = "TRACE",
    Copy = "COPY",
    Lock = "LOCK",
    Mkcol = "MKCOL",
    Move = "MOVE",
    Propfind = "PROPFIND",
    Proppatch = "PROPPATCH",
    Search = "SEARCH",
    Unlock = "UNLOCK",
    Acl = "ACL",
    Report = "REPORT",
    Mkactivity = "MKACTIVITY",
    Checkout = "CHECKOUT",
    Merge = "MERGE",
    // What workers write for it, and what workerd makes of it: `M-SEARCH` is the same, and unknown to them.
    Msearch = "MSEARCH",
    Notify = "NOTIFY",
    Subscribe = "SUBSCRIBE",
    Unsubscribe = "UNSUBSCRIBE",
    Query = "QUERY",
    Ban = "BAN",
}

/// The method of that number, as the `http` crate has it.
pub(super) fn method(number: HttpMethod) -> Option<Method> {
    method_text(number).and_then(|text| Method::from_bytes(text.as_bytes()).ok())
}
