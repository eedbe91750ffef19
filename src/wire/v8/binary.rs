//! Buffers, views of them, and Blobs.

use bytes::Bytes;

use super::slot::Slot;
use super::view::{JsRef, View};

/// An ArrayBuffer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArrayBuffer {
    /// What is in it. It may be a part of the message that it came in.
    pub bytes: Bytes,
    /// How far it can be resized, if it can.
    pub max_len: Option<u64>,
}

/// A file without a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blob {
    /// Its MIME type, or nothing.
    pub mime: Box<str>,
    /// What is in it.
    pub bytes: Bytes,
}

/// What a view takes the bytes of a buffer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they are JavaScript's classes")]
pub enum Element {
    Int8,
    Uint8,
    Uint8Clamped,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Float16,
    Float32,
    Float64,
    BigInt64,
    BigUint64,
    /// Bytes that a DataView takes apart.
    DataView,
}

impl Element {
    const ALL: [Element; 13] = [
        Element::Int8,
        Element::Uint8,
        Element::Uint8Clamped,
        Element::Int16,
        Element::Uint16,
        Element::Int32,
        Element::Uint32,
        Element::Float16,
        Element::Float32,
        Element::Float64,
        Element::BigInt64,
        Element::BigUint64,
        Element::DataView,
    ];

    /// Its letter in the serialized form, its class, and the size of one.
    fn facts(self) -> (u8, &'static str, usize) {
        match self {
            Element::Int8 => (b'b', "Int8Array", 1),
            Element::Uint8 => (b'B', "Uint8Array", 1),
            Element::Uint8Clamped => (b'C', "Uint8ClampedArray", 1),
            Element::Int16 => (b'w', "Int16Array", 2),
            Element::Uint16 => (b'W', "Uint16Array", 2),
            Element::Int32 => (b'd', "Int32Array", 4),
            Element::Uint32 => (b'D', "Uint32Array", 4),
            Element::Float16 => (b'h', "Float16Array", 2),
            Element::Float32 => (b'f', "Float32Array", 4),
            Element::Float64 => (b'F', "Float64Array", 8),
            Element::BigInt64 => (b'q', "BigInt64Array", 8),
            Element::BigUint64 => (b'Q', "BigUint64Array", 8),
            Element::DataView => (b'?', "DataView", 1),
        }
    }

    pub(super) fn letter(self) -> u8 {
        self.facts().0
    }

    pub(super) fn of_letter(letter: u8) -> Option<Self> {
        Element::ALL.into_iter().find(|element| element.letter() == letter)
    }

    /// The view's class.
    pub fn class(self) -> &'static str {
        self.facts().1
    }

    /// The element that views of this class have.
    pub fn of_class(class: &str) -> Option<Self> {
        Element::ALL.into_iter().find(|element| element.class() == class)
    }

    /// How many bytes one takes.
    pub fn size(self) -> usize {
        self.facts().2
    }
}

/// A typed array or a DataView.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'a> {
    pub(super) value: JsRef<'a>,
    pub(super) element: Element,
    pub(super) buffer: Slot,
    pub(super) offset: usize,
    pub(super) length: usize,
    pub(super) tracking: bool,
}

impl<'a> Typed<'a> {
    /// What it takes the bytes for.
    pub fn element(self) -> Element {
        self.element
    }

    /// The ArrayBuffer, as a value: views of the same buffer have the same.
    pub fn buffer(self) -> JsRef<'a> {
        self.value.with(self.buffer)
    }

    /// Where in the buffer it begins, in bytes.
    pub fn byte_offset(self) -> usize {
        self.offset
    }

    /// How long it is, in bytes.
    pub fn byte_len(self) -> usize {
        self.length
    }

    /// Whether its length follows that of its resizable buffer.
    pub fn is_length_tracking(self) -> bool {
        self.tracking
    }

    /// Its bytes.
    pub fn bytes(self) -> Bytes {
        match self.buffer().view() {
            View::ArrayBuffer(buffer) if self.offset + self.length <= buffer.bytes.len() => {
                buffer.bytes.slice(self.offset..self.offset + self.length)
            }
            _ => Bytes::new(),
        }
    }
}
