//! Rust types as values.

use serde::ser::{self, Error as _, Serialize};

use super::{ConvertError, pass};
use crate::wire::v8::bigint::BigInt;
use crate::wire::v8::builder::{Builder, Place};
use crate::wire::v8::number::number_text;
use crate::wire::v8::value::JsValue;

/// Integers up to here are exact as numbers.
pub(super) const LARGEST_SAFE: u64 = (1 << 53) - 1;

/// Writes into a builder, and says where.
pub(super) struct Serializer<'b> {
    pub(super) builder: &'b mut Builder,
}

/// An array, an object, or an object around one of them, that is being written.
pub(super) struct Compound<'b> {
    builder: &'b mut Builder,
    place: Place,
    /// The object around it, for a variant with contents.
    around: Option<Place>,
    key: String,
}

impl<'b> Serializer<'b> {
    fn put(self, value: impl Into<JsValue>) -> Result<Place, ConvertError> {
        Ok(self.builder.value(value))
    }

    fn again(builder: &mut Builder) -> Serializer<'_> {
        Serializer { builder }
    }

    fn array(self) -> Compound<'b> {
        let place = self.builder.array();
        Compound { builder: self.builder, place, around: None, key: String::new() }
    }

    fn object(self) -> Compound<'b> {
        let place = self.builder.object();
        Compound { builder: self.builder, place, around: None, key: String::new() }
    }

    /// `{ variant: place }`, with the place still to be filled.
    fn variant(self, variant: &str, place: fn(&mut Builder) -> Place) -> Compound<'b> {
        let around = self.builder.object();
        let place = place(self.builder);
        self.builder.set(around, variant, place);
        Compound { builder: self.builder, place, around: Some(around), key: String::new() }
    }
}

impl<'b> ser::Serializer for Serializer<'b> {
    type Ok = Place;
    type Error = ConvertError;
    type SerializeSeq = Compound<'b>;
    type SerializeTuple = Compound<'b>;
    type SerializeTupleStruct = Compound<'b>;
    type SerializeTupleVariant = Compound<'b>;
    type SerializeMap = Compound<'b>;
    type SerializeStruct = Compound<'b>;
    type SerializeStructVariant = Compound<'b>;

    fn serialize_bool(self, value: bool) -> Result<Place, ConvertError> {
        self.put(value)
    }

    fn serialize_i8(self, value: i8) -> Result<Place, ConvertError> {
        self.put(value)
    }

    fn serialize_i16(self, value: i16) -> Result<Place, ConvertError> {
        self.put(value)
    }

    fn serialize_i32(self, value: i32) -> Result<Place, ConvertError> {
        self.put(value)
    }

    fn serialize_i64(self, value: i64) -> Result<Place, ConvertError> {
        self.serialize_i128(value.into())
    }

    fn serialize_i128(self, value: i128) -> Result<Place, ConvertError> {
        if value.unsigned_abs() <= LARGEST_SAFE.into() {
            self.put(value as f64)
        } else {
            self.put(BigInt::from(value))
        }
    }

    fn serialize_u8(self, value: u8) -> Result<Place, ConvertError> {
        self.put(value)
    }

    fn serialize_u16(self, value: u16) -> Result<Place, ConvertError> {
        self.put(value)
    }

    fn serialize_u32(self, value: u32) -> Result<Place, ConvertError> {
        self.put(value)
    }

    fn serialize_u64(self, value: u64) -> Result<Place, ConvertError> {
        self.serialize_u128(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result<Place, ConvertError> {
        if value <= LARGEST_SAFE.into() { self.put(value as f64) } else { self.put(BigInt::from(value)) }
    }

    fn serialize_f32(self, value: f32) -> Result<Place, ConvertError> {
        self.put(value)
    }

    fn serialize_f64(self, value: f64) -> Result<Place, ConvertError> {
        self.put(value)
    }

    fn serialize_char(self, value: char) -> Result<Place, ConvertError> {
        self.put(value.to_string())
    }

    fn serialize_str(self, value: &str) -> Result<Place, ConvertError> {
        self.put(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Place, ConvertError> {
        self.put(JsValue::bytes(bytes::Bytes::copy_from_slice(value)))
    }

    fn serialize_none(self) -> Result<Place, ConvertError> {
        self.put(JsValue::NULL)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Place, ConvertError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Place, ConvertError> {
        self.put(JsValue::UNDEFINED)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Place, ConvertError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Place, ConvertError> {
        self.put(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Place, ConvertError> {
        match pass::take().filter(|_| name == pass::NAME) {
            Some(value) => self.put(value),
            None => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Place, ConvertError> {
        let place = value.serialize(Serializer::again(self.builder))?;
        let around = self.builder.object();
        self.builder.set(around, variant, place);
        Ok(around)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Compound<'b>, ConvertError> {
        Ok(self.array())
    }

    fn serialize_tuple(self, _length: usize) -> Result<Compound<'b>, ConvertError> {
        Ok(self.array())
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Compound<'b>, ConvertError> {
        Ok(self.array())
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'b>, ConvertError> {
        Ok(self.variant(variant, Builder::array))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Compound<'b>, ConvertError> {
        Ok(self.object())
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Compound<'b>, ConvertError> {
        Ok(self.object())
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'b>, ConvertError> {
        Ok(self.variant(variant, Builder::object))
    }
}

impl Compound<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ConvertError> {
        let value = value.serialize(Serializer::again(self.builder))?;
        self.builder.push(self.place, value);
        Ok(())
    }

    fn property<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), ConvertError> {
        let value = value.serialize(Serializer::again(self.builder))?;
        self.builder.set(self.place, key, value);
        Ok(())
    }

    fn done(self) -> Result<Place, ConvertError> {
        Ok(self.around.unwrap_or(self.place))
    }
}

impl ser::SerializeSeq for Compound<'_> {
    type Ok = Place;
    type Error = ConvertError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ConvertError> {
        self.element(value)
    }

    fn end(self) -> Result<Place, ConvertError> {
        self.done()
    }
}

impl ser::SerializeTuple for Compound<'_> {
    type Ok = Place;
    type Error = ConvertError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ConvertError> {
        self.element(value)
    }

    fn end(self) -> Result<Place, ConvertError> {
        self.done()
    }
}

impl ser::SerializeTupleStruct for Compound<'_> {
    type Ok = Place;
    type Error = ConvertError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ConvertError> {
        self.element(value)
    }

    fn end(self) -> Result<Place, ConvertError> {
        self.done()
    }
}

impl ser::SerializeTupleVariant for Compound<'_> {
    type Ok = Place;
    type Error = ConvertError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ConvertError> {
        self.element(value)
    }

    fn end(self) -> Result<Place, ConvertError> {
        self.done()
    }
}

impl ser::SerializeMap for Compound<'_> {
    type Ok = Place;
    type Error = ConvertError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ConvertError> {
        let key = super::to_value(key)?;
        self.key = match (key.as_str(), key.as_f64(), key.as_bool()) {
            (Some(text), ..) => text.to_owned(),
            (_, Some(number), _) => number_text(number),
            (.., Some(value)) => value.to_string(),
            _ => {
                return Err(ConvertError::custom(format!(
                    "{key:?} cannot be the key of an object; a map with such keys is a JsMap"
                )));
            }
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ConvertError> {
        let key = std::mem::take(&mut self.key);
        self.property(&key, value)
    }

    fn end(self) -> Result<Place, ConvertError> {
        self.done()
    }
}

impl ser::SerializeStruct for Compound<'_> {
    type Ok = Place;
    type Error = ConvertError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), ConvertError> {
        self.property(key, value)
    }

    fn end(self) -> Result<Place, ConvertError> {
        self.done()
    }
}

impl ser::SerializeStructVariant for Compound<'_> {
    type Ok = Place;
    type Error = ConvertError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), ConvertError> {
        self.property(key, value)
    }

    fn end(self) -> Result<Place, ConvertError> {
        self.done()
    }
}
