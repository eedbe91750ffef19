//! Reading a value.

use std::fmt;
use std::sync::{Arc, LazyLock};

use super::bigint::BigInt;
use super::binary::{ArrayBuffer, Blob, Typed};
use super::collection::{Array, Map, Object, Properties, RegExp, Set};
use super::external::External;
use super::failure::{DomException, Error};
use super::heap::{Heap, Node};
use super::http::{Headers, Request, Response};
use super::key::Key;
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
    /// A Date: milliseconds since 1970, or NaN.
    Date(f64),
    /// A regular expression.
    RegExp(RegExp<'a>),
    /// A primitive wrapped in an object: `new Number(1)`.
    Boxed(JsRef<'a>),
    /// A Map.
    Map(Map<'a>),
    /// A Set.
    Set(Set<'a>),
    /// An ArrayBuffer.
    ArrayBuffer(&'a ArrayBuffer),
    /// A typed array or a DataView.
    Typed(Typed<'a>),
    /// An error.
    Error(Error<'a>),
    /// A DOMException.
    DomException(&'a DomException),
    /// Headers.
    Headers(&'a Headers),
    /// A Request.
    Request(Request<'a>),
    /// A Response.
    Response(Response<'a>),
    /// A Blob.
    Blob(&'a Blob),
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

    pub(super) fn with(self, slot: Slot) -> Self {
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
        let value = self;
        match node {
            Node::Unfinished => View::Undefined,
            Node::Object { props, index } => {
                View::Object(Object(Properties { value, props: *props, index: index.as_deref() }))
            }
            Node::Array { length, dense, rest } => {
                View::Array(Array { value, length: *length, dense: *dense, rest: rest.as_deref() })
            }
            Node::Date(time) => View::Date(*time),
            Node::RegExp { source, flags } => View::RegExp(RegExp {
                source: self.heap().string(*source).unwrap_or(JsStr::Utf8("")),
                flags: *flags,
            }),
            Node::Boxed(primitive) => View::Boxed(self.with(*primitive)),
            Node::Map(span) => View::Map(Map { value, span: *span }),
            Node::Set(span) => View::Set(Set { value, span: *span }),
            Node::Buffer(buffer) => View::ArrayBuffer(buffer),
            Node::Typed { element, tracking, buffer, offset, length } => View::Typed(Typed {
                value,
                element: *element,
                buffer: *buffer,
                offset: *offset,
                length: *length,
                tracking: *tracking,
            }),
            Node::Error(node) => View::Error(Error { value, node }),
            Node::DomException(exception) => View::DomException(exception),
            Node::Headers(headers) => View::Headers(headers),
            Node::Request { url, init } => View::Request(Request { url, init: self.with(*init) }),
            Node::Response { body, init } => {
                View::Response(Response { body: self.with(*body), init: self.with(*init) })
            }
            Node::Blob(blob) => View::Blob(blob),
            Node::External(external) => View::External(external),
        }
    }

    /// A property of an object, an own property of an error, or an element of an array by its index.
    pub fn get(self, key: &str) -> Option<JsRef<'a>> {
        match self.view() {
            View::Object(object) => object.get(key),
            View::Array(array) => match Key::of(key) {
                Key::Index(index) => array.get(index),
                Key::Name(name) => array.property(name),
            },
            View::Error(error) => error.property(key),
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

    /// The truth value, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        match self.slot.item() {
            Item::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The bytes, if it is a buffer or a view of one.
    pub fn as_bytes(self) -> Option<bytes::Bytes> {
        match self.view() {
            View::ArrayBuffer(buffer) => Some(buffer.bytes.clone()),
            View::Typed(typed) => Some(typed.bytes()),
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

    /// Whether it is `undefined`.
    pub fn is_undefined(self) -> bool {
        self.slot == Slot::UNDEFINED
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.slot == Slot::NULL
    }
}

impl fmt::Debug for JsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inspect(&super::inspect::Options::default()))
    }
}
