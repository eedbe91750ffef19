//! Making objects that are not plain.

use bytes::Bytes;

use super::bigint::BigInt;
use super::binary::{ArrayBuffer, Blob, Element};
use super::collection::RegExp;
use super::external::External;
use super::failure::{DomException, ErrorNode};
use super::graft::Graft;
use super::heap::{Heap, Node};
use super::http::Headers;
use super::number::time;
use super::slot::{Item, Slot};
use super::value::JsValue;

/// The flags are none of a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" are no flags of a regular expression; they are some of dgimsuvy, each once, and not u with v"
)]
pub struct InvalidRegExpFlags(pub String);

/// Whether there are objects of this primitive.
pub(super) fn is_boxable(primitive: Slot) -> bool {
    use Item::{BigInt, Bool, Number, Text, Wide};
    matches!(primitive.item(), Bool(_) | Number(_) | BigInt(_) | Text(_) | Wide(_))
}

impl JsValue {
    /// A Date: milliseconds since 1970. JavaScript cuts fractions off, and takes what is more than 8.64e15 away, or
    /// no number, for an invalid date.
    pub fn date(milliseconds: f64) -> Self {
        JsValue::of_node(Heap::default(), Node::Date(time(milliseconds)))
    }

    /// A regular expression. The source is what stands between the slashes; it is not looked into.
    ///
    /// # Errors
    /// The flags are none.
    pub fn reg_exp(source: &str, flags: &str) -> Result<Self, InvalidRegExpFlags> {
        let Some(flags) = RegExp::bits(flags) else { return Err(InvalidRegExpFlags(flags.to_owned())) };
        let mut heap = Heap::default();
        let source = heap.add_text(if source.is_empty() { "(?:)" } else { source });
        Ok(JsValue::of_node(heap, Node::RegExp { source, flags }))
    }

    /// A Map. Nobody checks that no key comes twice.
    pub fn map<K: Into<JsValue>, V: Into<JsValue>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut graft = Graft::new();
        let values = entries.into_iter().flat_map(|(key, value)| [key.into(), value.into()]).collect();
        let slots = graft.take(values);
        let span = graft.heap.add_slots(&slots);
        JsValue::of_node(graft.heap, Node::Map(span))
    }

    /// A Set. Nobody checks that nothing comes twice.
    pub fn set<V: Into<JsValue>>(values: impl IntoIterator<Item = V>) -> Self {
        let mut graft = Graft::new();
        let slots = graft.take(values.into_iter().map(V::into).collect());
        let span = graft.heap.add_slots(&slots);
        JsValue::of_node(graft.heap, Node::Set(span))
    }

    /// A primitive as an object, such as `new Number(1)`; `None` for what is no boolean, number, BigInt or string.
    pub fn boxed(primitive: impl Into<JsValue>) -> Option<Self> {
        let mut graft = Graft::new();
        let slot = graft.take_one(primitive.into());
        is_boxable(slot).then(|| JsValue::of_node(graft.heap, Node::Boxed(slot)))
    }

    /// A Uint8Array of its own buffer.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len();
        let mut heap = Heap::default();
        let buffer = heap.add_node(Node::Buffer(Box::new(ArrayBuffer { bytes, max_len: None })));
        let buffer = Slot::node(buffer);
        let view = Node::Typed { element: Element::Uint8, tracking: false, buffer, offset: 0, length };
        JsValue::of_node(heap, view)
    }

    /// A view of a buffer: of so many bytes from an offset on, or of what there is, following a resizable buffer's
    /// length. `None` if the value is no ArrayBuffer, or the view would not be of whole elements within it.
    pub fn typed(element: Element, buffer: &JsValue, offset: usize, length: Option<usize>) -> Option<Self> {
        let mut graft = Graft::new();
        let slot = graft.take_one(buffer.clone());
        let view = graft.heap.view_node(element, slot, offset, length)?;
        Some(JsValue::of_node(graft.heap, view))
    }

    /// An error of this class or name, without a stack: its receiver gives it one.
    pub fn error(name: &str, message: &str) -> Self {
        JsValue::error_with(name, message, JsValue::object::<&str, JsValue>([])).unwrap_or_default()
    }

    /// An error with properties of its own, such as `code`, `cause` and `stack`: those of an object. `None` if they
    /// are no plain object.
    pub fn error_with(name: &str, message: &str, properties: JsValue) -> Option<Self> {
        let mut graft = Graft::new();
        let props = graft.take_one(properties);
        let Some(Node::Object { .. }) = graft.heap.node(props) else { return None };
        // An object of its own: nothing else may refer to it.
        let own = graft.heap.node(props).cloned()?;
        let props = Slot::node(graft.heap.add_node(own));
        let (name, message) = (graft.heap.add_text(name), graft.heap.add_text(message));
        let node = ErrorNode::of_workerd(name, message, props);
        Some(JsValue::of_node(graft.heap, Node::Error(Box::new(node))))
    }

    /// A Request of a URL, and an object with what is not as usual, as its constructor takes it.
    pub fn request(url: &str, init: JsValue) -> Self {
        let mut graft = Graft::new();
        let init = graft.take_one(init);
        JsValue::of_node(graft.heap, Node::Request { url: url.into(), init })
    }

    /// A Response of a body (a stream or `null`), and an object with what is not as usual, as its constructor takes
    /// it.
    pub fn response(body: JsValue, init: JsValue) -> Self {
        let mut graft = Graft::new();
        let slots = graft.take(vec![body, init]);
        let [body, init] = [0, 1].map(|nth| slots.get(nth).copied().unwrap_or(Slot::UNDEFINED));
        JsValue::of_node(graft.heap, Node::Response { body, init })
    }
}

impl Heap {
    /// A view of a buffer, if it is of whole elements within it.
    pub(super) fn view_node(
        &self,
        element: Element,
        buffer: Slot,
        offset: usize,
        length: Option<usize>,
    ) -> Option<Node> {
        let Some(Node::Buffer(facts)) = self.node(buffer) else { return None };
        let available = facts.bytes.len().checked_sub(offset)?;
        let tracking = length.is_none() && facts.max_len.is_some();
        let whole = available - available % element.size();
        let length = length.unwrap_or(if tracking { whole } else { available });
        let fits = length <= available
            && length.is_multiple_of(element.size())
            && offset.is_multiple_of(element.size());
        fits.then_some(Node::Typed { element, tracking, buffer, offset, length })
    }
}

impl From<BigInt> for JsValue {
    fn from(value: BigInt) -> Self {
        let mut heap = Heap::default();
        heap.big_ints.push(value);
        JsValue::within(heap, Slot::big_int(0))
    }
}

impl From<External> for JsValue {
    fn from(external: External) -> Self {
        JsValue::of_node(Heap::default(), Node::External(external))
    }
}

/// One that says of itself that it cannot be as long as it is is taken for one of a fixed length.
impl From<ArrayBuffer> for JsValue {
    fn from(mut buffer: ArrayBuffer) -> Self {
        buffer.max_len = buffer.max_len.filter(|max_len| *max_len >= buffer.bytes.len() as u64);
        JsValue::of_node(Heap::default(), Node::Buffer(Box::new(buffer)))
    }
}

impl From<DomException> for JsValue {
    fn from(exception: DomException) -> Self {
        JsValue::of_node(Heap::default(), exception.into())
    }
}

impl From<Headers> for JsValue {
    fn from(headers: Headers) -> Self {
        JsValue::of_node(Heap::default(), Node::Headers(Box::new(headers)))
    }
}

impl From<Blob> for JsValue {
    fn from(blob: Blob) -> Self {
        JsValue::of_node(Heap::default(), Node::Blob(Box::new(blob)))
    }
}
