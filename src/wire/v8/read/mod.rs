//! Reading the serialized form.
//!
//! Nothing recurses: objects that are open are [`Frame`]s on a stack of their own. What an object has is collected at
//! the end of `scratch`, and moved into the heap when the object ends. Every object takes one node, in the order in
//! which V8 numbers them, so a reference's number is the node's place.

mod binary;
mod collection;
mod cursor;
mod failure;
mod host;
mod primitive;

use bytes::Bytes;

use super::error::{Fault, Limits, V8Error};
use super::external::External;
use super::failure::ErrorForm;
use super::heap::{Heap, Node, Span};
use super::number::time;
use super::slot::Slot;
use super::value::JsValue;
use cursor::Cursor;

/// Where the bytes of a value are.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// Somewhere. Buffers in the value are copied.
    Borrowed(&'a [u8]),
    /// In memory that the value may share: large buffers in the value are parts of it.
    Shared(&'a Bytes),
}

impl Source<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Source::Borrowed(bytes) => bytes,
            Source::Shared(bytes) => bytes,
        }
    }
}

impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Source<'a> {
    fn from(bytes: &'a T) -> Self {
        Source::Borrowed(bytes.as_ref())
    }
}

/// Reads a value.
///
/// `externals` are what came beside it, in order: the value refers to them in this order, each once.
///
/// # Errors
/// The bytes are no value, or one that cannot be read here; the error says where and why.
pub fn deserialize<'a>(source: impl Into<Source<'a>>, externals: Vec<External>) -> Result<JsValue, V8Error> {
    deserialize_within(source, externals, Limits::default())
}

/// As [`deserialize`], with limits of one's own.
///
/// # Errors
/// As [`deserialize`].
pub fn deserialize_within<'a>(
    source: impl Into<Source<'a>>,
    externals: Vec<External>,
    limits: Limits,
) -> Result<JsValue, V8Error> {
    let source = source.into();
    let len = source.bytes().len();
    if len > limits.bytes {
        return Err(V8Error { offset: 0, fault: Fault::TooLong { len, limit: limits.bytes } });
    }
    let mut cursor = Cursor::new(source.bytes());
    let version = version(&mut cursor)?;
    if version != 13 {
        return Reader::new(&source, cursor, version, externals, limits).read();
    }
    // For a while version 13 was written with the flags of version 14. V8 tries one, then the other; so do we.
    let read = Reader::new(&source, cursor, version, externals.clone(), limits).read();
    let mut cursor = Cursor::new(source.bytes());
    self::version(&mut cursor)?;
    read.or_else(|error| Reader::new(&source, cursor, 14, externals, limits).read().map_err(|_| error))
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
    source: &'a Source<'a>,
    cursor: Cursor<'a>,
    version: u32,
    limits: Limits,
    externals: std::vec::IntoIter<External>,
    heap: Heap,
    /// Memory that is used beside the heap's tables.
    boxed: usize,
    scratch: Vec<Slot>,
    frames: Vec<Frame>,
    /// Keys that were read lately.
    keys: [Slot; collection::KEYS],
    /// Values until memory is looked at again.
    patience: u32,
}

/// How many values are read before memory is looked at again: a value without an object takes little.
const PATIENCE: u32 = 4096;

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
    Map,
    Set,
    /// So many values, which complete a node that was begun.
    Parts(usize),
}

impl<'a> Reader<'a> {
    fn new(
        source: &'a Source<'a>,
        cursor: Cursor<'a>,
        version: u32,
        externals: Vec<External>,
        limits: Limits,
    ) -> Self {
        Reader {
            source,
            cursor,
            version,
            limits,
            externals: externals.into_iter(),
            heap: Heap::default(),
            boxed: 0,
            scratch: Vec::new(),
            frames: Vec::new(),
            keys: [Slot::UNDEFINED; collection::KEYS],
            patience: PATIENCE,
        }
    }

    fn read(mut self) -> Result<JsValue, V8Error> {
        let slot = self.root()?;
        if self.cursor.peek().is_some() {
            return self.cursor.fault(Fault::Trailing(self.cursor.left()));
        }
        match self.externals.len() {
            0 if slot.is_immediate() => Ok(JsValue::immediate(slot)),
            0 => Ok(JsValue::within(self.heap, slot)),
            unused => self.cursor.fault(Fault::UnusedExternals(unused)),
        }
    }

    fn root(&mut self) -> Result<Slot, V8Error> {
        let mut read = self.value()?;
        loop {
            let Some(frame) = self.frames.last().copied() else {
                return read.map_or_else(|| self.cursor.fault(Fault::Truncated), Ok);
            };
            self.scratch.extend(read);
            read = match frame.what {
                What::Object => self.pairs(frame, b'{')?,
                What::Dense { length } => self.dense(frame, length)?,
                What::DenseProps { .. } => self.pairs(frame, b'$')?,
                What::Sparse { .. } => self.pairs(frame, b'@')?,
                What::Map => self.entries(frame, b':', 2)?,
                What::Set => self.entries(frame, b',', 1)?,
                What::Parts(count) => self.parts(frame, count)?,
            };
        }
    }

    /// A value that is whole, or `None` when an object begins.
    #[inline]
    fn value(&mut self) -> Result<Option<Slot>, V8Error> {
        self.patience -= 1;
        if self.patience == 0 {
            self.patience = PATIENCE;
            self.spend(0)?;
        }
        let mut tag = self.cursor.tag()?;
        // A count of objects that old versions wrote; it says nothing about the value that follows.
        while tag == b'?' {
            self.cursor.varint32()?;
            tag = self.cursor.tag()?;
        }
        match self.primitive(tag)? {
            Some(slot) => Ok(Some(slot)),
            None => self.object(tag),
        }
    }

    fn object(&mut self, tag: u8) -> Result<Option<Slot>, V8Error> {
        match tag {
            b'^' => {
                let referred = self.reference()?;
                self.view_of(referred).map(Some)
            }
            b'o' => self.open(What::Object),
            b'A' => self.begin_dense(),
            b'a' => {
                let length = self.cursor.varint32()?;
                self.open(What::Sparse { length })
            }
            b';' => self.open(What::Map),
            b'\'' => self.open(What::Set),
            b'D' => {
                let milliseconds = self.cursor.double()?;
                self.whole(Node::Date(time(milliseconds)))
            }
            b'y' => self.whole(Node::Boxed(Slot::TRUE)),
            b'x' => self.whole(Node::Boxed(Slot::FALSE)),
            b'n' => {
                let number = self.cursor.double()?;
                self.whole(Node::Boxed(Slot::number(number)))
            }
            b'z' => {
                let value = self.big_int()?;
                self.whole(Node::Boxed(value))
            }
            b's' => {
                let string = self.string()?;
                self.whole(Node::Boxed(string))
            }
            b'R' => self.reg_exp(),
            b'B' | b'~' => self.buffer(tag == b'~'),
            b'r' => self.v8_error(),
            b'\\' => self.host_object(),
            tag => Err(V8Error { offset: self.cursor.offset() - 1, fault: unreadable(tag) }),
        }
    }

    /// An object that has nothing to wait for.
    fn whole(&mut self, node: Node) -> Result<Option<Slot>, V8Error> {
        Ok(Some(Slot::node(self.node(node)?)))
    }

    /// An object that is complete when what is in it was read.
    fn open(&mut self, what: What) -> Result<Option<Slot>, V8Error> {
        self.open_node(Node::Unfinished, what)
    }

    fn open_node(&mut self, node: Node, what: What) -> Result<Option<Slot>, V8Error> {
        let limit = self.limits.depth;
        if self.frames.len() >= limit {
            return self.cursor.fault(Fault::TooDeep { limit });
        }
        let node = self.node(node)?;
        self.frames.push(Frame { node, base: self.scratch.len(), what });
        Ok(None)
    }

    /// Ends the innermost object: what it collected is gone from `scratch`.
    fn close(&mut self, frame: Frame) -> Slot {
        self.scratch.truncate(frame.base);
        self.frames.pop();
        Slot::node(frame.node)
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
            + utf8.len()
            + self.boxed;
        let limit = self.limits.memory;
        if used.saturating_add(more) > limit {
            return self.cursor.fault(Fault::TooMuchMemory { limit });
        }
        Ok(())
    }

    fn reference(&mut self) -> Result<Slot, V8Error> {
        let offset = self.cursor.offset();
        let id = self.cursor.varint32()?;
        let known = self.heap.nodes.len();
        if id as usize >= known {
            return Err(V8Error { offset, fault: Fault::DanglingReference { id, known } });
        }
        // V8 makes these only once everything in them was read, and so cannot refer to them from there.
        let unfinished = match self.heap.nodes.get(id as usize) {
            Some(Node::Request { init: part, .. } | Node::Response { body: part, .. }) => part.is_hole(),
            Some(Node::Error(error)) => error.form == ErrorForm::Workerd && error.props.is_hole(),
            _ => false,
        };
        if unfinished {
            return Err(V8Error { offset, fault: Fault::UnfinishedReference { id } });
        }
        Ok(Slot::node(id as usize))
    }
}

fn unreadable(tag: u8) -> Fault {
    match tag {
        b't' => Fault::NotPortable("a transferred ArrayBuffer"),
        b'u' => Fault::NotPortable("a SharedArrayBuffer"),
        b'p' => Fault::NotPortable("a shared object"),
        b'w' => Fault::NotPortable("a WebAssembly module"),
        b'm' => Fault::NotPortable("a WebAssembly memory"),
        tag => Fault::UnknownTag(tag),
    }
}
