//! Types for what JSON lacks.

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};

use super::{from_value, to_value};
use crate::wire::v8::bigint::BigInt;
use crate::wire::v8::binary::ArrayBuffer;
use crate::wire::v8::builder::Builder;
use crate::wire::v8::value::JsValue;
use crate::wire::v8::view::{JsRef, View};

/// `undefined`, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Undefined;

/// A Date: milliseconds since 1970; NaN for an invalid one.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Date(pub f64);

/// An ArrayBuffer. Views of one are read, too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Buffer(pub Bytes);

/// A Map, of anything that yields pairs: a `Vec`, a `HashMap`, and so on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JsMap<M>(pub M);

/// A Set, of anything that yields values: a `Vec`, a `BTreeSet`, and so on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct JsSet<S>(pub S);

fn wrong<'de, D: Deserializer<'de>>(expected: &str, found: &JsValue) -> D::Error {
    D::Error::custom(format!("{expected} is expected, and {found:?} was found"))
}

impl Serialize for Undefined {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        JsValue::UNDEFINED.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Undefined {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = JsValue::deserialize(deserializer)?;
        if value.is_undefined() { Ok(Undefined) } else { Err(wrong::<D>("undefined", &value)) }
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        JsValue::date(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = JsValue::deserialize(deserializer)?;
        match value.view() {
            View::Date(time) => Ok(Date(time)),
            _ => Err(wrong::<D>("a Date", &value)),
        }
    }
}

impl Serialize for Buffer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        JsValue::from(ArrayBuffer { bytes: self.0.clone(), max_len: None }).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Buffer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = JsValue::deserialize(deserializer)?;
        value.as_ref().as_bytes().map(Buffer).ok_or_else(|| wrong::<D>("a buffer", &value))
    }
}

impl Serialize for BigInt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        JsValue::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BigInt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = JsValue::deserialize(deserializer)?;
        match value.view() {
            View::BigInt(integer) => Ok(integer.clone()),
            _ => Err(wrong::<D>("a BigInt", &value)),
        }
    }
}

impl<M> Serialize for JsMap<M>
where
    for<'a> &'a M: IntoIterator<Item: MapEntry>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut builder = Builder::new();
        let map = builder.map();
        for entry in &self.0 {
            let (key, value) = entry.to_values().map_err(S::Error::custom)?;
            let (key, value) = (builder.value(key), builder.value(value));
            builder.entry(map, key, value);
        }
        builder.finish(map).serialize(serializer)
    }
}

/// What maps yield: a pair, or a reference to one.
pub trait MapEntry {
    /// The pair as values.
    ///
    /// # Errors
    /// As [`to_value`].
    fn to_values(&self) -> Result<(JsValue, JsValue), super::ConvertError>;
}

impl<K: Serialize, V: Serialize> MapEntry for (K, V) {
    fn to_values(&self) -> Result<(JsValue, JsValue), super::ConvertError> {
        Ok((to_value(&self.0)?, to_value(&self.1)?))
    }
}

impl<K: Serialize, V: Serialize> MapEntry for &(K, V) {
    fn to_values(&self) -> Result<(JsValue, JsValue), super::ConvertError> {
        (**self).to_values()
    }
}

impl<'de, M, K, V> Deserialize<'de> for JsMap<M>
where
    M: FromIterator<(K, V)> + IntoIterator<Item = (K, V)>,
    K: serde::de::DeserializeOwned,
    V: serde::de::DeserializeOwned,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = JsValue::deserialize(deserializer)?;
        let View::Map(map) = value.view() else { return Err(wrong::<D>("a Map", &value)) };
        let pairs = map.iter().map(|(key, value)| Ok((part(key)?, part(value)?)));
        pairs.collect::<Result<M, super::ConvertError>>().map(JsMap).map_err(D::Error::custom)
    }
}

impl<C> Serialize for JsSet<C>
where
    for<'a> &'a C: IntoIterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut builder = Builder::new();
        let set = builder.set_of_values();
        for value in &self.0 {
            let value = builder.value(to_value(&value).map_err(S::Error::custom)?);
            builder.push(set, value);
        }
        builder.finish(set).serialize(serializer)
    }
}

impl<'de, C, V> Deserialize<'de> for JsSet<C>
where
    C: FromIterator<V> + IntoIterator<Item = V>,
    V: serde::de::DeserializeOwned,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = JsValue::deserialize(deserializer)?;
        let View::Set(set) = value.view() else { return Err(wrong::<D>("a Set", &value)) };
        set.iter().map(part).collect::<Result<C, super::ConvertError>>().map(JsSet).map_err(D::Error::custom)
    }
}

/// A part of a value, for types that keep nothing of it.
fn part<T: serde::de::DeserializeOwned>(value: JsRef<'_>) -> Result<T, super::ConvertError> {
    from_value(&value.to_value())
}
