//! Pairs of key and value become objects and arrays.

use std::collections::HashMap;

use super::heap::{Heap, Node, Rest, Span};
use super::key::Key;
use super::slot::{Item, Slot};
use super::string::JsStr;

/// Objects with more pairs than this have an [`Index`](super::key::Index): looking through fewer is no slower.
pub(super) const INDEXED: usize = 16;

/// Two properties have the same key.
#[derive(Debug)]
pub(super) struct TwiceTheSameKey;

impl Heap {
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
        if length as usize > elements * 8 {
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

/// How many of these pairs, which are sorted, have an index as their key.
fn count_indices(pairs: &[Slot]) -> usize {
    pairs.iter().step_by(2).take_while(|key| matches!(key.item(), Item::Number(_))).count()
}
