//! Writing the serialized form, byte for byte as a worker does.
//!
//! Nothing recurses: what is still to be written lies on a stack.

use super::bigint::BigInt;
use super::error::{EncodeError, Limits};
use super::external::External;
use super::heap::{Heap, Node, Span};
use super::slot::{Item, Slot};
use super::string::JsStr;
use super::value::JsValue;

/// The version that workerd writes, whatever newer one its V8 knows.
const VERSION: u32 = 15;

/// The longest string that V8 makes, in code units.
const LONGEST_STRING: usize = (1 << 29) - 24;

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
    /// Keys and values of a sparse array: holes are left out.
    Elements {
        from: u32,
        slots: &'a [Slot],
    },
    /// The end of an object: a tag, then up to two numbers.
    End {
        tag: u8,
        counts: [Option<u32>; 2],
    },
}

impl<'a> Writer<'a> {
    fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    fn fits(&self) -> Result<(), EncodeError> {
        let limit = self.limits.bytes;
        if self.out.len() > limit { Err(EncodeError::TooLong { limit }) } else { Ok(()) }
    }

    fn go_on(&mut self, task: Task<'a>) -> Result<(), EncodeError> {
        match task {
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
                Ok(())
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
                Ok(())
            }
            Task::End { tag, counts } => {
                self.depth -= 1;
                self.byte(tag);
                counts.into_iter().flatten().for_each(|count| self.varint(u64::from(count)));
                self.fits()
            }
        }
    }

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
                if let Some(value) = self.heap.big_ints.get(place) {
                    self.big_int(value)?;
                }
            }
            Item::Node(node) => self.node(node)?,
        }
        Ok(())
    }

    /// As V8 does: a small integer where it is one, else a double.
    fn number(&mut self, number: f64) {
        let integer = number as i32;
        if f64::from(integer) == number && !(integer == 0 && number.is_sign_negative()) {
            self.byte(b'I');
            self.varint(u64::from((integer << 1 ^ integer >> 31) as u32));
        } else {
            self.double(number);
        }
    }

    fn double(&mut self, number: f64) {
        self.byte(b'N');
        self.out.extend_from_slice(&number.to_le_bytes());
    }

    fn string(&mut self, string: JsStr<'_>) -> Result<(), EncodeError> {
        match string {
            JsStr::Utf8(text) if text.is_ascii() => {
                self.string_fits(text.len())?;
                self.byte(b'"');
                self.varint(text.len() as u64);
                self.out.extend_from_slice(text.as_bytes());
            }
            JsStr::Utf8(text) if text.chars().all(|character| u32::from(character) < 0x100) => {
                let length = text.chars().count();
                self.string_fits(length)?;
                self.byte(b'"');
                self.varint(length as u64);
                self.out.extend(text.chars().map(|character| u32::from(character) as u8));
            }
            JsStr::Utf8(text) => {
                let length = text.encode_utf16().count();
                self.two_bytes(length, text.encode_utf16())?;
            }
            JsStr::Wide(units) => self.two_bytes(units.len(), units.iter().copied())?,
        }
        Ok(())
    }

    /// V8 reads these faster where they are aligned, and so a worker aligns them.
    fn two_bytes(&mut self, length: usize, units: impl Iterator<Item = u16>) -> Result<(), EncodeError> {
        self.string_fits(length)?;
        let bytes = length as u64 * 2;
        let head = 1 + varint_len(bytes);
        if !(self.out.len() + head).is_multiple_of(2) {
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

    fn big_int(&mut self, value: &BigInt) -> Result<(), EncodeError> {
        let Ok(length) = u32::try_from(value.digits().len() * 16) else {
            return Err(EncodeError::Oversized("a BigInt"));
        };
        self.varint(u64::from(length | u32::from(value.is_negative())));
        value.digits().iter().for_each(|digit| self.out.extend_from_slice(&digit.to_le_bytes()));
        Ok(())
    }

    /// Begins an object; what is in it becomes the next task.
    fn node(&mut self, place: usize) -> Result<(), EncodeError> {
        let (Some(id), Some(node)) = (self.ids.get_mut(place), self.heap.nodes.get(place)) else {
            return Ok(());
        };
        if let Some(id) = id.checked_sub(1) {
            self.byte(b'^');
            self.varint(u64::from(id));
            return Ok(());
        }
        self.next_id += 1;
        *id = self.next_id;
        match node {
            Node::Unfinished => Ok(()),
            Node::Object { props, .. } => {
                self.byte(b'o');
                self.open(b'{', [Some(count(*props)), None])?;
                self.todo.push(Task::Values(props.of(&self.heap.slots)));
                Ok(())
            }
            Node::External(external) => {
                self.byte(b'\\');
                self.varint(u64::from(external.kind().tag()));
                self.externals.push(external.clone());
                Ok(())
            }
            Node::Array { length, dense, rest } => {
                self.array(*length, *dense, rest.as_ref().map_or_else(Span::default, |rest| rest.props))
            }
        }
    }

    fn open(&mut self, tag: u8, counts: [Option<u32>; 2]) -> Result<(), EncodeError> {
        let limit = self.limits.depth;
        if self.depth >= limit {
            return Err(EncodeError::TooDeep { limit });
        }
        self.depth += 1;
        self.todo.push(Task::End { tag, counts });
        self.fits()
    }

    fn array(&mut self, length: u32, dense: Span, rest: Span) -> Result<(), EncodeError> {
        let elements = dense.of(&self.heap.slots);
        let rest_slots = rest.of(&self.heap.slots);
        let holes = elements.iter().filter(|element| element.is_hole()).count();
        if holes > 0 || elements.len() < length as usize {
            self.byte(b'a');
            self.varint(u64::from(length));
            let present = (elements.len() - holes) as u32 + count(rest);
            self.open(b'@', [Some(present), Some(length)])?;
            self.todo.push(Task::Values(rest_slots));
            self.todo.push(Task::Elements { from: 0, slots: elements });
            return Ok(());
        }
        self.byte(b'A');
        self.varint(u64::from(length));
        self.open(b'$', [Some(count(rest)), Some(length)])?;
        self.todo.push(Task::Values(rest_slots));
        // V8 keeps an array of numbers as doubles when one of them is no small integer, and writes what it keeps.
        let number = |slot: &Slot| matches!(slot.item(), Item::Number(_));
        let integer = |slot: &Slot| matches!(slot.item(), Item::Number(n) if is_small_integer(n));
        if elements.iter().all(number) && !elements.iter().all(integer) {
            for element in elements {
                if let Item::Number(number) = element.item() {
                    self.double(number);
                }
            }
        } else {
            self.todo.push(Task::Values(elements));
        }
        Ok(())
    }
}

/// How many pairs these are.
fn count(pairs: Span) -> u32 {
    (pairs.len / 2) as u32
}

fn is_small_integer(number: f64) -> bool {
    f64::from(number as i32) == number && !(number == 0.0 && number.is_sign_negative())
}

fn varint_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}
