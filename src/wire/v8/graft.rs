//! Putting values together: their heaps become one.

use std::collections::HashMap;
use std::sync::Arc;

use super::heap::{Heap, Node, Span};
use super::slot::{Item, Moved, Slot};
use super::value::JsValue;

/// Takes values into one heap.
///
/// A heap that nobody else shares is moved as it is, the largest one without a copy; so wrapping a value costs what
/// the wrapper has, however large the value. Of a shared heap only what the value refers to is copied, once, so that
/// what was one object stays one.
#[derive(Default)]
pub(super) struct Graft {
    pub(super) heap: Heap,
    copied: HashMap<*const Heap, Copied>,
}

/// What was copied from a heap, and where to.
struct Copied {
    from: Arc<Heap>,
    nodes: HashMap<usize, usize>,
}

impl Graft {
    pub(super) fn new() -> Self {
        Graft::default()
    }

    /// Takes values, and says where they are.
    pub(super) fn take(&mut self, values: Vec<JsValue>) -> Vec<Slot> {
        let mut taken = Vec::with_capacity(values.len());
        let mut own = Vec::new();
        for (nth, value) in values.into_iter().enumerate() {
            let Some(heap) = value.heap.filter(|_| !value.slot.is_immediate()) else {
                taken.push(value.slot);
                continue;
            };
            taken.push(Slot::UNDEFINED);
            match Arc::try_unwrap(heap) {
                Ok(heap) => own.push((nth, heap, value.slot)),
                Err(shared) => {
                    let slot = self.copy(shared, value.slot);
                    taken.last_mut().into_iter().for_each(|taken| *taken = slot);
                }
            }
        }
        // The largest first: it is the one that is not copied.
        own.sort_by_key(|(_, heap, _)| std::cmp::Reverse(heap.size()));
        for (nth, heap, slot) in own {
            let moved = self.heap.append(heap);
            taken.get_mut(nth).into_iter().for_each(|taken| *taken = slot.moved(&moved));
        }
        taken
    }

    /// Takes one value.
    pub(super) fn take_one(&mut self, value: JsValue) -> Slot {
        if value.slot.is_immediate() {
            return value.slot;
        }
        self.take(vec![value]).first().copied().unwrap_or(Slot::UNDEFINED)
    }

    /// Copies what a slot of a shared heap refers to.
    fn copy(&mut self, from: Arc<Heap>, slot: Slot) -> Slot {
        let identity = Arc::as_ptr(&from);
        let Graft { heap, copied } = self;
        let known = copied.entry(identity).or_insert_with(|| Copied { from, nodes: HashMap::new() });
        let Copied { from, nodes } = known;
        let mut todo = Vec::new();
        let mut copy = |heap: &mut Heap, slot: Slot, todo: &mut Vec<(usize, usize)>| match slot.item() {
            Item::Text(place) => heap.add_text(from.text(place)),
            Item::Wide(place) => heap.add_utf16(from.wide(place)),
            Item::BigInt(place) => {
                heap.big_ints.push(from.big_ints.get(place).cloned().unwrap_or_default());
                Slot::big_int(heap.big_ints.len() - 1)
            }
            Item::Node(place) => Slot::node(*nodes.entry(place).or_insert_with(|| {
                let to = heap.add_node(Node::Unfinished);
                todo.push((place, to));
                to
            })),
            _ => slot,
        };
        let root = copy(heap, slot, &mut todo);
        while let Some((place, to)) = todo.pop() {
            let Some(mut node) = from.nodes.get(place).cloned() else { continue };
            node.each_span(|span| {
                let slots: Vec<Slot> =
                    span.of(&from.slots).iter().map(|slot| copy(heap, *slot, &mut todo)).collect();
                *span = heap.add_slots(&slots);
            });
            node.each_slot(|slot| *slot = copy(heap, *slot, &mut todo));
            heap.nodes.get_mut(to).into_iter().for_each(|unfinished| *unfinished = node.clone());
        }
        root
    }
}

impl Heap {
    /// How much a copy of it would take, roughly.
    fn size(&self) -> usize {
        self.nodes.len() + self.slots.len() + self.texts.len() + self.utf8.len() / 8 + self.utf16.len() / 4
    }

    /// Moves everything of another heap to the end of this one, and says how far it moved.
    fn append(&mut self, mut other: Heap) -> Moved {
        if self.size() == 0 && self.big_ints.is_empty() && self.wides.is_empty() {
            *self = other;
            return Moved::default();
        }
        let moved = Moved {
            nodes: self.nodes.len(),
            slots: self.slots.len(),
            texts: self.texts.len(),
            utf8: self.utf8.len(),
            wides: self.wides.len(),
            utf16: self.utf16.len(),
            big_ints: self.big_ints.len(),
        };
        for node in &mut other.nodes {
            node.each_span(|span| *span = span.moved(moved.slots));
            node.each_slot(|slot| *slot = slot.moved(&moved));
        }
        self.nodes.append(&mut other.nodes);
        self.slots.extend(other.slots.iter().map(|slot| slot.moved(&moved)));
        self.texts.extend(other.texts.iter().map(|span| span.moved(moved.utf8)));
        self.utf8.push_str(&other.utf8);
        self.wides.extend(other.wides.iter().map(|span| span.moved(moved.utf16)));
        self.utf16.append(&mut other.utf16);
        self.big_ints.append(&mut other.big_ints);
        moved
    }
}

impl Node {
    /// Every run of slots that the object refers to.
    pub(super) fn each_span(&mut self, mut change: impl FnMut(&mut Span)) {
        match self {
            Node::Object { props: span, .. } | Node::Map(span) | Node::Set(span) => change(span),
            Node::Array { dense, rest, .. } => {
                change(dense);
                rest.iter_mut().for_each(|rest| change(&mut rest.props));
            }
            _ => {}
        }
    }

    /// Every slot in the object itself.
    pub(super) fn each_slot(&mut self, mut change: impl FnMut(&mut Slot)) {
        match self {
            Node::RegExp { source: slot, .. }
            | Node::Boxed(slot)
            | Node::Typed { buffer: slot, .. }
            | Node::Request { init: slot, .. } => change(slot),
            Node::Response { body, init } => {
                change(body);
                change(init);
            }
            Node::Error(error) => error.slots().into_iter().for_each(change),
            _ => {}
        }
    }
    /// Every slot that the object refers to, in itself and elsewhere in its heap.
    pub(super) fn each_reference(&self, heap: &Heap, mut visit: impl FnMut(Slot)) {
        match self {
            Node::Object { props: span, .. } | Node::Map(span) | Node::Set(span) => {
                span.of(&heap.slots).iter().copied().for_each(visit);
            }
            Node::Array { dense, rest, .. } => {
                dense.of(&heap.slots).iter().copied().for_each(&mut visit);
                rest.iter().for_each(|rest| rest.props.of(&heap.slots).iter().copied().for_each(&mut visit));
            }
            Node::RegExp { source: slot, .. }
            | Node::Boxed(slot)
            | Node::Typed { buffer: slot, .. }
            | Node::Request { init: slot, .. } => visit(*slot),
            Node::Response { body, init } => {
                visit(*body);
                visit(*init);
            }
            Node::Error(error) => {
                [error.name, error.message, error.stack, error.cause, error.props]
                    .into_iter()
                    .for_each(visit);
            }
            _ => {}
        }
    }
}
