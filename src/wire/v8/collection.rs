//! Objects, arrays, maps and sets, for reading.

use std::fmt;

use super::heap::{Rest, Span};
use super::key::{Index, Key};
use super::slot::Slot;
use super::string::JsStr;
use super::view::JsRef;

/// Keys and values of an object.
#[derive(Clone, Copy)]
pub(super) struct Properties<'a> {
    pub(super) value: JsRef<'a>,
    pub(super) props: Span,
    pub(super) index: Option<&'a Index>,
}

impl<'a> Properties<'a> {
    pub(super) fn find(self, key: Key<'_>) -> Option<JsRef<'a>> {
        self.value.heap().find(self.props, self.index, key).map(|slot| self.value.with(slot))
    }

    pub(super) fn pairs(self) -> impl ExactSizeIterator<Item = (Key<'a>, JsRef<'a>)> {
        let heap = self.value.heap();
        self.props.of(&heap.slots).chunks_exact(2).map(move |pair| match pair {
            [key, value] => (heap.key(*key).unwrap_or(Key::Index(0)), self.value.with(*value)),
            _ => (Key::Index(0), self.value.with(Slot::UNDEFINED)),
        })
    }
}

/// A plain object.
#[derive(Clone, Copy)]
pub struct Object<'a>(pub(super) Properties<'a>);

impl<'a> Object<'a> {
    /// A property's value.
    pub fn get(self, key: &str) -> Option<JsRef<'a>> {
        self.find(Key::of(key))
    }

    /// As [`Object::get`], by a key that need not be text.
    pub fn find(self, key: Key<'_>) -> Option<JsRef<'a>> {
        self.0.find(key)
    }

    /// Its keys and values: indices first, ascending, then the others as they were inserted.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (Key<'a>, JsRef<'a>)> {
        self.0.pairs()
    }

    /// How many properties it has.
    pub fn len(self) -> usize {
        self.0.props.len / 2
    }

    /// Whether it has no property.
    pub fn is_empty(self) -> bool {
        self.0.props.len == 0
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

/// An array.
#[derive(Clone, Copy)]
pub struct Array<'a> {
    pub(super) value: JsRef<'a>,
    pub(super) length: u32,
    pub(super) dense: Span,
    pub(super) rest: Option<&'a Rest>,
}

impl<'a> Array<'a> {
    /// Its `length`, holes included.
    pub fn len(self) -> u32 {
        self.length
    }

    /// Whether its `length` is zero.
    pub fn is_empty(self) -> bool {
        self.length == 0
    }

    /// An element; `None` where there is a hole, and beyond its end.
    pub fn get(self, index: u32) -> Option<JsRef<'a>> {
        match self.dense.of(&self.value.heap().slots).get(index as usize) {
            Some(slot) => (!slot.is_hole()).then(|| self.value.with(*slot)),
            None => self.rest().find(Key::Index(index)),
        }
    }

    /// Its elements with their indices, ascending, without holes.
    pub fn entries(self) -> impl Iterator<Item = (u32, JsRef<'a>)> {
        let dense = self.dense.of(&self.value.heap().slots).iter();
        let dense = (0_u32..).zip(dense).filter(|(_, slot)| !slot.is_hole());
        let sparse = self.rest().pairs().map_while(|(key, value)| match key {
            Key::Index(index) => Some((index, value)),
            Key::Name(_) => None,
        });
        dense.map(move |(index, slot)| (index, self.value.with(*slot))).chain(sparse)
    }

    /// Whether an element is missing.
    pub fn has_holes(self) -> bool {
        self.dense.len < self.length as usize
            || self.dense.of(&self.value.heap().slots).iter().any(|slot| slot.is_hole())
    }

    /// Properties that are no elements.
    pub fn properties(self) -> impl ExactSizeIterator<Item = (JsStr<'a>, JsRef<'a>)> {
        let elements = self.rest.map_or(0, |rest| rest.elements);
        self.rest().pairs().skip(elements).map(|(key, value)| match key {
            Key::Name(name) => (name, value),
            Key::Index(_) => (JsStr::Utf8(""), value),
        })
    }

    /// A property that is no element.
    pub fn property(self, name: JsStr<'_>) -> Option<JsRef<'a>> {
        self.rest().find(Key::Name(name))
    }

    fn rest(self) -> Properties<'a> {
        let (props, index) = match self.rest {
            Some(rest) => (rest.props, rest.index.as_deref()),
            None => (Span::default(), None),
        };
        Properties { value: self.value, props, index }
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A Map.
#[derive(Clone, Copy)]
pub struct Map<'a> {
    pub(super) value: JsRef<'a>,
    pub(super) span: Span,
}

impl<'a> Map<'a> {
    /// Keys and values, as they were inserted.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (JsRef<'a>, JsRef<'a>)> {
        self.span.of(&self.value.heap().slots).chunks_exact(2).map(move |pair| match pair {
            [key, value] => (self.value.with(*key), self.value.with(*value)),
            _ => (self.value.with(Slot::UNDEFINED), self.value.with(Slot::UNDEFINED)),
        })
    }

    /// Its `size`.
    pub fn len(self) -> usize {
        self.span.len / 2
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.span.len == 0
    }
}

impl fmt::Debug for Map<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A Set.
#[derive(Clone, Copy)]
pub struct Set<'a> {
    pub(super) value: JsRef<'a>,
    pub(super) span: Span,
}

impl<'a> Set<'a> {
    /// What is in it, as it was inserted.
    pub fn iter(self) -> impl ExactSizeIterator<Item = JsRef<'a>> {
        self.span.of(&self.value.heap().slots).iter().map(move |slot| self.value.with(*slot))
    }

    /// Its `size`.
    pub fn len(self) -> usize {
        self.span.len
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.span.len == 0
    }
}

impl fmt::Debug for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A regular expression.
#[derive(Debug, Clone, Copy)]
pub struct RegExp<'a> {
    /// What stands between the slashes.
    pub source: JsStr<'a>,
    pub(super) flags: u32,
}

/// The letters of the flags, by their bits from the lowest on. V8 has an `l` of its own; nobody else has.
const FLAGS: [char; 9] = ['g', 'i', 'm', 'y', 'u', 's', 'l', 'd', 'v'];

impl RegExp<'_> {
    /// Its `flags`, in JavaScript's order.
    pub fn flags(self) -> String {
        let has = |letter: &char| {
            FLAGS.iter().position(|flag| flag == letter).is_some_and(|bit| self.flags >> bit & 1 != 0)
        };
        "dgilmsuvy".chars().filter(has).collect()
    }

    /// The bits of these flags; `None` if one of them is none, or comes twice, or two exclude each other.
    pub(super) fn bits(flags: &str) -> Option<u32> {
        let bits = flags.chars().try_fold(0, |bits, flag| {
            let bit = 1 << FLAGS.iter().position(|known| *known == flag)?;
            (bits & bit == 0).then_some(bits | bit)
        })?;
        RegExp::are_flags(bits).then_some(bits)
    }

    /// Whether these bits are flags that V8 takes: without `l`, and not `u` together with `v`.
    pub(super) fn are_flags(bits: u32) -> bool {
        const LINEAR: u32 = 1 << 6;
        const BOTH_UNICODES: u32 = 1 << 4 | 1 << 8;
        bits >> FLAGS.len() == 0 && bits & LINEAR == 0 && bits & BOTH_UNICODES != BOTH_UNICODES
    }
}
