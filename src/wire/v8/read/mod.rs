//! Reading the serialized form.
//!
//! Nothing recurses: objects that are open are [`Frame`]s on a stack of their own. What an object has is collected at
//! the end of `scratch`, and moved into the heap when the object ends. Every object takes one node, in the order in
//! which V8 numbers them, so a reference's number is the node's place.

mod cursor;
mod host;
mod primitive;

use super::error::{Fault, Limits, V8Error};
use super::external::External;
use super::heap::{Heap, Node, Span};
use super::slot::{Item, Slot};
use super::value::JsValue;
use cursor::Cursor;

/// Reads a value.
///
/// `externals` are what came beside it, in order: the value refers to them in this order, each once.
///
/// # Errors
/// The bytes are no value, or one that cannot be read here; the error says where and why.
pub fn deserialize(bytes: &[u8], externals: Vec<External>) -> Result<JsValue, V8Error> {
    deserialize_within(bytes, externals, Limits::default())
}

/// As [`deserialize`], with limits of one's own.
///
/// # Errors
/// As [`deserialize`].
pub fn deserialize_within(
    bytes: &[u8],
    externals: Vec<External>,
    limits: Limits,
) -> Result<JsValue, V8Error> {
    let len = bytes.len();
    if len > limits.bytes {
        return Err(V8Error { offset: 0, fault: Fault::TooLong { len, limit: limits.bytes } });
    }
    let mut cursor = Cursor::new(bytes);
    version(&mut cursor)?;
    let mut reader = Reader {
        cursor,
        limits,
        externals: externals.into_iter(),
        heap: Heap::default(),
        scratch: Vec::new(),
        frames: Vec::new(),
    };
    let slot = reader.run()?;
    reader.end()?;
    Ok(if slot.is_immediate() { JsValue::immediate(slot) } else { JsValue::within(reader.heap, slot) })
}

fn version(cursor: &mut Cursor<'_>) -> Result<u32, V8Error> {
    if cursor.byte() != Ok(0xff) {
        return Err(V8Error { offset: 0, fault: Fault::NoHeader });
    }
    match cursor.varint32()? {
        version @ 13..=16 => Ok(version),
        version => Err(V8Error { offset: 1, fault: Fault::Version(version) }),
    }
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    limits: Limits,
    externals: std::vec::IntoIter<External>,
    heap: Heap,
    scratch: Vec<Slot>,
    frames: Vec<Frame>,
}

/// An object that is being read.
#[derive(Clone, Copy)]
struct Frame {
    node: usize,
    /// Where in `scratch` it begins.
    base: usize,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Object,
    /// The elements of an array without holes.
    Dense {
        length: u32,
    },
    /// Its properties, after its elements.
    DenseProps {
        length: u32,
        dense: Span,
    },
    /// An array as pairs of index and element.
    Sparse {
        length: u32,
    },
}

impl Reader<'_> {
    fn run(&mut self) -> Result<Slot, V8Error> {
        let mut read = self.value()?;
        loop {
            match (read, self.frames.last().copied()) {
                (Some(slot), None) => return Ok(slot),
                (None, None) => return self.cursor.fault(Fault::Expected { expected: "a value" }),
                (Some(slot), Some(_)) => self.scratch.push(slot),
                (None, Some(_)) => {}
            }
            let Some(frame) = self.frames.last().copied() else { continue };
            read = match frame.what {
                What::Object => self.pairs(frame, b'{')?,
                What::Dense { length } => self.dense(frame, length)?,
                What::DenseProps { .. } => self.pairs(frame, b'$')?,
                What::Sparse { .. } => self.pairs(frame, b'@')?,
            };
        }
    }

    /// Nothing may be left: neither bytes nor externals.
    fn end(&mut self) -> Result<(), V8Error> {
        if self.cursor.peek().is_some() {
            return self.cursor.fault(Fault::Trailing(self.cursor.left()));
        }
        match self.externals.len() {
            0 => Ok(()),
            unused => self.cursor.fault(Fault::UnusedExternals(unused)),
        }
    }

    /// A value that is whole, or `None` when an object begins.
    #[inline]
    fn value(&mut self) -> Result<Option<Slot>, V8Error> {
        let tag = self.cursor.tag()?;
        if let Some(slot) = self.primitive(tag)? {
            return Ok(Some(slot));
        }
        match tag {
            b'^' => self.reference().map(Some),
            b'o' => self.open(What::Object),
            b'A' => {
                let length = self.cursor.varint32()?;
                // Every element takes a byte at least.
                if length as usize > self.cursor.left() {
                    return self.cursor.fault(Fault::Truncated);
                }
                self.spend(length as usize * size_of::<Slot>())?;
                self.scratch.reserve(length as usize);
                self.open(What::Dense { length })
            }
            b'a' => {
                let length = self.cursor.varint32()?;
                self.open(What::Sparse { length })
            }
            b'\\' => self.host_object(),
            // A count of objects that old versions wrote; it says nothing about the value that follows.
            b'?' => {
                self.cursor.varint32()?;
                self.value()
            }
            tag => Err(V8Error { offset: self.cursor.offset() - 1, fault: Fault::UnknownTag(tag) }),
        }
    }

    fn open(&mut self, what: What) -> Result<Option<Slot>, V8Error> {
        let limit = self.limits.depth;
        if self.frames.len() >= limit {
            return self.cursor.fault(Fault::TooDeep { limit });
        }
        let node = self.node(Node::Unfinished)?;
        self.frames.push(Frame { node, base: self.scratch.len(), what });
        Ok(None)
    }

    fn node(&mut self, node: Node) -> Result<usize, V8Error> {
        self.spend(0)?;
        Ok(self.heap.add_node(node))
    }

    /// Whether this much more memory may be used.
    fn spend(&self, more: usize) -> Result<(), V8Error> {
        let Heap { nodes, slots, texts, utf8, .. } = &self.heap;
        let used = nodes.len() * size_of::<Node>()
            + (slots.len() + self.scratch.len()) * size_of::<Slot>()
            + texts.len() * size_of::<Span>()
            + utf8.len();
        let limit = self.limits.memory;
        if used.saturating_add(more) > limit {
            return self.cursor.fault(Fault::TooMuchMemory { limit });
        }
        Ok(())
    }

    fn reference(&mut self) -> Result<Slot, V8Error> {
        let offset = self.cursor.offset();
        let id = self.cursor.varint32()?;
        if id as usize >= self.heap.nodes.len() {
            let known = self.heap.nodes.len();
            return Err(V8Error { offset, fault: Fault::DanglingReference { id, known } });
        }
        Ok(Slot::node(id as usize))
    }

    /// Keys and values, up to the tag that ends them.
    fn pairs(&mut self, frame: Frame, end: u8) -> Result<Option<Slot>, V8Error> {
        loop {
            if self.cursor.take(end) {
                return self.close(frame).map(Some);
            }
            let key = self.key(frame.what)?;
            self.scratch.push(key);
            match self.value()? {
                Some(value) => self.scratch.push(value),
                None => return Ok(None),
            }
        }
    }

    fn key(&mut self, of: What) -> Result<Slot, V8Error> {
        let offset = self.cursor.offset();
        let tag = self.cursor.tag()?;
        let key = self.primitive(tag)?.map(|key| self.heap.key_of(key));
        let expected = match (key.flatten(), of) {
            (None, _) => "a key, which is a string or a number,",
            (Some(key), What::Sparse { length }) if is_beyond(key, length) => {
                "an index below the array's length"
            }
            (Some(key), What::DenseProps { .. }) if is_beyond(key, 0) => "a key that is no index",
            (Some(key), _) => return Ok(key),
        };
        Err(V8Error { offset, fault: Fault::Expected { expected } })
    }

    fn dense(&mut self, frame: Frame, length: u32) -> Result<Option<Slot>, V8Error> {
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

    /// Ends the innermost object.
    fn close(&mut self, frame: Frame) -> Result<Slot, V8Error> {
        let pairs = (self.scratch.len() - frame.base) as u64 / 2;
        self.count("properties", pairs)?;
        let collected = self.scratch.get_mut(frame.base..).unwrap_or_default();
        let node = match frame.what {
            What::Object => self.heap.object(collected),
            What::Dense { length } => self.heap.array(length, Span::default(), collected),
            What::DenseProps { length, dense } => self.heap.array(length, dense, collected),
            What::Sparse { length } => self.heap.sparse_array(length, collected),
        };
        match frame.what {
            What::Object => {}
            What::Dense { length } | What::DenseProps { length, .. } | What::Sparse { length } => {
                self.count("elements", u64::from(length))?;
            }
        }
        let Ok(node) = node else { return self.cursor.fault(Fault::TwiceTheSameKey) };
        self.scratch.truncate(frame.base);
        self.frames.pop();
        if let Some(unfinished) = self.heap.nodes.get_mut(frame.node) {
            *unfinished = node;
        }
        Ok(Slot::node(frame.node))
    }

    fn count(&mut self, what: &'static str, found: u64) -> Result<(), V8Error> {
        let offset = self.cursor.offset();
        let said = u64::from(self.cursor.varint32()?);
        if said == found {
            return Ok(());
        }
        Err(V8Error { offset, fault: Fault::Count { what, said, found } })
    }
}

/// Whether a key is an index, and not below this length.
fn is_beyond(key: Slot, length: u32) -> bool {
    matches!(key.item(), Item::Number(index) if index >= f64::from(length))
}
