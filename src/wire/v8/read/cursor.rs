//! The bytes, and how far they were read.

use crate::wire::v8::error::{Fault, V8Error};

/// Fills up before a string of two bytes a unit; says nothing.
const PADDING: u8 = 0;

pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// A fault at the place that was reached.
    pub(super) fn fault<T>(&self, fault: Fault) -> Result<T, V8Error> {
        Err(V8Error { offset: self.at, fault })
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, V8Error> {
        match self.bytes.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => self.fault(Fault::Truncated),
        }
    }

    /// The next tag; padding before it is skipped.
    #[inline]
    pub(super) fn tag(&mut self) -> Result<u8, V8Error> {
        loop {
            let byte = self.byte()?;
            if byte != PADDING {
                return Ok(byte);
            }
        }
    }

    /// The next tag, which stays. Padding before it is gone.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at) == Some(&PADDING) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    /// Takes the next tag if it is this one.
    #[inline]
    pub(super) fn take(&mut self, tag: u8) -> bool {
        let is = self.peek() == Some(tag);
        self.at += usize::from(is);
        is
    }

    #[inline]
    pub(super) fn raw(&mut self, len: usize) -> Result<&'a [u8], V8Error> {
        match self.bytes.get(self.at..).and_then(|left| left.get(..len)) {
            Some(raw) => {
                self.at += len;
                Ok(raw)
            }
            None => self.fault(Fault::Truncated),
        }
    }

    #[inline]
    pub(super) fn varint32(&mut self) -> Result<u32, V8Error> {
        let start = self.at;
        match u32::try_from(self.varint64()?) {
            Ok(number) => Ok(number),
            Err(_) => Err(V8Error { offset: start, fault: Fault::TooLarge("number of 32 bits") }),
        }
    }

    /// A number, seven bits a byte, the lowest first. V8 drops bits beyond those it wants; nobody writes them, and
    /// here they are an error.
    #[inline]
    pub(super) fn varint64(&mut self) -> Result<u64, V8Error> {
        let start = self.at;
        let mut number = 0_u64;
        for shift in (0..).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift > 63 || bits << shift >> shift != bits {
                return Err(V8Error { offset: start, fault: Fault::TooLarge("number of 64 bits") });
            }
            number |= bits << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(number)
    }

    /// A length of bytes that are there.
    pub(super) fn length(&mut self) -> Result<usize, V8Error> {
        let length = self.varint64()?;
        match usize::try_from(length) {
            Ok(length) if length <= self.left() => Ok(length),
            _ => self.fault(Fault::Truncated),
        }
    }

    pub(super) fn double(&mut self) -> Result<f64, V8Error> {
        let raw = self.raw(8)?;
        Ok(f64::from_le_bytes(raw.try_into().unwrap_or_default()))
    }
}
