//! How a value passes through serde as it is.
//!
//! serde knows no values like ours. So a [`JsValue`] announces itself by the name of a newtype, and waits beside: a
//! serializer or deserializer of ours knows the name, and takes it, or puts it there. All others see its textual
//! form.

use std::cell::RefCell;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};

use crate::wire::v8::text;
use crate::wire::v8::value::JsValue;

/// The newtype's name.
pub(super) const NAME: &str = "$jackfield::JsValue";

thread_local! {
    /// The value that is on its way. It is taken before any other code runs.
    static WAITING: RefCell<Option<JsValue>> = const { RefCell::new(None) };
}

pub(super) fn put(value: JsValue) {
    WAITING.with_borrow_mut(|waiting| *waiting = Some(value));
}

pub(super) fn take() -> Option<JsValue> {
    WAITING.with_borrow_mut(Option::take)
}

impl Serialize for JsValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        put(self.clone());
        let written = serializer.serialize_newtype_struct(NAME, &Text(self));
        take();
        written
    }
}

/// What serializers of other formats see.
struct Text<'a>(&'a JsValue);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text::to_text(self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take();
        deserializer.deserialize_newtype_struct(NAME, Taker)
    }
}

struct Taker;

impl<'de> Visitor<'de> for Taker {
    type Value = JsValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JavaScript value, or its textual form")
    }

    /// Our deserializer.
    fn visit_unit<E>(self) -> Result<JsValue, E> {
        Ok(take().unwrap_or_default())
    }

    /// Any other.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<JsValue, D::Error> {
        let text = serde_json::Value::deserialize(deserializer)?;
        text::from_text(&text, &[]).map_err(D::Error::custom)
    }
}
