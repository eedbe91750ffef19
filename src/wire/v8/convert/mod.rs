//! Rust types as values, and values as Rust types.
//!
//! Types are written as `serde_json` writes them, with these differences:
//!
//! | Rust | JavaScript |
//! | --- | --- |
//! | integers beyond ±(2^53 − 1) | BigInt |
//! | `()`, unit structs | `undefined` |
//! | bytes (as `serde_bytes` has them) | Uint8Array |
//! | [`JsValue`], at any place | itself: stubs, errors, cycles and all |
//! | [`Undefined`], [`Date`], [`Buffer`], [`BigInt`](super::BigInt), [`JsMap`], [`JsSet`] | what they are called |
//!
//! In the other direction `null` and `undefined` are both `None` and `()`, BigInts are integers where they fit, boxed
//! primitives are the primitives, a Date is its milliseconds, buffers and views are bytes and views also sequences of
//! their elements, Maps are maps and Sets sequences, Headers are pairs, an Error is a struct of its properties
//! together with `name`, `message` and `stack`, and a hole is `undefined`.
//!
//! ```
//! use jackfield::wire::v8::{Date, JsValue, from_value, to_value};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Order {
//!     id: u64,
//!     placed: Date,
//!     /// Whatever the worker keeps there.
//!     notes: JsValue,
//! }
//!
//! let order = Order { id: 7, placed: Date(0.0), notes: JsValue::UNDEFINED };
//! let value = to_value(&order)?;
//! assert_eq!(value.get("placed"), Some(JsValue::date(0.0)));
//! assert_eq!(from_value::<Order>(&value)?, order);
//! # Ok::<(), jackfield::wire::v8::ConvertError>(())
//! ```

mod de;
mod element;
mod key;
mod kinds;
mod pass;
mod ser;

use serde::{Deserialize, Serialize};

use super::builder::Builder;
use super::value::JsValue;
pub use kinds::{Buffer, Date, JsMap, JsSet, Undefined};

/// A type and a value do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConvertError(String);

impl serde::ser::Error for ConvertError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        ConvertError(message.to_string())
    }
}

impl serde::de::Error for ConvertError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        ConvertError(message.to_string())
    }
}

/// A Rust value as a JavaScript value.
///
/// # Errors
/// A map has keys that are no strings, numbers or truth values (a [`JsMap`] takes any), or the type refuses.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<JsValue, ConvertError> {
    let mut builder = Builder::new();
    let root = value.serialize(ser::Serializer { builder: &mut builder })?;
    Ok(builder.finish(root))
}

/// A JavaScript value as a Rust value.
///
/// # Errors
/// The value is not what the type expects. It is nested deeper than 128 levels, which includes every
/// value that contains itself, or what is shared in it is so often referred to that it would not end. A [`JsValue`]
/// within the type takes any value as it is.
pub fn from_value<'a, T: Deserialize<'a>>(value: &'a JsValue) -> Result<T, ConvertError> {
    let budget = std::cell::Cell::new(de::budget(value.as_ref()));
    T::deserialize(de::Deserializer::new(value.as_ref(), &budget))
}
