//! A table whose keys a peer chooses.

use super::tables::FastMap;

/// Slots that a table may have however few entries it holds, and that it keeps when it is empty.
const SPARE: usize = 64;

/// Entries by ids of a peer's choosing. Every implementation takes the smallest id that is free, so that ids are places
/// in a row; an id far beyond the number of entries goes into a map, and what a peer makes us set aside stays in
/// proportion to what it sent.
pub struct IdTable<T> {
    near: Vec<Option<T>>,
    far: FastMap<u32, T>,
    len: usize,
}

impl<T> Default for IdTable<T> {
    fn default() -> Self {
        IdTable { near: Vec::new(), far: FastMap::default(), len: 0 }
    }
}

impl<T> IdTable<T> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry under `id`.
    pub fn get(&self, id: &u32) -> Option<&T> {
        match self.near.get(*id as usize) {
            Some(Some(entry)) => Some(entry),
            _ if self.far.is_empty() => None,
            _ => self.far.get(id),
        }
    }

    /// The entry under `id`.
    pub fn get_mut(&mut self, id: &u32) -> Option<&mut T> {
        match self.near.get_mut(*id as usize) {
            Some(Some(entry)) => Some(entry),
            _ if self.far.is_empty() => None,
            _ => self.far.get_mut(id),
        }
    }

    /// Whether `id` is taken.
    pub fn contains_key(&self, id: &u32) -> bool {
        self.get(id).is_some()
    }

    /// Puts an entry under an id that is free.
    pub fn insert(&mut self, id: u32, entry: T) {
        self.len += 1;
        let at = id as usize;
        if at >= self.near.len() && at < SPARE + 2 * self.len {
            self.near.resize_with(at + 1, || None);
        }
        match self.near.get_mut(at) {
            Some(slot) => *slot = Some(entry),
            None => drop(self.far.insert(id, entry)),
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: &u32) -> Option<T> {
        let near = self.near.get_mut(*id as usize).and_then(Option::take);
        let removed = if near.is_none() && !self.far.is_empty() { self.far.remove(id) } else { near };
        self.len -= usize::from(removed.is_some());
        if self.len == 0 && self.near.len() > SPARE {
            self.near = Vec::new();
        }
        removed
    }

    /// All entries with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let near = self.near.iter().enumerate();
        let near = near.filter_map(|(id, entry)| entry.as_ref().map(|entry| (id as u32, entry)));
        near.chain(self.far.iter().map(|(id, entry)| (*id, entry)))
    }

    /// Takes all entries out.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        let IdTable { near, far, .. } = std::mem::take(self);
        near.into_iter().flatten().chain(far.into_values())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<bool>(), prop_oneof![0u32..8, 60u32..260, any::<u32>()]), 0..400)) {
            let (mut table, mut model) = (IdTable::default(), BTreeMap::new());
            for (step, (insert, id)) in steps.into_iter().enumerate() {
                if insert && !model.contains_key(&id) {
                    table.insert(id, step);
                    model.insert(id, step);
                } else {
                    prop_assert_eq!(table.remove(&id), model.remove(&id));
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert_eq!(table.get(&id), model.get(&id));
                prop_assert!(table.near.len() <= SPARE + 2 * 400);
            }
            let mut ids: Vec<_> = table.iter().map(|(id, _)| id).collect();
            ids.sort_unstable();
            prop_assert_eq!(ids, model.keys().copied().collect::<Vec<_>>());
            let mut left: Vec<_> = table.drain().collect();
            left.sort_unstable();
            let mut expected: Vec<_> = model.into_values().collect();
            expected.sort_unstable();
            prop_assert_eq!(left, expected);
            prop_assert!(table.is_empty());
        }
    }

    #[test]
    fn a_far_id_takes_no_row() {
        let mut table = IdTable::default();
        table.insert(u32::MAX, ());
        table.insert(1 << 20, ());
        assert!(table.near.is_empty());
        assert!(table.contains_key(&u32::MAX) && table.contains_key(&(1 << 20)));
    }
}
