//! Errors, in both forms, and what else is completed by values that follow.

use super::collection::expected;
use super::{Frame, Reader, What};
use crate::wire::v8::error::V8Error;
use crate::wire::v8::failure::{DomException, ErrorForm, ErrorNode, class_of_letter, class_of_number};
use crate::wire::v8::heap::Node;
use crate::wire::v8::key::Key;
use crate::wire::v8::slot::Slot;

/// An error of which nothing is known yet.
fn nothing(form: ErrorForm) -> ErrorNode {
    let hole = Slot::HOLE;
    ErrorNode { form, name: hole, message: hole, stack: hole, cause: hole, props: hole }
}

impl Reader<'_> {
    /// V8's form: a class, a message, a stack and a cause, each if there is one, and an end.
    pub(super) fn v8_error(&mut self) -> Result<Option<Slot>, V8Error> {
        let mut error = nothing(ErrorForm::V8);
        let mut tag = self.cursor.byte()?;
        if let Some(class) = class_of_letter(tag) {
            error.name = self.heap.add_text(class);
            tag = self.cursor.byte()?;
        }
        if tag == b'm' {
            error.message = self.string()?;
            tag = self.cursor.byte()?;
        }
        if tag == b's' {
            error.stack = self.string()?;
            tag = self.cursor.byte()?;
        }
        self.boxed += size_of::<ErrorNode>();
        match tag {
            b'c' => self.open_node(Node::Error(Box::new(error)), What::Parts(1)),
            b'.' => self.whole(Node::Error(Box::new(error))),
            _ => expected(self.cursor.offset() - 1, "a part of an error, or its end,"),
        }
    }

    /// workerd's form: a class by number, or 0 and a name; then a message, and an object with all own properties.
    pub(super) fn host_error(&mut self) -> Result<Option<Slot>, V8Error> {
        let offset = self.cursor.offset();
        let Some(class) = class_of_number(self.cursor.varint32()?) else {
            return expected(offset, "the number of an error class");
        };
        let mut error = nothing(ErrorForm::Workerd);
        let mut parts = 3;
        if !class.is_empty() {
            error.name = self.heap.add_text(class);
            parts = 2;
        }
        self.boxed += size_of::<ErrorNode>();
        self.open_node(Node::Error(Box::new(error)), What::Parts(parts))
    }

    /// The values that complete a node, as soon as there are enough.
    pub(super) fn parts(&mut self, frame: Frame, count: usize) -> Result<Option<Slot>, V8Error> {
        while self.scratch.len() - frame.base < count {
            match self.value()? {
                Some(value) => self.scratch.push(value),
                None => return Ok(None),
            }
        }
        let parts: Vec<Slot> = self.scratch.split_off(frame.base);
        let offset = self.cursor.offset();
        if matches!(self.heap.nodes.get(frame.node), Some(Node::Error(error)) if error.form == ErrorForm::V8)
        {
            self.after_cause(frame.node)?;
        }
        let last = parts.last().and_then(|last| self.heap.node(*last));
        let has_properties = matches!(last, Some(Node::Object { .. }));
        match (self.heap.nodes.get_mut(frame.node), parts.as_slice()) {
            (Some(Node::Error(error)), [cause]) => error.cause = *cause,
            (Some(Node::Error(_)), _) if !has_properties => {
                return expected(offset, "an object with an error's properties");
            }
            (Some(Node::Error(error)), [message, props]) => {
                (error.message, error.props) = (*message, *props);
            }
            (Some(Node::Error(error)), [name, message, props]) => {
                (error.name, error.message, error.props) = (*name, *message, *props);
            }
            (Some(Node::Request { init, .. }), [value]) => *init = *value,
            (Some(Node::Response { body, init }), [first, second]) => (*body, *init) = (*first, *second),
            (Some(Node::DomException(_)), [error]) => self.old_dom_exception(frame.node, *error, offset)?,
            _ => {}
        }
        Ok(Some(self.close(frame)))
    }

    /// What ends an error. Older V8s, which write the same version, write the stack after the cause.
    fn after_cause(&mut self, node: usize) -> Result<(), V8Error> {
        let mut tag = self.cursor.byte()?;
        if tag == b's' {
            let text = self.string()?;
            if let Some(Node::Error(error)) = self.heap.nodes.get_mut(node) {
                error.stack = text;
            }
            tag = self.cursor.byte()?;
        }
        if tag == b'.' { Ok(()) } else { expected(self.cursor.offset() - 1, "the end of an error") }
    }

    /// For some weeks a DOMException was its name, and an error with its message and stack.
    fn old_dom_exception(&mut self, node: usize, error: Slot, offset: usize) -> Result<(), V8Error> {
        let Some(Node::Error(error)) = self.heap.node(error) else {
            return expected(offset, "an error");
        };
        let stack = match self.heap.node(error.props) {
            Some(Node::Object { props, index }) => self.heap.find(*props, index.as_deref(), Key::of("stack")),
            _ => Some(error.stack),
        };
        let text = |slot| self.heap.string(slot).map(|text| text.to_string());
        let (message, stack) =
            (text(error.message).unwrap_or_default(), stack.and_then(text).unwrap_or_default());
        if let Some(Node::DomException(exception)) = self.heap.nodes.get_mut(node) {
            let name = std::mem::take(&mut exception.name);
            **exception = DomException { name, message: message.into(), stack: stack.into() };
        }
        Ok(())
    }
}
