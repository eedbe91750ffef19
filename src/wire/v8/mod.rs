//! JavaScript values, and the form in which V8 serializes them.
//!
//! [`deserialize`] reads what workers write (versions 13 to 16), [`serialize`] writes what they read (version 15), byte
//! for byte as a worker would where there is one way to do it. [`JsValue`] is what a program holds.
//!
//! ```
//! use jackfield::wire::v8::{JsValue, View, deserialize, serialize};
//!
//! // The arguments of `add(1, 2)`, and the answer.
//! let arguments = serialize(&JsValue::array([1, 2]))?;
//! assert_eq!(arguments.bytes, [0xff, 0x0f, b'A', 2, b'I', 2, b'I', 4, b'$', 0, 2]);
//! let sum = deserialize(&[0xff, 0x0f, b'I', 6], Vec::new())?;
//! assert!(matches!(sum.view(), View::Number(3.0)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Identity
//! The objects of a value lie in one heap and refer to each other by their places there. So what is one object stays
//! one, cycles are no leak, and no value is too deep to be compared, copied or dropped. Values do not change; a
//! [`Builder`] makes those that literals cannot.
//!
//! # What travels beside
//! Stubs and streams are [`External`]s: handles of whoever sends and receives the value. They are numbered in the
//! order in which the value refers to them, which is the order of the `externals` of a JS RPC value.
//!
//! # What is refused
//! A tag that is not known has no length that is known, so it is an error with its offset, like everything else that
//! is not as V8 writes it. Neither reading nor writing recurses, and both take time and memory in proportion to the
//! bytes, within [`Limits`].
//!
//! # Other forms
//! [`convert`]: Rust types, through serde. [`text`]: JSON, for shells. [`JsRef::inspect`]: as node prints it, which is
//! also what `Debug` does.

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
mod key;
mod make;
mod number;
mod pairs;
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
pub use http::{Guard, Headers, Request, Response};
pub use inspect::Options;
pub use key::Key;
pub use make::InvalidRegExpFlags;
pub use read::{Source, deserialize, deserialize_within};
pub use string::JsStr;
pub use text::{TextError, TooDeepForText, from_loose_text, from_text, to_text};
pub use value::JsValue;
pub use view::{JsRef, View};
pub use write::{Encoded, serialize, serialize_within};
