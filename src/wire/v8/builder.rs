//! Building values piece by piece.

use std::collections::BTreeMap;

use super::binary::Element;
use super::failure::ErrorNode;
use super::graft::Graft;
use super::heap::{Heap, Node};
use super::key::Key;
use super::slot::Slot;
use super::value::JsValue;

/// Builds a value whose parts refer to each other as they like: cycles, and arrays with holes.
///
/// ```
/// use jackfield::wire::v8::Builder;
///
/// let mut builder = Builder::new();
/// let person = builder.object();
/// let name = builder.value("Ada");
/// builder.set(person, "name", name);
/// builder.set(person, "self", person);
/// let value = builder.finish(person);
/// assert_eq!(value.get("self").and_then(|same| same.get("name")), Some("Ada".into()));
/// ```
#[derive(Default)]
pub struct Builder {
    graft: Graft,
    open: BTreeMap<usize, Open>,
}

/// A value in a [`Builder`]. It means nothing to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub(super) Slot);

/// An object that can be added to.
enum Open {
    /// Pairs.
    Object(Vec<Slot>),
    Array(Elements),
    Map(Vec<Slot>),
    Set(Vec<Slot>),
}

/// What an array has so far.
#[derive(Default)]
struct Elements {
    length: u32,
    /// The first elements.
    dense: Vec<Slot>,
    /// Pairs: elements that came after a hole, and what is no element.
    rest: Vec<Slot>,
}

impl Builder {
    /// A builder of nothing yet.
    pub fn new() -> Self {
        Builder::default()
    }

    /// Takes a value as it is.
    pub fn value(&mut self, value: impl Into<JsValue>) -> Place {
        Place(self.graft.take_one(value.into()))
    }

    /// A plain object without properties.
    pub fn object(&mut self) -> Place {
        self.begin(Open::Object(Vec::new()))
    }

    /// An array without elements.
    pub fn array(&mut self) -> Place {
        self.begin(Open::Array(Elements::default()))
    }

    /// A Map without entries.
    pub fn map(&mut self) -> Place {
        self.begin(Open::Map(Vec::new()))
    }

    /// A Set of nothing.
    pub fn set_of_values(&mut self) -> Place {
        self.begin(Open::Set(Vec::new()))
    }

    /// An error of this class or name, whose own properties are those of an object in this builder, to which nothing
    /// else may refer. `None` if that place is no object of this builder.
    pub fn error(&mut self, name: &str, message: &str, properties: Place) -> Option<Place> {
        let (name, message) = (self.value(name), self.value(message));
        self.error_of(name, message, properties)
    }

    /// As [`Builder::error`], with a name and a message that need not be strings.
    pub(super) fn error_of(&mut self, name: Place, message: Place, properties: Place) -> Option<Place> {
        let props = properties.0;
        let Some(Open::Object(_)) = props.as_node().and_then(|node| self.open.get(&node)) else {
            return None;
        };
        let node = ErrorNode::of_workerd(name.0, message.0, props);
        Some(self.whole(Node::Error(Box::new(node))))
    }

    /// A view of a buffer in this builder: see [`JsValue::typed`].
    pub fn typed(
        &mut self,
        element: Element,
        buffer: Place,
        offset: usize,
        length: Option<usize>,
    ) -> Option<Place> {
        let node = self.graft.heap.view_node(element, buffer.0, offset, length)?;
        Some(self.whole(node))
    }

    /// Sets a property of an object, or an element or another property of an array. Elsewhere it does nothing.
    pub fn set(&mut self, object: Place, key: &str, value: Place) {
        self.set_key(object, Key::of(key), value);
    }

    /// As [`Builder::set`], by a key that need not be text.
    pub fn set_key(&mut self, object: Place, key: Key<'_>, value: Place) {
        let Some(node) = object.0.as_node() else { return };
        match (self.open.get_mut(&node), key) {
            (Some(Open::Object(pairs)), _) => pairs.extend([self.graft.heap.add_key(key), value.0]),
            (Some(Open::Array(elements)), Key::Index(index)) => elements.set(index, value.0),
            (Some(Open::Array(elements)), Key::Name(_)) => {
                elements.rest.extend([self.graft.heap.add_key(key), value.0]);
            }
            _ => {}
        }
    }

    /// Adds an element to an array, or a value to a Set. Elsewhere it does nothing.
    pub fn push(&mut self, object: Place, value: Place) {
        match object.0.as_node().and_then(|node| self.open.get_mut(&node)) {
            Some(Open::Array(elements)) => elements.set(elements.length, value.0),
            Some(Open::Set(values)) => values.push(value.0),
            _ => {}
        }
    }

    /// Adds an entry to a Map. Elsewhere it does nothing.
    pub fn entry(&mut self, map: Place, key: Place, value: Place) {
        if let Some(Open::Map(entries)) = map.0.as_node().and_then(|node| self.open.get_mut(&node)) {
            entries.extend([key.0, value.0]);
        }
    }

    /// Makes an array at least so long: what is missing are holes.
    pub fn lengthen(&mut self, array: Place, length: u32) {
        if let Some(Open::Array(elements)) = array.0.as_node().and_then(|node| self.open.get_mut(&node)) {
            elements.length = elements.length.max(length);
        }
    }

    /// The value at a place, and everything that it refers to.
    pub fn finish(self, root: Place) -> JsValue {
        let mut heap = self.graft.heap;
        for (place, open) in self.open {
            let node = open.close(&mut heap);
            heap.nodes.get_mut(place).into_iter().for_each(|unfinished| *unfinished = node.clone());
        }
        if root.0.is_immediate() { JsValue::immediate(root.0) } else { JsValue::within(heap, root.0) }
    }

    /// An object that is complete, of parts in this builder.
    pub(super) fn whole(&mut self, node: Node) -> Place {
        Place(Slot::node(self.graft.heap.add_node(node)))
    }

    fn begin(&mut self, open: Open) -> Place {
        let node = self.graft.heap.add_node(Node::Unfinished);
        self.open.insert(node, open);
        Place(Slot::node(node))
    }
}

impl Open {
    fn close(self, heap: &mut Heap) -> Node {
        match self {
            Open::Object(pairs) => heap.object_of(pairs),
            Open::Map(entries) => Node::Map(heap.add_slots(&entries)),
            Open::Set(values) => Node::Set(heap.add_slots(&values)),
            Open::Array(Elements { length, dense, rest }) => heap.array_of(length, dense, rest),
        }
    }
}

impl Elements {
    fn set(&mut self, index: u32, value: Slot) {
        if index == u32::MAX {
            return;
        }
        let next = self.dense.len();
        match self.dense.get_mut(index as usize) {
            Some(element) => *element = value,
            None if index as usize == next && self.length <= index => self.dense.push(value),
            None => self.rest.extend([Slot::number(f64::from(index)), value]),
        }
        self.length = self.length.max(index + 1);
    }
}
