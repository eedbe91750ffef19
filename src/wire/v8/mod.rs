//! JavaScript values, and the form in which V8 serializes them.
//!
//! [`deserialize`] reads what workers write (versions 13 to 16), [`serialize`] writes what they read (version 15).
//! A [`JsValue`] is what a program holds: it keeps everything that the form can say, cycles and shared objects
//! included.

mod bigint;
mod binary;
mod builder;
mod collection;
pub mod convert;
mod equal;
mod error;
mod external;
mod failure;
mod graft;
mod heap;
mod http;
mod inspect;
mod make;
mod number;
mod read;
mod slot;
mod string;
pub mod text;
mod value;
mod view;
mod write;

pub use bigint::{BigInt, ParseBigIntError};
pub use binary::{ArrayBuffer, Blob, Element, Typed};
pub use builder::{Builder, Place};
pub use collection::{Array, Map, Object, RegExp, Set};
pub use convert::{Buffer, ConvertError, Date, JsMap, JsSet, Undefined, from_value, to_value};
pub use error::{EncodeError, Fault, Limits, V8Error};
pub use external::{External, ExternalKind};
pub use failure::{DomException, Error, ErrorForm};
pub use heap::Key;
pub use http::{Guard, Headers, Request, Response};
pub use inspect::Options;
pub use make::InvalidRegExpFlags;
pub use read::{Source, deserialize, deserialize_within};
pub use string::JsStr;
pub use text::{TextError, TooDeepForText, from_text, to_text};
pub use value::JsValue;
pub use view::{JsRef, View};
pub use write::{Encoded, serialize, serialize_within};
