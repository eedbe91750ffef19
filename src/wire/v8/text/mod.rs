//! Values as JSON: the textual form.
//!
//! It is the one that Cap'n Web uses on its wire, and more of the same kind for what Cap'n Web does not say. JSON
//! means itself, but for arrays: an array whose first element is a string is a form, and an array that means an array
//! stands in another one.
//!
//! | value | text | |
//! | --- | --- | --- |
//! | `null`, `true`, `3`, `"text"` | themselves | |
//! | `{ a: 1 }` | `{"a":1}` | |
//! | `[1, "a"]` | `[[1,"a"]]` | |
//! | `undefined` | `["undefined"]` | |
//! | `NaN`, `Infinity`, `-Infinity` | `["nan"]`, `["inf"]`, `["-inf"]` | |
//! | `10n` | `["bigint","10"]` | very long ones as `"0x…"` |
//! | `new Date(0)` | `["date",0]` | an invalid one is `["date",null]` |
//! | `Uint8Array.of(1, 2)` | `["bytes","AQI"]` | base64 without padding; with padding it is read, too |
//! | `new TypeError("m")` | `["error","TypeError","m"]` | then the stack or `null`, then an object of its properties |
//! | `new Headers({ a: "b" })` | `["headers",[["a","b"]]]` | a guard may follow: `"request"` and so on |
//! | `new Request(url, init)` | `["request",url,init]` | in `init`, only `body` is a form, and `headers` are pairs |
//! | `new Response(body, init)` | `["response",body,init]` | in `init`, `headers` are pairs |
//! | `-0` | `-0.0` | from here on, Cap'n Web has nothing of the kind |
//! | `new Map([[1, 2]])` | `["map",[[1,2]]]` | |
//! | `new Set([1, 2])` | `["set",[1,2]]` | |
//! | `/x/gi` | `["regexp","x","gi"]` | |
//! | `[1, , 3]` | `[[1,["hole"],3]]` | |
//! | an array with few elements, or with other properties | `["array",9000,{"7":1,"name":2}]` | its length, then what it has |
//! | `new Number(1)` | `["boxed",1]` | |
//! | an ArrayBuffer | `["buffer","AQI"]` | a resizable one: then its `maxByteLength` |
//! | any other view | `["view","Int16Array",buffer,offset,length]` | in bytes; a length of `null` follows the buffer's |
//! | a DOMException | `["domexception","AbortError","m"]` | then its stack |
//! | a Blob | `["blob","text/plain","aGk"]` | |
//! | a string with lone surrogates | `["string",[55357]]` | its code units |
//! | an object with such keys | `["object",[[["string",[55357]],1]]]` | |
//! | an object that is there twice | `["def",0,…]` and `["ref",0]` | where it is first, and everywhere else |
//! | a stub | `["export",0]` | its place among the externals; so are the next |
//! | a ReadableStream, a WritableStream | `["readable",0]`, `["writable",0]` | |
//! | a service, a Durable Object class | `["service",0]`, `["class",0]` | |
//!
//! What is read is the value that was printed, but that errors are in workerd's form and properties of a request or
//! a response that are `undefined` are left out.

mod base64;
mod opaque;
mod read;
mod write;

use super::external::External;
use super::value::JsValue;

/// Levels of a value that can be said as text.
const DEEPEST: usize = 256;

/// JSON that is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct TextError {
    /// Where: `$` is the whole, `$.a[0]` the first element of its property.
    pub at: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

/// A value that cannot be said as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the value is nested deeper than {DEEPEST} levels, which JSON readers do not take; print it as node would"
)]
pub struct TooDeepForText;

/// A value as text.
///
/// # Errors
/// It is nested deeper than 256 levels.
pub fn to_text(value: &JsValue) -> Result<serde_json::Value, TooDeepForText> {
    write::write(value.as_ref())
}

/// The value that a text means. `externals` are the stubs and streams that it may refer to.
///
/// # Errors
/// It means none; the error says where and why.
pub fn from_text(text: &serde_json::Value, externals: &[External]) -> Result<JsValue, TextError> {
    read::read(text, externals, false)
}

/// As [`from_text`], for text that people type: an array that cannot be a form is an array, as in any JSON. One in
/// which there is only another array still means that one, and one that begins with the name of a form is a form.
///
/// # Errors
/// As [`from_text`].
pub fn from_loose_text(text: &serde_json::Value, externals: &[External]) -> Result<JsValue, TextError> {
    read::read(text, externals, true)
}
