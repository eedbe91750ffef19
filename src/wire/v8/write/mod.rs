//! Writing the serialized form, byte for byte as a worker does.
//!
//! Nothing recurses: what is still to be written lies on a stack.

mod object;
mod primitive;

use super::error::{EncodeError, Limits};
use super::external::External;
use super::heap::Heap;
use super::slot::{Item, Slot};
use super::string::JsStr;
use super::value::JsValue;

/// The version that workerd writes, whatever newer one its V8 knows.
const VERSION: u32 = 15;

/// A value as it travels.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The value.
    pub bytes: Vec<u8>,
    /// What it refers to, in the order in which it does.
    pub externals: Vec<External>,
}

/// Writes a value.
///
/// # Errors
/// It is too large, or too deep.
pub fn serialize(value: &JsValue) -> Result<Encoded, EncodeError> {
    serialize_within(value, Limits::default())
}

/// As [`serialize`], with limits of one's own.
///
/// # Errors
/// As [`serialize`].
pub fn serialize_within(value: &JsValue, limits: Limits) -> Result<Encoded, EncodeError> {
    let heap = value.as_ref().heap();
    let mut writer = Writer {
        heap,
        limits,
        out: Vec::new(),
        externals: Vec::new(),
        ids: vec![0; if value.slot.as_node().is_some() { heap.nodes.len() } else { 0 }],
        next_id: 0,
        depth: 0,
        todo: Vec::new(),
    };
    writer.byte(0xff);
    writer.varint(u64::from(VERSION));
    writer.value(value.slot)?;
    while let Some(task) = writer.todo.pop() {
        writer.go_on(task)?;
    }
    writer.fits()?;
    Ok(Encoded { bytes: writer.out, externals: writer.externals })
}

struct Writer<'a> {
    heap: &'a Heap,
    limits: Limits,
    out: Vec<u8>,
    externals: Vec<External>,
    /// The number of each node that was begun, plus one.
    ids: Vec<u32>,
    next_id: u32,
    depth: usize,
    todo: Vec<Task<'a>>,
}

/// What is still to be written.
enum Task<'a> {
    Values(&'a [Slot]),
    Value(Slot),
    /// Elements of an array with holes: each after its index.
    Elements {
        from: u32,
        slots: &'a [Slot],
    },
    /// A view, after its buffer.
    View(usize),
    /// The end of an object: a tag, then up to two numbers.
    End {
        tag: Option<u8>,
        counts: [Option<u32>; 2],
    },
}

impl<'a> Writer<'a> {
    fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    #[inline]
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    fn fits(&self) -> Result<(), EncodeError> {
        self.has_room(0)
    }

    /// Whether so many more bytes are allowed.
    fn has_room(&self, more: usize) -> Result<(), EncodeError> {
        let limit = self.limits.bytes;
        if self.out.len().saturating_add(more) > limit { Err(EncodeError::TooLong { limit }) } else { Ok(()) }
    }

    /// Bytes as they are, after their length.
    fn counted(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.varint(bytes.len() as u64);
        self.raw(bytes)
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.has_room(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn go_on(&mut self, task: Task<'a>) -> Result<(), EncodeError> {
        match task {
            Task::Value(slot) => self.value(slot)?,
            Task::Values(values) => {
                for (nth, value) in values.iter().enumerate() {
                    let Some(node) = value.as_node() else {
                        self.value(*value)?;
                        continue;
                    };
                    // The object's own tasks come before the values after it.
                    self.todo.push(Task::Values(values.get(nth + 1..).unwrap_or_default()));
                    return self.node(node);
                }
            }
            Task::Elements { from, slots } => {
                for (index, value) in (from..).zip(slots) {
                    if value.is_hole() {
                        continue;
                    }
                    self.number(f64::from(index));
                    let Some(node) = value.as_node() else {
                        self.value(*value)?;
                        continue;
                    };
                    let slots = slots.get((index - from) as usize + 1..).unwrap_or_default();
                    self.todo.push(Task::Elements { from: index.saturating_add(1), slots });
                    return self.node(node);
                }
            }
            Task::View(place) => self.view(place)?,
            Task::End { tag, counts } => {
                self.depth -= 1;
                tag.into_iter().for_each(|tag| self.byte(tag));
                counts.into_iter().flatten().for_each(|count| self.varint(u64::from(count)));
            }
        }
        self.fits()
    }

    #[inline]
    fn value(&mut self, slot: Slot) -> Result<(), EncodeError> {
        match slot.item() {
            Item::Undefined => self.byte(b'_'),
            Item::Null => self.byte(b'0'),
            Item::Bool(true) => self.byte(b'T'),
            Item::Bool(false) => self.byte(b'F'),
            Item::Hole => self.byte(b'-'),
            Item::Number(number) => self.number(number),
            Item::Text(place) => self.string(JsStr::Utf8(self.heap.text(place)))?,
            Item::Wide(place) => self.string(JsStr::Wide(self.heap.wide(place)))?,
            Item::BigInt(place) => {
                self.byte(b'Z');
                self.big_int(place)?;
            }
            Item::Node(node) => self.node(node)?,
        }
        Ok(())
    }
}
