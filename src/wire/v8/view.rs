//! Reading a value.

use std::fmt;
use std::sync::{Arc, LazyLock};

use super::bigint::BigInt;
use super::external::External;
use super::heap::{Heap, Index, Key, Node, Rest, Span};
use super::slot::{Item, Slot};
use super::string::JsStr;
use super::value::JsValue;

/// What values without a heap look things up in: nothing is in it.
static NOTHING: LazyLock<Arc<Heap>> = LazyLock::new(Arc::default);

/// A borrowed [`JsValue`], or a part of one.
#[derive(Clone, Copy)]
pub struct JsRef<'a> {
    pub(super) heap: Option<&'a Arc<Heap>>,
    pub(super) slot: Slot,
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum View<'a> {
    /// `undefined`.
    Undefined,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A BigInt.
    BigInt(&'a BigInt),
    /// A string.
    String(JsStr<'a>),
    /// A plain object.
    Object(Object<'a>),
    /// An array.
    Array(Array<'a>),
    /// A stub or a stream.
    External(&'a External),
}

impl<'a> JsRef<'a> {
    /// A value that owns what it refers to, together with the value this is a part of.
    pub fn to_value(self) -> JsValue {
        let heap = if self.slot.is_immediate() { None } else { self.heap.cloned() };
        JsValue { heap, slot: self.slot }
    }

    pub(super) fn heap(self) -> &'a Heap {
        self.heap.unwrap_or(&*NOTHING)
    }

    fn with(self, slot: Slot) -> Self {
        JsRef { heap: self.heap, slot }
    }

    /// What it is, for `match`.
    pub fn view(self) -> View<'a> {
        let heap = self.heap();
        match self.slot.item() {
            Item::Undefined | Item::Hole => View::Undefined,
            Item::Null => View::Null,
            Item::Bool(value) => View::Bool(value),
            Item::Number(value) => View::Number(value),
            Item::Text(place) => View::String(JsStr::Utf8(heap.text(place))),
            Item::Wide(place) => View::String(JsStr::Wide(heap.wide(place))),
            Item::BigInt(place) => heap.big_ints.get(place).map_or(View::Undefined, View::BigInt),
            Item::Node(place) => heap.nodes.get(place).map_or(View::Undefined, |node| self.object(node)),
        }
    }

    fn object(self, node: &'a Node) -> View<'a> {
        let props = |props, index| Properties { value: self, props, index };
        match node {
            Node::Unfinished => View::Undefined,
            Node::Object { props: span, index } => View::Object(Object(props(*span, index.as_deref()))),
            Node::External(external) => View::External(external),
            Node::Array { length, dense, rest } => {
                View::Array(Array { value: self, length: *length, dense: *dense, rest: rest.as_deref() })
            }
        }
    }

    /// A property of an object, or an element of an array by its index.
    pub fn get(self, key: &str) -> Option<JsRef<'a>> {
        match self.view() {
            View::Object(object) => object.get(key),
            View::Array(array) => match Key::of(key) {
                Key::Index(index) => array.get(index),
                name @ Key::Name(_) => array.rest().find(name),
            },
            _ => None,
        }
    }

    /// An element of an array; `None` where there is a hole, and beyond its end.
    pub fn at(self, index: u32) -> Option<JsRef<'a>> {
        match self.view() {
            View::Array(array) => array.get(index),
            _ => None,
        }
    }

    /// The string, if it is one.
    pub fn as_js_str(self) -> Option<JsStr<'a>> {
        self.heap().string(self.slot)
    }

    /// The text, if it is a string and text.
    pub fn as_str(self) -> Option<&'a str> {
        self.as_js_str()?.as_str()
    }

    /// The number, if it is one.
    pub fn as_f64(self) -> Option<f64> {
        match self.slot.item() {
            Item::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The stub or stream, if it is one.
    pub fn as_external(self) -> Option<&'a External> {
        match self.view() {
            View::External(external) => Some(external),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        match self.slot.item() {
            Item::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is `undefined`.
    pub fn is_undefined(self) -> bool {
        self.slot == Slot::UNDEFINED
    }
}

impl fmt::Debug for JsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// The properties of an object.
#[derive(Clone, Copy)]
pub struct Properties<'a> {
    value: JsRef<'a>,
    props: Span,
    index: Option<&'a Index>,
}

impl<'a> Properties<'a> {
    pub(super) fn find(self, key: Key<'_>) -> Option<JsRef<'a>> {
        self.value.heap().find(self.props, self.index, key).map(|slot| self.value.with(slot))
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.props.len / 2
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.props.len == 0
    }

    /// Keys and values: indices first, ascending, then the others as they were inserted.
    pub fn pairs(self) -> impl ExactSizeIterator<Item = (Key<'a>, JsRef<'a>)> {
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
        self.0.find(Key::of(key))
    }

    /// Its keys and values: indices first, ascending, then the others as they were inserted.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (Key<'a>, JsRef<'a>)> {
        self.0.pairs()
    }

    /// How many properties it has.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether it has no property.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.pairs()).finish()
    }
}

/// An array.
#[derive(Clone, Copy)]
pub struct Array<'a> {
    value: JsRef<'a>,
    length: u32,
    dense: Span,
    rest: Option<&'a Rest>,
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
        f.debug_list().entries(self.entries().map(|(_, value)| value)).finish()
    }
}
