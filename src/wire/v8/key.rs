//! The keys of objects, and how they are found.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use super::heap::{Heap, Span};
use super::number::number_text;
use super::pairs::TwiceTheSameKey;
use super::slot::{Item, Slot};
use super::string::JsStr;

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

/// Finds the keys of a large object.
#[derive(Debug, Clone)]
pub(super) struct Index {
    hasher: RandomState,
    /// Which pair, plus one; zero is free. Its length is a power of two and at least twice the pairs.
    table: Box<[usize]>,
}

impl Heap {
    /// The slot of a key: indices are numbers.
    pub(super) fn add_key(&mut self, key: Key<'_>) -> Slot {
        match key {
            Key::Index(index) => Slot::number(f64::from(index)),
            Key::Name(JsStr::Utf8(name)) => self.add_text(name),
            Key::Name(JsStr::Wide(units)) => self.add_utf16(units),
        }
    }

    pub(super) fn key(&self, slot: Slot) -> Option<Key<'_>> {
        match slot.item() {
            Item::Number(number) => number_index(number).map(Key::Index),
            _ => self.string(slot).map(Key::Name),
        }
    }

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

    pub(super) fn index(&self, pairs: &[Slot]) -> Result<Index, TwiceTheSameKey> {
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
