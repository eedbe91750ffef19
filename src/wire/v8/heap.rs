//! Where the objects and strings of a value lie.

use super::bigint::BigInt;
use super::binary::{ArrayBuffer, Blob, Element};
use super::external::External;
use super::failure::{DomException, ErrorNode};
use super::http::Headers;
use super::key::Index;
use super::slot::{Item, Slot};
use super::string::JsStr;

/// A run of places in one of the heap's tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) len: usize,
}

impl Span {
    pub(super) fn of<T>(self, table: &[T]) -> &[T] {
        table.get(self.start..self.start.saturating_add(self.len)).unwrap_or_default()
    }

    pub(super) fn moved(self, by: usize) -> Span {
        Span { start: self.start + by, len: self.len }
    }
}

/// Everything that values refer to. Objects refer to each other by place, so cycles are no leak: the heap goes when
/// the last value that lies in it goes, and nothing recurses then.
///
/// A heap never changes once a value shares it.
#[derive(Debug, Default)]
pub(super) struct Heap {
    pub(super) nodes: Vec<Node>,
    /// Elements, and pairs of key and value, of all objects. Those of one object lie side by side.
    pub(super) slots: Vec<Slot>,
    pub(super) texts: Vec<Span>,
    pub(super) utf8: String,
    pub(super) wides: Vec<Span>,
    pub(super) utf16: Vec<u16>,
    pub(super) big_ints: Vec<BigInt>,
}

/// An object. Rare and large kinds are boxed, so that every node takes 32 bytes.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// Not yet filled in. No finished heap has one.
    Unfinished,
    Object {
        /// Pairs: first the indices, ascending, then the other keys as they were inserted. No key comes twice.
        props: Span,
        index: Option<Box<Index>>,
    },
    Array {
        length: u32,
        /// The first elements, holes among them.
        dense: Span,
        rest: Option<Box<Rest>>,
    },
    Date(f64),
    RegExp {
        source: Slot,
        flags: u32,
    },
    /// A primitive as an object.
    Boxed(Slot),
    /// Pairs of key and value.
    Map(Span),
    Set(Span),
    Buffer(Box<ArrayBuffer>),
    /// A view. What it covers lies within its buffer.
    Typed {
        element: Element,
        tracking: bool,
        buffer: Slot,
        offset: usize,
        length: usize,
    },
    Error(Box<ErrorNode>),
    DomException(Box<DomException>),
    Headers(Box<Headers>),
    Request {
        url: Box<str>,
        init: Slot,
    },
    Response {
        body: Slot,
        init: Slot,
    },
    Blob(Box<Blob>),
    External(External),
}

/// What an array has besides its first elements: elements beyond those, then properties that are none.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    /// Pairs, as an object has them.
    pub(super) props: Span,
    pub(super) index: Option<Box<Index>>,
    /// How many of the pairs are elements.
    pub(super) elements: usize,
}

impl Heap {
    pub(super) fn text(&self, place: usize) -> &str {
        let span = self.texts.get(place).copied().unwrap_or_default();
        self.utf8.get(span.start..span.start + span.len).unwrap_or_default()
    }

    pub(super) fn wide(&self, place: usize) -> &[u16] {
        self.wides.get(place).copied().unwrap_or_default().of(&self.utf16)
    }

    pub(super) fn string(&self, slot: Slot) -> Option<JsStr<'_>> {
        match slot.item() {
            Item::Text(place) => Some(JsStr::Utf8(self.text(place))),
            Item::Wide(place) => Some(JsStr::Wide(self.wide(place))),
            _ => None,
        }
    }

    /// The object that a slot refers to.
    pub(super) fn node(&self, slot: Slot) -> Option<&Node> {
        self.nodes.get(slot.as_node()?)
    }

    pub(super) fn add_text(&mut self, text: &str) -> Slot {
        self.texts.push(Span { start: self.utf8.len(), len: text.len() });
        self.utf8.push_str(text);
        Slot::text(self.texts.len() - 1)
    }

    /// A string of code units: as UTF-8, unless a surrogate in it is alone.
    pub(super) fn add_utf16(&mut self, units: &[u16]) -> Slot {
        let start = self.utf8.len();
        for unit in char::decode_utf16(units.iter().copied()) {
            match unit {
                Ok(character) => self.utf8.push(character),
                Err(_) => {
                    self.utf8.truncate(start);
                    self.wides.push(Span { start: self.utf16.len(), len: units.len() });
                    self.utf16.extend_from_slice(units);
                    return Slot::wide(self.wides.len() - 1);
                }
            }
        }
        self.texts.push(Span { start, len: self.utf8.len() - start });
        Slot::text(self.texts.len() - 1)
    }

    pub(super) fn add_node(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub(super) fn add_slots(&mut self, slots: &[Slot]) -> Span {
        let start = self.slots.len();
        self.slots.extend_from_slice(slots);
        Span { start, len: slots.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a value takes in memory depends on it.
    #[test]
    fn a_node_takes_32_bytes() {
        assert_eq!(size_of::<Node>(), 32);
    }
}
