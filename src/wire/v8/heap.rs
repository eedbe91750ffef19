//! Where the objects and strings of a value lie.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use super::bigint::BigInt;
use super::binary::{ArrayBuffer, Blob, Element};
use super::external::External;
use super::failure::{DomException, ErrorNode};
use super::http::Headers;
use super::number::number_text;
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

/// Finds the keys of a large object.
#[derive(Debug, Clone)]
pub(super) struct Index {
    hasher: RandomState,
    /// Which pair, plus one; zero is free. Its length is a power of two and at least twice the pairs.
    table: Box<[usize]>,
}

/// Objects with more pairs than this have an [`Index`]: looking through fewer is no slower.
const INDEXED: usize = 16;

/// A property's key: an index, or a string that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key<'a> {
    /// An index: in JavaScript the same as the string of its decimal digits.
    Index(u32),
    /// Any other string.
    Name(JsStr<'a>),
}

impl<'a> Key<'a> {
    /// The key that a string is: `"7"` is the index 7.
    pub fn of(name: &'a str) -> Self {
        array_index(name.as_bytes()).map_or(Key::Name(JsStr::Utf8(name)), Key::Index)
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Index(index) => index.fmt(f),
            Key::Name(name) => name.fmt(f),
        }
    }
}

/// The array index that a name is: decimal digits without a leading zero, up to 2^32 - 2.
pub(super) fn array_index(name: &[u8]) -> Option<u32> {
    let (first, _) = name.split_first()?;
    if name.len() > 10 || (*first == b'0' && name.len() > 1) {
        return None;
    }
    let mut index = 0_u64;
    for digit in name {
        index = index * 10 + u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    u32::try_from(index).ok().filter(|index| *index != u32::MAX)
}

/// The array index that a number is.
pub(super) fn number_index(number: f64) -> Option<u32> {
    let index = number as u32;
    (f64::from(index) == number && index != u32::MAX && !(number == 0.0 && number.is_sign_negative()))
        .then_some(index)
}

/// Two properties have the same key.
#[derive(Debug)]
pub(super) struct TwiceTheSameKey;

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

    /// The slot of a key: indices are numbers.
    pub(super) fn add_key(&mut self, key: Key<'_>) -> Slot {
        match key {
            Key::Index(index) => Slot::number(f64::from(index)),
            Key::Name(JsStr::Utf8(name)) => self.add_text(name),
            Key::Name(JsStr::Wide(units)) => self.add_utf16(units),
        }
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

    pub(super) fn key(&self, slot: Slot) -> Option<Key<'_>> {
        match slot.item() {
            Item::Number(number) => number_index(number).map(Key::Index),
            _ => self.string(slot).map(Key::Name),
        }
    }

    /// An object of these pairs, whose keys are as [`Heap::add_key`] makes them.
    pub(super) fn object(&mut self, pairs: &mut [Slot]) -> Result<Node, TwiceTheSameKey> {
        sort_indices(pairs);
        let count = pairs.len() / 2;
        let index = if count > INDEXED {
            Some(Box::new(self.index(pairs)?))
        } else {
            self.are_different(pairs)?;
            None
        };
        Ok(Node::Object { props: self.add_slots(pairs), index })
    }

    /// Whether all keys of a small object are different.
    fn are_different(&self, pairs: &[Slot]) -> Result<(), TwiceTheSameKey> {
        // Most keys differ in what can be seen at once; only those that do not are compared.
        let mut marks = [0; INDEXED];
        let keys = pairs.iter().step_by(2);
        for (nth, key) in keys.clone().enumerate() {
            let mark = match self.key(*key) {
                Some(Key::Name(JsStr::Utf8(text))) => mark(text.as_bytes()),
                Some(Key::Name(JsStr::Wide(units))) => units.len() as u64,
                Some(Key::Index(index)) => u64::MAX - u64::from(index),
                None => continue,
            };
            let earlier = marks.get(..nth).unwrap_or_default();
            if earlier.contains(&mark)
                && keys.clone().take(nth).any(|other| self.key(*other) == self.key(*key))
            {
                return Err(TwiceTheSameKey);
            }
            marks.get_mut(nth).into_iter().for_each(|place| *place = mark);
        }
        Ok(())
    }

    /// As [`Heap::object`]; of two pairs with the same key, the first keeps its place and the last its value.
    pub(super) fn object_of(&mut self, mut pairs: Vec<Slot>) -> Node {
        let unique = self.object(&mut pairs);
        unique
            .or_else(|TwiceTheSameKey| self.object(&mut self.without_doubles(&pairs)))
            .unwrap_or(Node::Unfinished)
    }

    fn without_doubles(&self, pairs: &[Slot]) -> Vec<Slot> {
        let mut places: HashMap<Key<'_>, usize> = HashMap::new();
        let mut unique: Vec<Slot> = Vec::new();
        for pair in pairs.chunks_exact(2) {
            let [name, value] = pair else { continue };
            let Some(key) = self.key(*name) else { continue };
            let place = *places.entry(key).or_insert(unique.len() + 1);
            match unique.get_mut(place) {
                Some(earlier) => *earlier = *value,
                None => unique.extend([*name, *value]),
            }
        }
        unique
    }

    /// An array: its first elements, then pairs of what else it has. Of two with the same key the last stays.
    pub(super) fn array_of(&mut self, length: u32, mut dense: Vec<Slot>, mut rest: Vec<Slot>) -> Node {
        dense.truncate(length as usize);
        if dense.len() < length as usize {
            // A hole: the first elements become pairs too, and the distance decides what is kept how.
            let indices = (0_u32..).map(|index| Slot::number(f64::from(index)));
            let elements = indices.zip(dense.drain(..)).flat_map(|(index, element)| [index, element]);
            rest = elements.chain(rest).collect();
            sort_indices(&mut rest);
            rest = self.without_doubles(&rest);
            return self.sparse_array(length, &mut rest).unwrap_or(Node::Unfinished);
        }
        let dense = self.add_slots(&dense);
        let rest = if rest.is_empty() { rest } else { self.without_doubles(&rest) };
        self.array(length, dense, &mut { rest }).unwrap_or(Node::Unfinished)
    }

    fn index(&self, pairs: &[Slot]) -> Result<Index, TwiceTheSameKey> {
        let size = (pairs.len() / 2 * 2).next_power_of_two();
        let mut index = Index { hasher: RandomState::new(), table: vec![0; size].into() };
        for (pair, key) in pairs.iter().step_by(2).enumerate() {
            let Some(key) = self.key(*key) else { continue };
            let mut place = index.place(key);
            while let Some(taken) = index.table.get(place).and_then(|pair| pair.checked_sub(1)) {
                if pairs.get(taken * 2).and_then(|other| self.key(*other)) == Some(key) {
                    return Err(TwiceTheSameKey);
                }
                place = (place + 1) & (size - 1);
            }
            if let Some(entry) = index.table.get_mut(place) {
                *entry = pair + 1;
            }
        }
        Ok(index)
    }

    /// The value of a property among pairs.
    pub(super) fn find(&self, props: Span, index: Option<&Index>, key: Key<'_>) -> Option<Slot> {
        let pairs = props.of(&self.slots);
        let Some(index) = index else {
            return pairs.chunks_exact(2).find_map(|pair| match pair {
                [name, value] => (self.key(*name) == Some(key)).then_some(*value),
                _ => None,
            });
        };
        let mut place = index.place(key);
        while let Some(pair) = index.table.get(place).and_then(|pair| pair.checked_sub(1)) {
            if pairs.get(pair * 2).and_then(|name| self.key(*name)) == Some(key) {
                return pairs.get(pair * 2 + 1).copied();
            }
            place = (place + 1) & (index.table.len() - 1);
        }
        None
    }
}

impl Index {
    fn place(&self, key: Key<'_>) -> usize {
        let hash = match key {
            Key::Index(index) => self.hasher.hash_one(index),
            Key::Name(JsStr::Utf8(text)) => self.hasher.hash_one(text),
            Key::Name(JsStr::Wide(units)) => self.hasher.hash_one(units),
        };
        hash as usize & (self.table.len() - 1)
    }
}

/// The length of a key, its first and last bytes, and the one in the middle.
fn mark(key: &[u8]) -> u64 {
    let byte = |place: usize| u64::from(key.get(place).copied().unwrap_or_default());
    let last = key.len().saturating_sub(1);
    (key.len() as u64) << 24 | byte(0) << 16 | byte(last / 2) << 8 | byte(last)
}

/// Brings the indices among pairs to the front, ascending, as every JavaScript object has them.
fn sort_indices(pairs: &mut [Slot]) {
    let index = |key: &Slot| match key.item() {
        Item::Number(number) => number as u64,
        _ => u64::MAX,
    };
    let keys = || pairs.iter().step_by(2).map(index);
    if keys().is_sorted() {
        return;
    }
    let mut sorted: Vec<(u64, Slot, Slot)> = pairs
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [key, value] => Some((index(key), *key, *value)),
            _ => None,
        })
        .collect();
    sorted.sort_by_key(|(index, ..)| *index);
    for (pair, (_, key, value)) in pairs.chunks_exact_mut(2).zip(sorted) {
        pair.copy_from_slice(&[key, value]);
    }
}

impl Heap {
    /// The key that a string or a number is, in the form in which keys are kept.
    pub(super) fn key_of(&mut self, slot: Slot) -> Option<Slot> {
        match slot.item() {
            Item::Number(number) if number_index(number).is_some() => Some(Slot::number(number)),
            Item::Number(number) => Some(self.add_key(Key::of(&number_text(number)))),
            Item::Text(place) => {
                let index = array_index(self.text(place).as_bytes());
                Some(index.map_or(slot, |index| Slot::number(f64::from(index))))
            }
            Item::Wide(_) => Some(slot),
            _ => None,
        }
    }

    /// An array of these elements, and these pairs after them.
    pub(super) fn array(
        &mut self,
        length: u32,
        dense: Span,
        pairs: &mut [Slot],
    ) -> Result<Node, TwiceTheSameKey> {
        let rest = match self.object(pairs)? {
            Node::Object { props, index } if props.len > 0 => {
                Some(Box::new(Rest { props, index, elements: count_indices(pairs) }))
            }
            _ => None,
        };
        Ok(Node::Array { length, dense, rest })
    }

    /// An array of pairs of index and element. Where those are not far apart they become a run with holes.
    pub(super) fn sparse_array(&mut self, length: u32, pairs: &mut [Slot]) -> Result<Node, TwiceTheSameKey> {
        sort_indices(pairs);
        let elements = count_indices(pairs);
        if length as usize > elements * 8 + 64 {
            return self.array(length, Span::default(), pairs);
        }
        let (indices, names) = pairs.split_at_mut(elements * 2);
        let start = self.slots.len();
        self.slots.resize(start + length as usize, Slot::HOLE);
        for pair in indices.chunks_exact(2) {
            let [key, value] = pair else { continue };
            let Item::Number(index) = key.item() else { continue };
            let Some(place) = self.slots.get_mut(start + index as usize) else { continue };
            if !place.is_hole() {
                return Err(TwiceTheSameKey);
            }
            *place = *value;
        }
        self.array(length, Span { start, len: length as usize }, names)
    }
}

/// How many of these pairs, which are sorted, have an index as their key.
fn count_indices(pairs: &[Slot]) -> usize {
    pairs.iter().step_by(2).take_while(|key| matches!(key.item(), Item::Number(_))).count()
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
