//! What is no object.

use super::Writer;
use crate::wire::v8::error::EncodeError;
use crate::wire::v8::string::JsStr;

/// The longest string that V8 makes, in code units.
const LONGEST_STRING: usize = (1 << 29) - 24;

/// The longest BigInt that V8 makes, in digits.
const LONGEST_BIG_INT: usize = (1 << 30) / 64;

impl Writer<'_> {
    /// As V8 does.
    #[inline]
    pub(super) fn number(&mut self, number: f64) {
        if is_small_integer(number) {
            let integer = number as i32;
            self.byte(b'I');
            self.varint(u64::from((integer << 1 ^ integer >> 31) as u32));
        } else {
            self.double(b'N', number);
        }
    }

    pub(super) fn double(&mut self, tag: u8, number: f64) {
        self.byte(tag);
        self.out.extend_from_slice(&number.to_le_bytes());
    }

    #[inline]
    pub(super) fn string(&mut self, string: JsStr<'_>) -> Result<(), EncodeError> {
        match string {
            JsStr::Utf8(text) if text.is_ascii() => {
                self.string_fits(text.len())?;
                self.byte(b'"');
                self.counted(text.as_bytes())
            }
            JsStr::Utf8(text) if text.chars().all(|character| u32::from(character) < 0x100) => {
                let length = text.chars().count();
                self.string_fits(length)?;
                self.byte(b'"');
                self.varint(length as u64);
                self.has_room(length)?;
                self.out.extend(text.chars().map(|character| u32::from(character) as u8));
                Ok(())
            }
            JsStr::Utf8(text) => self.two_bytes(text.encode_utf16().count(), text.encode_utf16()),
            JsStr::Wide(units) => self.two_bytes(units.len(), units.iter().copied()),
        }
    }

    /// V8 reads these faster where they are aligned, and so a worker aligns them.
    fn two_bytes(&mut self, length: usize, units: impl Iterator<Item = u16>) -> Result<(), EncodeError> {
        self.string_fits(length)?;
        self.has_room(length * 2)?;
        let bytes = length as u64 * 2;
        if !(self.out.len() + 1 + varint_len(bytes)).is_multiple_of(2) {
            self.byte(0);
        }
        self.byte(b'c');
        self.varint(bytes);
        self.out.reserve(length * 2);
        units.for_each(|unit| self.out.extend_from_slice(&unit.to_le_bytes()));
        Ok(())
    }

    fn string_fits(&self, length: usize) -> Result<(), EncodeError> {
        if length > LONGEST_STRING { Err(EncodeError::Oversized("a string")) } else { Ok(()) }
    }

    /// The sign, the length in bytes, and the digits.
    pub(super) fn big_int(&mut self, place: usize) -> Result<(), EncodeError> {
        let Some(value) = self.heap.big_ints.get(place) else { return Ok(()) };
        let digits = value.digits();
        if digits.len() > LONGEST_BIG_INT {
            return Err(EncodeError::Oversized("a BigInt"));
        }
        self.has_room(digits.len() * 8)?;
        let length = digits.len() as u64 * 8;
        self.varint(length << 1 | u64::from(value.is_negative()));
        digits.iter().for_each(|digit| self.out.extend_from_slice(&digit.to_le_bytes()));
        Ok(())
    }
}

/// Integers of 31 bits: in workerd, V8 keeps those beside its pointers, and every other number as a double.
#[inline]
pub(super) fn is_small_integer(number: f64) -> bool {
    const LIMIT: i32 = 1 << 30;
    let integer = number as i32;
    f64::from(integer) == number
        && (-LIMIT..LIMIT).contains(&integer)
        && !(integer == 0 && number.is_sign_negative())
}

fn varint_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_varint() {
        for (number, length) in [(0, 1), (127, 1), (128, 2), (16383, 2), (16384, 3), (u64::MAX, 10)] {
            assert_eq!(varint_len(number), length, "{number}");
        }
    }
}
