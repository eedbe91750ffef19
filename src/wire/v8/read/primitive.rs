//! What is no object.

use super::Reader;
use crate::wire::v8::bigint::BigInt;
use crate::wire::v8::error::{Fault, V8Error};
use crate::wire::v8::slot::Slot;

impl Reader<'_> {
    /// The primitive that this tag begins, if it begins one.
    #[inline]
    pub(super) fn primitive(&mut self, tag: u8) -> Result<Option<Slot>, V8Error> {
        Ok(Some(match tag {
            b'"' => self.one_byte_string()?,
            b'I' => {
                let zigzag = self.cursor.varint32()?;
                Slot::number(f64::from((zigzag >> 1) as i32 ^ -((zigzag & 1) as i32)))
            }
            b'_' => Slot::UNDEFINED,
            b'0' => Slot::NULL,
            b'T' => Slot::TRUE,
            b'F' => Slot::FALSE,
            b'N' => Slot::number(self.cursor.double()?),
            b'U' => Slot::number(f64::from(self.cursor.varint32()?)),
            b'Z' => self.big_int()?,
            b'c' => self.two_byte_string()?,
            b'S' => {
                let length = self.cursor.length()?;
                let text = String::from_utf8_lossy(self.cursor.raw(length)?);
                self.heap.add_text(&text)
            }
            _ => return Ok(None),
        }))
    }

    /// A string, which must come here.
    pub(super) fn string(&mut self) -> Result<Slot, V8Error> {
        let offset = self.cursor.offset();
        let tag = self.cursor.tag()?;
        match tag {
            b'"' | b'c' | b'S' => Ok(self.primitive(tag)?.unwrap_or(Slot::UNDEFINED)),
            _ => Err(V8Error { offset, fault: Fault::Expected { expected: "a string" } }),
        }
    }

    fn one_byte_string(&mut self) -> Result<Slot, V8Error> {
        let length = self.cursor.length()?;
        let raw = self.cursor.raw(length)?;
        Ok(self.latin1(raw))
    }

    #[inline]
    pub(super) fn latin1(&mut self, raw: &[u8]) -> Slot {
        match str::from_utf8(raw) {
            Ok(text) if raw.is_ascii() => self.heap.add_text(text),
            _ => {
                let text: String = raw.iter().copied().map(char::from).collect();
                self.heap.add_text(&text)
            }
        }
    }

    /// UTF-16, the lower byte first.
    fn two_byte_string(&mut self) -> Result<Slot, V8Error> {
        let length = self.cursor.length()?;
        if !length.is_multiple_of(2) {
            return self.cursor.fault(Fault::Expected { expected: "an even number of bytes" });
        }
        let raw = self.cursor.raw(length)?;
        let units = raw.chunks_exact(2).map(|unit| u16::from_le_bytes(unit.try_into().unwrap_or_default()));
        let units: Vec<u16> = units.collect();
        Ok(self.heap.add_utf16(&units))
    }

    /// The sign, the length in bytes, and the digits.
    pub(super) fn big_int(&mut self) -> Result<Slot, V8Error> {
        let head = self.cursor.varint32()?;
        let raw = self.cursor.raw(head as usize >> 1)?;
        let digits = raw.chunks(8).map(|digit| {
            let mut whole = [0; 8];
            whole.iter_mut().zip(digit).for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(whole)
        });
        let value = BigInt::from_digits(head & 1 != 0, digits.collect());
        self.boxed += size_of::<BigInt>() + raw.len();
        self.heap.big_ints.push(value);
        Ok(Slot::big_int(self.heap.big_ints.len() - 1))
    }
}
