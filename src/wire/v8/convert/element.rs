//! Elements of views, for sequences of numbers.

use serde::de::{self, IntoDeserializer, Visitor};

use super::ConvertError;
use crate::wire::v8::binary::Element;
use crate::wire::v8::number::half;

/// An element of a view.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

impl Number {
    pub(super) fn read(element: Element, raw: &[u8]) -> Number {
        let mut wide = [0; 8];
        wide.iter_mut().zip(raw).for_each(|(to, from)| *to = *from);
        let bits = u64::from_le_bytes(wide);
        match element {
            Element::Int8 => Number::Signed(i64::from(bits as i8)),
            Element::Int16 => Number::Signed(i64::from(bits as i16)),
            Element::Int32 => Number::Signed(i64::from(bits as i32)),
            Element::BigInt64 => Number::Signed(bits as i64),
            Element::Float16 => Number::Float(half(bits as u16)),
            Element::Float32 => Number::Float(f64::from(f32::from_bits(bits as u32))),
            Element::Float64 => Number::Float(f64::from_bits(bits)),
            _ => Number::Unsigned(bits),
        }
    }
}

impl<'de> IntoDeserializer<'de, ConvertError> for Number {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for Number {
    type Error = ConvertError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConvertError> {
        match self {
            Number::Signed(number) => visitor.visit_i64(number),
            Number::Unsigned(number) => visitor.visit_u64(number),
            Number::Float(number) => visitor.visit_f64(number),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
