//! Errors.

use super::heap::Node;
use super::slot::Slot;
use super::string::JsStr;
use super::view::{JsRef, View};

/// In which of the two forms an error travels. Workers read both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorForm {
    /// V8's: class, message, stack and cause, and nothing else. Workers with an older compatibility date write it.
    V8,
    /// workerd's: class or name, message, and all own properties, stack and cause among them.
    Workerd,
}

/// An error, as it lies in the heap. What is not there is a hole.
#[derive(Debug, Clone)]
pub(super) struct ErrorNode {
    pub(super) form: ErrorForm,
    pub(super) name: Slot,
    pub(super) message: Slot,
    /// In V8's form; in workerd's it is a property.
    pub(super) stack: Slot,
    /// In V8's form; in workerd's it is a property.
    pub(super) cause: Slot,
    /// In workerd's form: an object that only holds them.
    pub(super) props: Slot,
}

impl ErrorNode {
    /// An error in workerd's form.
    pub(super) fn of_workerd(name: Slot, message: Slot, props: Slot) -> Self {
        ErrorNode { form: ErrorForm::Workerd, name, message, stack: Slot::HOLE, cause: Slot::HOLE, props }
    }

    pub(super) fn slots(&mut self) -> [&mut Slot; 5] {
        [&mut self.name, &mut self.message, &mut self.stack, &mut self.cause, &mut self.props]
    }
}

/// The classes that workerd's form has a number for: their place. At 0 is any other name, which follows.
const CLASSES: [&str; 14] = [
    "",
    "Error",
    "TypeError",
    "RangeError",
    "ReferenceError",
    "SyntaxError",
    "WasmCompileError",
    "WasmLinkError",
    "WasmRuntimeError",
    "WasmSuspendError",
    "EvalError",
    "URIError",
    "AggregateError",
    "SuppressedError",
];

/// workerd's number of a class, if it has one.
pub(super) fn class_number(name: &str) -> Option<u32> {
    (1..).zip(&CLASSES[1..]).find(|(_, class)| **class == name).map(|(number, _)| number)
}

/// The class of a number in workerd's form; nothing at 0.
pub(super) fn class_of_number(number: u32) -> Option<&'static str> {
    CLASSES.get(number as usize).copied()
}

/// The classes that V8's form has a letter for; any other is an `Error` there.
const LETTERS: [(u8, &str); 6] = [
    (b'E', "EvalError"),
    (b'R', "RangeError"),
    (b'F', "ReferenceError"),
    (b'S', "SyntaxError"),
    (b'T', "TypeError"),
    (b'U', "URIError"),
];

/// V8's letter of a class, if it has one.
pub(super) fn class_letter(name: &str) -> Option<u8> {
    LETTERS.iter().find(|(_, class)| *class == name).map(|(letter, _)| *letter)
}

/// The class of a letter in V8's form.
pub(super) fn class_of_letter(letter: u8) -> Option<&'static str> {
    LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, class)| *class)
}

/// An error.
#[derive(Debug, Clone, Copy)]
pub struct Error<'a> {
    pub(super) value: JsRef<'a>,
    pub(super) node: &'a ErrorNode,
}

impl<'a> Error<'a> {
    /// The form in which it travels.
    pub fn form(self) -> ErrorForm {
        self.node.form
    }

    /// Its `name`, such as `TypeError`, or that of the class to which it belongs.
    pub fn name(self) -> JsStr<'a> {
        self.string(self.node.name).unwrap_or(JsStr::Utf8("Error"))
    }

    /// Its `message`; empty if it has none.
    pub fn message(self) -> JsStr<'a> {
        self.string(self.node.message).unwrap_or(JsStr::Utf8(""))
    }

    /// Its `stack`: where it was thrown, for people.
    pub fn stack(self) -> Option<JsStr<'a>> {
        match self.node.form {
            ErrorForm::V8 => self.string(self.node.stack),
            ErrorForm::Workerd => self.property("stack")?.as_js_str(),
        }
    }

    /// Its `cause`.
    pub fn cause(self) -> Option<JsRef<'a>> {
        match self.node.form {
            ErrorForm::V8 => (!self.node.cause.is_hole()).then(|| self.value.with(self.node.cause)),
            ErrorForm::Workerd => self.property("cause"),
        }
    }

    /// A property of its own. In V8's form there are none.
    pub fn property(self, key: &str) -> Option<JsRef<'a>> {
        match self.value.with(self.node.props).view() {
            View::Object(object) => object.get(key),
            _ => None,
        }
    }

    /// Its own properties as an object, `stack` and `cause` among them; in V8's form there is none.
    pub fn properties(self) -> Option<JsRef<'a>> {
        (!self.node.props.is_hole()).then(|| self.value.with(self.node.props))
    }

    fn string(self, slot: Slot) -> Option<JsStr<'a>> {
        self.value.heap().string(slot)
    }
}

/// A DOMException.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DomException {
    /// Its `name`, such as `AbortError`.
    pub name: Box<str>,
    /// Its `message`.
    pub message: Box<str>,
    /// Its `stack`, or nothing.
    pub stack: Box<str>,
}

impl DomException {
    /// A DOMException without a stack.
    pub fn new(name: impl Into<Box<str>>, message: impl Into<Box<str>>) -> Self {
        DomException { name: name.into(), message: message.into(), stack: Box::default() }
    }
}

impl From<DomException> for Node {
    fn from(exception: DomException) -> Self {
        Node::DomException(Box::new(exception))
    }
}
