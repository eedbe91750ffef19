//! The value itself, and how a program makes one.

use std::fmt;
use std::sync::Arc;

use super::external::External;
use super::graft::Graft;
use super::heap::{Heap, Node};
use super::key::Key;
use super::slot::Slot;
use super::view::{JsRef, View};

/// A JavaScript value: a primitive, or an object with everything it refers to.
///
/// Values do not change. Clones share what they refer to, and are cheap; so is taking a part of a value, which keeps
/// the whole alive. What is put into an array or an object twice at once is one object there; across several levels,
/// a [`Builder`](super::Builder) keeps one object one.
///
/// ```
/// use jackfield::wire::v8::JsValue;
///
/// let value = JsValue::object([("sum", JsValue::from(3)), ("parts", JsValue::array([1, 2]))]);
/// assert_eq!(value.get("sum").and_then(|sum| sum.as_f64()), Some(3.0));
/// assert_eq!(value.get("parts"), Some(JsValue::array([1, 2])));
/// ```
#[derive(Clone)]
pub struct JsValue {
    /// `None` only beside a slot that needs no heap.
    pub(super) heap: Option<Arc<Heap>>,
    pub(super) slot: Slot,
}

impl JsValue {
    /// `undefined`.
    pub const UNDEFINED: JsValue = JsValue { heap: None, slot: Slot::UNDEFINED };

    /// `null`.
    pub const NULL: JsValue = JsValue { heap: None, slot: Slot::NULL };

    pub(super) fn immediate(slot: Slot) -> Self {
        JsValue { heap: None, slot }
    }

    pub(super) fn within(heap: Heap, slot: Slot) -> Self {
        JsValue { heap: Some(Arc::new(heap)), slot }
    }

    pub(super) fn of_node(mut heap: Heap, node: Node) -> Self {
        let place = heap.add_node(node);
        JsValue::within(heap, Slot::node(place))
    }

    /// A plain object. Of two properties with the same key the later one stays.
    pub fn object<K: AsRef<str>, V: Into<JsValue>>(properties: impl IntoIterator<Item = (K, V)>) -> Self {
        let (keys, values): (Vec<K>, Vec<JsValue>) =
            properties.into_iter().map(|(key, value)| (key, value.into())).unzip();
        let mut graft = Graft::new();
        let values = graft.take(values);
        let pairs = keys.iter().zip(values);
        let pairs =
            pairs.flat_map(|(key, value)| [graft.heap.add_key(Key::of(key.as_ref())), value]).collect();
        let node = graft.heap.object_of(pairs);
        JsValue::of_node(graft.heap, node)
    }

    /// An array without holes.
    pub fn array<V: Into<JsValue>>(elements: impl IntoIterator<Item = V>) -> Self {
        let mut graft = Graft::new();
        let slots = graft.take(elements.into_iter().map(V::into).collect());
        let length = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        let node = graft.heap.array_of(length, slots, Vec::new());
        JsValue::of_node(graft.heap, node)
    }

    /// A string of code units, which need not be text.
    pub fn from_utf16(units: &[u16]) -> Self {
        let mut heap = Heap::default();
        let slot = heap.add_utf16(units);
        JsValue::within(heap, slot)
    }

    /// The value, borrowed: for reading.
    pub fn as_ref(&self) -> JsRef<'_> {
        JsRef { heap: self.heap.as_ref(), slot: self.slot }
    }

    /// What it is, for `match`.
    pub fn view(&self) -> View<'_> {
        self.as_ref().view()
    }

    /// A property of an object, or an element of an array by its index.
    pub fn get(&self, key: &str) -> Option<JsValue> {
        self.as_ref().get(key).map(JsRef::to_value)
    }

    /// An element of an array; `None` where there is a hole, and beyond its end.
    pub fn at(&self, index: u32) -> Option<JsValue> {
        self.as_ref().at(index).map(JsRef::to_value)
    }

    /// The text, if it is a string and text.
    pub fn as_str(&self) -> Option<&str> {
        self.as_ref().as_str()
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_ref().as_f64()
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        self.as_ref().as_bool()
    }

    /// The stub or stream, if it is one.
    pub fn as_external(&self) -> Option<&External> {
        self.as_ref().as_external()
    }

    /// Whether it is `undefined`.
    pub fn is_undefined(&self) -> bool {
        self.slot == Slot::UNDEFINED
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.slot == Slot::NULL
    }
}

/// `undefined`.
impl Default for JsValue {
    fn default() -> Self {
        JsValue::UNDEFINED
    }
}

impl fmt::Debug for JsValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl PartialEq for JsValue {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl From<()> for JsValue {
    fn from((): ()) -> Self {
        JsValue::UNDEFINED
    }
}

impl From<bool> for JsValue {
    fn from(value: bool) -> Self {
        JsValue::immediate(Slot::bool(value))
    }
}

macro_rules! from_numbers {
    ($($number:ty)*) => {$(
        impl From<$number> for JsValue {
            fn from(value: $number) -> Self {
                JsValue::immediate(Slot::number(f64::from(value)))
            }
        }
    )*};
}

from_numbers!(i8 u8 i16 u16 i32 u32 f32 f64);

impl From<&str> for JsValue {
    fn from(text: &str) -> Self {
        let mut heap = Heap::default();
        let slot = heap.add_text(text);
        JsValue::within(heap, slot)
    }
}

impl From<String> for JsValue {
    fn from(text: String) -> Self {
        JsValue::from(text.as_str())
    }
}

/// `null` for `None`.
impl<T: Into<JsValue>> From<Option<T>> for JsValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(JsValue::NULL, T::into)
    }
}

impl<T: Into<JsValue>> From<Vec<T>> for JsValue {
    fn from(elements: Vec<T>) -> Self {
        JsValue::array(elements)
    }
}

impl<T: Into<JsValue>, const N: usize> From<[T; N]> for JsValue {
    fn from(elements: [T; N]) -> Self {
        JsValue::array(elements)
    }
}

impl From<JsRef<'_>> for JsValue {
    fn from(value: JsRef<'_>) -> Self {
        value.to_value()
    }
}
