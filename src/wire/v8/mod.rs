//! JavaScript values, and the form in which V8 serializes them.
//!
//! [`deserialize`] reads what workers write (versions 13 to 16), [`serialize`] writes what they read (version 15).
//! A [`JsValue`] is what a program holds: it keeps everything that the form can say, cycles and shared objects
//! included.

mod bigint;
mod equal;
mod error;
mod external;
mod graft;
mod heap;
mod read;
mod slot;
mod string;
mod value;
mod view;
mod write;

pub use bigint::{BigInt, ParseBigIntError};
pub use error::{EncodeError, Fault, Limits, V8Error};
pub use external::{External, ExternalKind};
pub use heap::Key;
pub use read::{deserialize, deserialize_within};
pub use string::JsStr;
pub use value::JsValue;
pub use view::{Array, JsRef, Object, Properties, View};
pub use write::{Encoded, serialize, serialize_within};
