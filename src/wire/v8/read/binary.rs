//! Buffers and views of them.

use bytes::Bytes;

use super::collection::expected;
use super::{Reader, Source};
use crate::wire::v8::binary::{ArrayBuffer, Element};
use crate::wire::v8::error::{Fault, V8Error};
use crate::wire::v8::heap::Node;
use crate::wire::v8::slot::Slot;

/// Shorter buffers are copied: they are not worth keeping the whole message alive.
const SHARED_FROM: usize = 4096;

/// The flags of a view.
const TRACKING: u32 = 1;
const RESIZABLE: u32 = 2;

impl Reader<'_> {
    pub(super) fn buffer(&mut self, resizable: bool) -> Result<Option<Slot>, V8Error> {
        let offset = self.cursor.offset();
        let length = self.size()?;
        let max_len = if resizable { Some(self.size()?) } else { None };
        if max_len.is_some_and(|max_len| max_len < length) {
            return expected(offset, "a buffer no longer than its own limit");
        }
        let bytes = self.bytes(length)?;
        let node = self.node(Node::Buffer(Box::new(ArrayBuffer { bytes, max_len })))?;
        self.boxed += size_of::<ArrayBuffer>();
        self.view_of(Slot::node(node)).map(Some)
    }

    /// A size in bytes: 64 bits since version 16.
    fn size(&mut self) -> Result<u64, V8Error> {
        if self.version >= 16 { self.cursor.varint64() } else { self.cursor.varint32().map(u64::from) }
    }

    /// So many bytes as they are.
    pub(super) fn bytes(&mut self, length: u64) -> Result<Bytes, V8Error> {
        let Ok(length) = usize::try_from(length) else { return self.cursor.fault(Fault::Truncated) };
        let raw = self.cursor.raw(length)?;
        match self.source {
            Source::Shared(shared) if length >= SHARED_FROM => Ok(shared.slice_ref(raw)),
            _ => {
                self.boxed += length;
                Ok(Bytes::copy_from_slice(raw))
            }
        }
    }

    /// The view that follows a buffer, or the buffer itself if none does. A view is written after its buffer, or
    /// after a reference to it.
    pub(super) fn view_of(&mut self, buffer: Slot) -> Result<Slot, V8Error> {
        let Some(Node::Buffer(facts)) = self.heap.node(buffer) else { return Ok(buffer) };
        let (available, resizable) = (facts.bytes.len() as u64, facts.max_len.is_some());
        if !self.cursor.take(b'V') {
            return Ok(buffer);
        }
        let at = self.cursor.offset();
        let letter = u8::try_from(self.cursor.varint32()?).ok();
        let Some(element) = letter.and_then(Element::of_letter) else {
            return expected(at, "the class of a view");
        };
        let (offset, length) = (self.size()?, self.size()?);
        let flags = if self.version >= 14 { self.cursor.varint32()? } else { 0 };
        let size = element.size() as u64;
        if offset.checked_add(length).is_none_or(|end| end > available) {
            return expected(at, "a view within its buffer");
        }
        if offset % size != 0 || length % size != 0 {
            return expected(at, "a view of whole elements");
        }
        let tracking = flags & TRACKING != 0;
        if flags & !(TRACKING | RESIZABLE) != 0
            || (flags & RESIZABLE != 0) != resizable
            || tracking && !resizable
        {
            return expected(at, "flags of a view that agree with its buffer");
        }
        // V8 does not say the length of a view that follows its buffer's.
        let length = if tracking { (available - offset) / size * size } else { length };
        let (offset, length) = (offset as usize, length as usize);
        Ok(Slot::node(self.node(Node::Typed { element, tracking, buffer, offset, length })?))
    }
}
