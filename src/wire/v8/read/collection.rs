//! Objects, arrays, maps, sets and regular expressions.

use super::{Frame, Reader, What};
use crate::wire::v8::collection::RegExp;
use crate::wire::v8::error::{Fault, V8Error};
use crate::wire::v8::heap::{Node, Span};
use crate::wire::v8::pairs::{INDEXED, TwiceTheSameKey};
use crate::wire::v8::slot::{Item, Slot};
use crate::wire::v8::string::JsStr;

impl Reader<'_> {
    pub(super) fn begin_dense(&mut self) -> Result<Option<Slot>, V8Error> {
        let length = self.cursor.varint32()?;
        // Every element takes a byte at least.
        if length as usize > self.cursor.left() {
            return self.cursor.fault(Fault::Truncated);
        }
        self.spend(length as usize * size_of::<Slot>())?;
        self.scratch.reserve(length as usize);
        self.open(What::Dense { length })
    }

    /// Elements, then properties.
    pub(super) fn dense(&mut self, frame: Frame, length: u32) -> Result<Option<Slot>, V8Error> {
        while self.scratch.len() - frame.base < length as usize {
            if self.cursor.take(b'-') {
                self.scratch.push(Slot::HOLE);
                continue;
            }
            match self.value()? {
                Some(element) => self.scratch.push(element),
                None => return Ok(None),
            }
        }
        let dense = self.heap.add_slots(self.scratch.get(frame.base..).unwrap_or_default());
        self.scratch.truncate(frame.base);
        let what = What::DenseProps { length, dense };
        self.frames.last_mut().into_iter().for_each(|frame| frame.what = what);
        self.pairs(Frame { what, ..frame }, b'$')
    }

    /// Keys and values, up to the tag that ends them.
    pub(super) fn pairs(&mut self, frame: Frame, end: u8) -> Result<Option<Slot>, V8Error> {
        loop {
            let offset = self.cursor.offset();
            let tag = self.cursor.tag()?;
            if tag == end {
                return self.end_pairs(frame).map(Some);
            }
            let key = self.key(tag, frame.what, offset)?;
            self.scratch.push(key);
            match self.value()? {
                Some(value) => self.scratch.push(value),
                None => return Ok(None),
            }
        }
    }

    #[inline]
    fn key(&mut self, tag: u8, of: What, offset: usize) -> Result<Slot, V8Error> {
        let key = if tag == b'"' {
            self.known_key()?
        } else {
            let read = self.primitive(tag)?;
            read.and_then(|read| self.heap.key_of(read))
        };
        match (key.map(Slot::item), key, of) {
            (Some(Item::Number(index)), _, What::Sparse { length }) if index >= f64::from(length) => {
                expected(offset, "an index below the array's length")
            }
            (Some(Item::Number(_)), _, What::DenseProps { .. }) => expected(offset, "a key that is no index"),
            (_, Some(key), _) => Ok(key),
            (_, None, _) => expected(offset, "a key, which is a string or a number,"),
        }
    }

    /// A key of Latin-1. Objects of the same kind have the same keys, and share them.
    fn known_key(&mut self) -> Result<Option<Slot>, V8Error> {
        let length = self.cursor.length()?;
        let raw = self.cursor.raw(length)?;
        let place = key_place(raw);
        if let Some(known) = self.keys.get(place).copied()
            && self.heap.string(known).and_then(JsStr::as_str).is_some_and(|text| text.as_bytes() == raw)
            && raw.is_ascii()
        {
            return Ok(Some(known));
        }
        let read = self.latin1(raw);
        let key = self.heap.key_of(read);
        if let (Some(known), Some(key)) = (self.keys.get_mut(place), key) {
            *known = key;
        }
        Ok(key)
    }

    fn end_pairs(&mut self, frame: Frame) -> Result<Slot, V8Error> {
        let pairs = (self.scratch.len() - frame.base) / 2;
        self.count("properties", pairs as u64)?;
        if pairs > INDEXED {
            self.boxed += pairs * INDEX_PER_PAIR;
            self.spend(0)?;
        }
        let collected = self.scratch.get_mut(frame.base..).unwrap_or_default();
        let node = match frame.what {
            What::DenseProps { length, dense } => {
                let node = self.heap.array(length, dense, collected);
                self.count("elements", u64::from(length))?;
                node
            }
            What::Sparse { length } => {
                let node = self.heap.sparse_array(length, collected);
                self.count("elements", u64::from(length))?;
                node
            }
            _ => self.heap.object(collected),
        };
        match node {
            Ok(node) => Ok(self.finish(frame, node)),
            Err(TwiceTheSameKey) => self.cursor.fault(Fault::TwiceTheSameKey),
        }
    }

    pub(super) fn finish(&mut self, frame: Frame, node: Node) -> Slot {
        if let Some(unfinished) = self.heap.nodes.get_mut(frame.node) {
            *unfinished = node;
        }
        self.close(frame)
    }

    fn count(&mut self, what: &'static str, found: u64) -> Result<(), V8Error> {
        let offset = self.cursor.offset();
        let said = u64::from(self.cursor.varint32()?);
        if said == found {
            Ok(())
        } else {
            Err(V8Error { offset, fault: Fault::Count { what, said, found } })
        }
    }

    /// What a Map or a Set has, up to the tag that ends it; so many values at a time.
    pub(super) fn entries(
        &mut self,
        frame: Frame,
        end: u8,
        at_a_time: usize,
    ) -> Result<Option<Slot>, V8Error> {
        loop {
            let found = self.scratch.len() - frame.base;
            if found.is_multiple_of(at_a_time) && self.cursor.take(end) {
                self.count("values", found as u64)?;
                let span: Span = self.heap.add_slots(self.scratch.get(frame.base..).unwrap_or_default());
                let node = if at_a_time == 2 { Node::Map(span) } else { Node::Set(span) };
                return Ok(Some(self.finish(frame, node)));
            }
            match self.value()? {
                Some(value) => self.scratch.push(value),
                None => return Ok(None),
            }
        }
    }

    pub(super) fn reg_exp(&mut self) -> Result<Option<Slot>, V8Error> {
        let mut source = self.string()?;
        if self.heap.string(source).is_some_and(JsStr::is_empty) {
            // What JavaScript makes of it.
            source = self.heap.add_text("(?:)");
        }
        let offset = self.cursor.offset();
        let flags = self.cursor.varint32()?;
        if !RegExp::are_flags(flags) {
            return expected(offset, "flags of a regular expression");
        }
        self.whole(Node::RegExp { source, flags })
    }
}

/// What finding the keys of a large object takes, at most.
const INDEX_PER_PAIR: usize = 4 * size_of::<usize>();

/// How many keys are remembered while a value is read.
pub(super) const KEYS: usize = 256;

/// Where a key is remembered.
fn key_place(key: &[u8]) -> usize {
    let byte = |place: usize| key.get(place).copied().map_or(0, usize::from);
    let last = key.len().saturating_sub(1);
    (key.len() + 7 * byte(0) + 31 * byte(last) + 127 * byte(last / 2)) % KEYS
}

pub(super) fn expected<T>(offset: usize, expected: &'static str) -> Result<T, V8Error> {
    Err(V8Error { offset, fault: Fault::Expected { expected } })
}
