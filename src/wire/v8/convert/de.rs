//! Values as Rust types.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Display;

use serde::de::{self, DeserializeSeed, Error as _, IntoDeserializer, Unexpected, Visitor};

use super::element::Number;
use super::key::KeyText;
use super::ser::LARGEST_SAFE;
use super::{ConvertError, pass};
use crate::wire::v8::bigint::BigInt;
use crate::wire::v8::binary::Typed;
use crate::wire::v8::inspect::Options;
use crate::wire::v8::key::Key;
use crate::wire::v8::slot::Slot;
use crate::wire::v8::string::JsStr;
use crate::wire::v8::view::{JsRef, View};

/// Levels of a value that are looked into. A type that takes any depth recurses that deep, also in code that is not
/// ours.
const DEEPEST: usize = 128;

/// How many values may be looked at in all. What is shared is looked at as often as it is referred to, and so a small
/// value could take forever.
pub(super) fn budget(value: JsRef<'_>) -> usize {
    const LEAST: usize = 1 << 20;
    value.heap().slots.len().saturating_mul(64).max(LEAST)
}

#[derive(Clone, Copy)]
pub(super) struct Deserializer<'a, 'b> {
    value: JsRef<'a>,
    depth: usize,
    budget: &'b Cell<usize>,
}

impl<'a, 'b> Deserializer<'a, 'b> {
    pub(super) fn new(value: JsRef<'a>, budget: &'b Cell<usize>) -> Self {
        Deserializer { value, depth: 0, budget }
    }

    /// A part of the value.
    fn within(self, value: JsRef<'a>) -> Result<Self, ConvertError> {
        if self.depth >= DEEPEST {
            return Err(ConvertError::custom(format!(
                "the value is nested deeper than {DEEPEST} levels, or contains itself; take it as a JsValue"
            )));
        }
        let Some(budget) = self.budget.get().checked_sub(1) else {
            return Err(ConvertError::custom(
                "the value refers to the same objects so often that it does not end; take it as a JsValue",
            ));
        };
        self.budget.set(budget);
        Ok(Deserializer { value, depth: self.depth + 1, budget: self.budget })
    }

    fn sequence<'de, V: Visitor<'de>>(
        self,
        values: impl Iterator<Item = JsRef<'a>>,
        visitor: V,
    ) -> Result<V::Value, ConvertError>
    where
        'a: 'de,
    {
        visitor.visit_seq(Sequence { from: self, values })
    }

    fn wrong<'de, V: Visitor<'de>>(self, visitor: &V) -> ConvertError {
        let found = self.value.inspect(&Options { depth: Some(0), ..Options::default() });
        ConvertError::invalid_type(Unexpected::Other(&found), visitor)
    }

    /// The elements of a view as numbers.
    fn elements<'de, V: Visitor<'de>>(self, typed: Typed<'a>, visitor: V) -> Result<V::Value, ConvertError> {
        let bytes = typed.bytes();
        let elements = bytes.chunks_exact(typed.element().size());
        let numbers = elements.map(|raw| Number::read(typed.element(), raw));
        let mut sequence = de::value::SeqDeserializer::new(numbers);
        let read = visitor.visit_seq(&mut sequence)?;
        sequence.end()?;
        Ok(read)
    }
}

fn number<'de, V: Visitor<'de>>(number: f64, visitor: V) -> Result<V::Value, ConvertError> {
    let is_integer = number.trunc() == number && !(number == 0.0 && number.is_sign_negative());
    if is_integer && (0.0..=LARGEST_SAFE as f64).contains(&number) {
        visitor.visit_u64(number as u64)
    } else if is_integer && number.abs() <= LARGEST_SAFE as f64 {
        visitor.visit_i64(number as i64)
    } else {
        visitor.visit_f64(number)
    }
}

fn big_int<'de, V: Visitor<'de>>(value: &BigInt, visitor: V) -> Result<V::Value, ConvertError> {
    match (value.to_i128(), value.to_u128()) {
        (Some(value), _) => match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => visitor.visit_u64(value),
            (_, Ok(value)) => visitor.visit_i64(value),
            _ => visitor.visit_i128(value),
        },
        (None, Some(value)) => visitor.visit_u128(value),
        (None, None) => Err(ConvertError::custom("a BigInt is beyond 128 bits; take it as a BigInt")),
    }
}

fn string<'de, 'a: 'de, V: Visitor<'de>>(string: JsStr<'a>, visitor: V) -> Result<V::Value, ConvertError> {
    match string {
        JsStr::Utf8(text) => visitor.visit_borrowed_str(text),
        JsStr::Wide(_) => Err(ConvertError::custom(format!(
            "the string {string:?} is no text, since a surrogate in it is alone; take it as a JsValue"
        ))),
    }
}

impl<'de, 'a: 'de> de::Deserializer<'de> for Deserializer<'a, '_> {
    type Error = ConvertError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConvertError> {
        match self.value.view() {
            View::Undefined | View::Null => visitor.visit_unit(),
            View::Bool(value) => visitor.visit_bool(value),
            View::Number(value) | View::Date(value) => number(value, visitor),
            View::BigInt(value) => big_int(value, visitor),
            View::String(value) => string(value, visitor),
            View::Boxed(primitive) => self.within(primitive)?.deserialize_any(visitor),
            View::Array(array) => {
                let hole = self.value.with(Slot::UNDEFINED);
                self.charge_holes(array.len() as usize)?;
                self.sequence((0..array.len()).map(move |index| array.get(index).unwrap_or(hole)), visitor)
            }
            View::Set(set) => self.sequence(set.iter(), visitor),
            View::ArrayBuffer(buffer) => visitor.visit_borrowed_bytes(&buffer.bytes),
            View::Typed(typed) => visitor.visit_bytes(&typed.bytes()),
            View::Blob(blob) => visitor.visit_borrowed_bytes(&blob.bytes),
            View::Object(object) => visitor.visit_map(Entries::new(self, object.iter().map(keyed))),
            View::Map(map) => visitor
                .visit_map(Entries::new(self, map.iter().map(|(key, value)| (Field::Value(key), value)))),
            View::Error(_) => visitor.visit_map(Entries::new(self, self.error_fields().into_iter())),
            View::Headers(headers) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let pairs = headers.iter().map(|(name, value)| (text(name), text(value)));
                visitor.visit_map(de::value::MapDeserializer::new(pairs))
            }
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConvertError> {
        match self.value.view() {
            View::Undefined | View::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ConvertError> {
        if name != pass::NAME {
            return visitor.visit_newtype_struct(self);
        }
        pass::put(self.value.to_value());
        visitor.visit_unit()
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConvertError> {
        match self.value.view() {
            View::Typed(typed) => self.elements(typed, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, ConvertError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConvertError> {
        match self.value.view() {
            View::String(JsStr::Utf8(variant)) => visitor.visit_enum(variant.into_deserializer()),
            View::Object(object) if object.len() == 1 => {
                let entries = Entries::new(self, object.iter().map(keyed));
                visitor.visit_enum(de::value::MapAccessDeserializer::new(entries))
            }
            _ => Err(self.wrong(&visitor)),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple_struct map struct identifier ignored_any
    }
}

impl<'a> Deserializer<'a, '_> {
    /// What is missing is undefined; but an array of nothing may be said to be very long.
    fn charge_holes(self, length: usize) -> Result<(), ConvertError> {
        if length <= self.value.heap().slots.len().max(self.budget.get()) {
            return Ok(());
        }
        Err(ConvertError::custom(format!(
            "an array of {length} elements has too many holes; take it as a JsValue"
        )))
    }

    /// What an error is, as properties: those of its own, and those that it has from elsewhere.
    fn error_fields(self) -> Vec<(Field<'a>, JsRef<'a>)> {
        let View::Error(error) = self.value.view() else { return Vec::new() };
        let mut fields = Vec::new();
        for (name, slot) in
            [("name", error.node.name), ("message", error.node.message), ("stack", error.node.stack)]
        {
            if !slot.is_hole() {
                fields.push((Field::Text(name.into()), self.value.with(slot)));
            }
        }
        if !error.node.cause.is_hole() {
            fields.push((Field::Text("cause".into()), self.value.with(error.node.cause)));
        }
        if let Some(View::Object(properties)) = error.properties().map(JsRef::view) {
            fields.extend(properties.iter().map(keyed));
        }
        fields
    }
}

struct Sequence<'a, 'b, I> {
    from: Deserializer<'a, 'b>,
    values: I,
}

impl<'de, 'a: 'de, I: Iterator<Item = JsRef<'a>>> de::SeqAccess<'de> for Sequence<'a, '_, I> {
    type Error = ConvertError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ConvertError> {
        let Some(value) = self.values.next() else { return Ok(None) };
        seed.deserialize(self.from.within(value)?).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.values.size_hint().1
    }
}

/// A key: of an object, or of a Map.
enum Field<'a> {
    Text(Cow<'a, str>),
    Value(JsRef<'a>),
}

fn keyed<'a>((key, value): (Key<'a>, JsRef<'a>)) -> (Field<'a>, JsRef<'a>) {
    let text = match key {
        Key::Index(index) => Cow::Owned(index.to_string()),
        Key::Name(name) => name.to_string_lossy(),
    };
    (Field::Text(text), value)
}

struct Entries<'a, 'b, I> {
    from: Deserializer<'a, 'b>,
    entries: I,
    value: Option<(String, JsRef<'a>)>,
}

impl<'a, 'b, I> Entries<'a, 'b, I> {
    fn new(from: Deserializer<'a, 'b>, entries: I) -> Self {
        Entries { from, entries, value: None }
    }
}

impl<'de, 'a: 'de, I: Iterator<Item = (Field<'a>, JsRef<'a>)>> de::MapAccess<'de> for Entries<'a, '_, I> {
    type Error = ConvertError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ConvertError> {
        let Some((field, value)) = self.entries.next() else { return Ok(None) };
        match field {
            Field::Text(text) => {
                self.value = Some((text.to_string(), value));
                seed.deserialize(KeyText(text)).map(Some)
            }
            Field::Value(key) => {
                self.value = Some((key.inspect(&Options { depth: Some(0), ..Options::default() }), value));
                seed.deserialize(self.from.within(key)?).map(Some)
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ConvertError> {
        let Some((name, value)) = self.value.take() else {
            return Err(ConvertError::custom("a value was asked for before its key"));
        };
        seed.deserialize(self.from.within(value)?).map_err(|error| at(&name, error))
    }
}

/// Says where an error is, once: from the outside in.
fn at(name: &impl Display, error: ConvertError) -> ConvertError {
    match error.0.strip_prefix("at ") {
        Some(rest) => ConvertError(format!("at {name}.{rest}")),
        None => ConvertError(format!("at {name}: {}", error.0)),
    }
}
