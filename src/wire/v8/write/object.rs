//! Objects of every kind.

use super::primitive::is_small_integer;
use super::{Task, Writer};
use crate::wire::v8::binary::ArrayBuffer;
use crate::wire::v8::error::EncodeError;
use crate::wire::v8::failure::{ErrorForm, ErrorNode, class_letter, class_number};
use crate::wire::v8::heap::{Node, Span};
use crate::wire::v8::http::{HeaderName, Headers};
use crate::wire::v8::slot::{Item, Slot};

impl<'a> Writer<'a> {
    /// A reference, if the object was begun before; its number is given to it if not.
    fn refer(&mut self, place: usize) -> bool {
        let Some(id) = self.ids.get_mut(place) else { return true };
        if let Some(id) = id.checked_sub(1) {
            self.byte(b'^');
            self.varint(u64::from(id));
            return true;
        }
        self.next_id += 1;
        *id = self.next_id;
        false
    }

    /// Begins an object; what is in it becomes the next task.
    pub(super) fn node(&mut self, place: usize) -> Result<(), EncodeError> {
        let heap = self.heap;
        let Some(node) = heap.nodes.get(place) else { return Ok(()) };
        if let Node::Typed { buffer, .. } = node
            && self.ids.get(place) == Some(&0)
        {
            // V8 writes the buffer first, and the view is numbered after it.
            self.todo.push(Task::View(place));
            return self.value(*buffer);
        }
        if self.refer(place) {
            return Ok(());
        }
        match node {
            Node::Unfinished | Node::Typed { .. } => {}
            Node::Object { props, .. } => {
                self.byte(b'o');
                self.open(Some(b'{'), [Some(pairs(*props)), None])?;
                self.todo.push(Task::Values(props.of(&heap.slots)));
            }
            Node::Array { length, dense, rest } => {
                self.array(*length, *dense, rest.as_ref().map_or_else(Span::default, |rest| rest.props))?;
            }
            Node::Map(span) => self.collection(b';', b':', *span)?,
            Node::Set(span) => self.collection(b'\'', b',', *span)?,
            Node::Date(time) => self.double(b'D', *time),
            Node::RegExp { source, flags } => {
                self.byte(b'R');
                self.value(*source)?;
                self.varint(u64::from(*flags));
            }
            Node::Boxed(primitive) => self.boxed(*primitive)?,
            Node::Buffer(buffer) => self.buffer(buffer)?,
            Node::Error(error) => match error.form {
                ErrorForm::V8 => self.v8_error(error)?,
                ErrorForm::Workerd => self.host_error(error)?,
            },
            Node::DomException(exception) => {
                self.host(8);
                for part in [&exception.name, &exception.message, &exception.stack] {
                    self.counted(part.as_bytes())?;
                }
            }
            Node::Headers(headers) => self.headers(headers)?,
            Node::Request { url, init } => {
                self.host(5);
                self.counted(url.as_bytes())?;
                self.open(None, [None, None])?;
                self.todo.push(Task::Value(*init));
            }
            Node::Response { body, init } => {
                self.host(6);
                self.open(None, [None, None])?;
                self.todo.push(Task::Value(*init));
                self.todo.push(Task::Value(*body));
            }
            Node::Blob(blob) => {
                self.host(15);
                self.counted(blob.mime.as_bytes())?;
                self.counted(&blob.bytes)?;
            }
            Node::External(external) => {
                self.host(external.kind().tag());
                self.externals.push(external.clone());
            }
        }
        Ok(())
    }

    fn host(&mut self, tag: u32) {
        self.byte(b'\\');
        self.varint(u64::from(tag));
    }

    /// Notes how the object ends. What is in it is put on the stack after this, and so comes before.
    fn open(&mut self, tag: Option<u8>, counts: [Option<u32>; 2]) -> Result<(), EncodeError> {
        let limit = self.limits.depth;
        if self.depth >= limit {
            return Err(EncodeError::TooDeep { limit });
        }
        self.depth += 1;
        self.todo.push(Task::End { tag, counts });
        self.fits()
    }

    fn collection(&mut self, begin: u8, end: u8, span: Span) -> Result<(), EncodeError> {
        self.byte(begin);
        self.open(Some(end), [Some(span.len as u32), None])?;
        self.todo.push(Task::Values(span.of(&self.heap.slots)));
        Ok(())
    }

    fn array(&mut self, length: u32, dense: Span, rest: Span) -> Result<(), EncodeError> {
        let elements = dense.of(&self.heap.slots);
        let after = Task::Values(rest.of(&self.heap.slots));
        let holes = elements.iter().filter(|element| element.is_hole()).count();
        if holes > 0 || elements.len() < length as usize {
            self.byte(b'a');
            self.varint(u64::from(length));
            let present = (elements.len() - holes) as u32 + pairs(rest);
            self.open(Some(b'@'), [Some(present), Some(length)])?;
            self.todo.push(after);
            self.todo.push(Task::Elements { from: 0, slots: elements });
            return Ok(());
        }
        self.byte(b'A');
        self.varint(u64::from(length));
        self.open(Some(b'$'), [Some(pairs(rest)), Some(length)])?;
        self.todo.push(after);
        if !are_doubles(elements) {
            self.todo.push(Task::Values(elements));
            return Ok(());
        }
        self.has_room(elements.len().saturating_mul(9))?;
        for element in elements {
            if let Item::Number(number) = element.item() {
                self.double(b'N', number);
            }
        }
        Ok(())
    }

    fn boxed(&mut self, primitive: Slot) -> Result<(), EncodeError> {
        match primitive.item() {
            Item::Bool(true) => self.byte(b'y'),
            Item::Bool(false) => self.byte(b'x'),
            Item::Number(number) => self.double(b'n', number),
            Item::BigInt(place) => {
                self.byte(b'z');
                self.big_int(place)?;
            }
            _ => {
                self.byte(b's');
                self.value(primitive)?;
            }
        }
        Ok(())
    }

    fn buffer(&mut self, buffer: &ArrayBuffer) -> Result<(), EncodeError> {
        let max_len = buffer.max_len.unwrap_or_default();
        if u32::try_from(max_len.max(buffer.bytes.len() as u64)).is_err() {
            return Err(EncodeError::Oversized("an ArrayBuffer"));
        }
        self.has_room(buffer.bytes.len())?;
        // Enough for what is likely to follow, so that the buffer is not moved once more for it.
        self.out.reserve(buffer.bytes.len() + 64);
        self.byte(if buffer.max_len.is_some() { b'~' } else { b'B' });
        self.varint(buffer.bytes.len() as u64);
        if buffer.max_len.is_some() {
            self.varint(max_len);
        }
        self.raw(&buffer.bytes)
    }

    pub(super) fn view(&mut self, place: usize) -> Result<(), EncodeError> {
        // The buffer does not contain the view, so nobody has begun it in between.
        let Some(Node::Typed { element, tracking, buffer, offset, length }) = self.heap.nodes.get(place)
        else {
            return Ok(());
        };
        self.refer(place);
        let resizable =
            matches!(self.heap.node(*buffer), Some(Node::Buffer(facts)) if facts.max_len.is_some());
        self.byte(b'V');
        self.byte(element.letter());
        self.varint(*offset as u64);
        self.varint(if *tracking { 0 } else { *length as u64 });
        self.varint(u64::from(*tracking) | u64::from(resizable) << 1);
        Ok(())
    }

    fn v8_error(&mut self, error: &ErrorNode) -> Result<(), EncodeError> {
        self.byte(b'r');
        let class = self.heap.string(error.name).and_then(|name| class_letter(name.as_str()?));
        class.into_iter().for_each(|letter| self.byte(letter));
        for (letter, part) in [(b'm', error.message), (b's', error.stack)] {
            if let Some(text) = self.heap.string(part) {
                self.byte(letter);
                self.string(text)?;
            }
        }
        self.open(Some(b'.'), [None, None])?;
        if !error.cause.is_hole() {
            self.byte(b'c');
            self.todo.push(Task::Value(error.cause));
        }
        Ok(())
    }

    fn host_error(&mut self, error: &ErrorNode) -> Result<(), EncodeError> {
        self.host(10);
        self.open(None, [None, None])?;
        self.todo.push(Task::Value(error.props));
        self.todo.push(Task::Value(error.message));
        let class = self.heap.string(error.name).and_then(|name| class_number(name.as_str()?));
        self.varint(u64::from(class.unwrap_or_default()));
        if class.is_none() {
            self.todo.push(Task::Value(error.name));
        }
        Ok(())
    }

    fn headers(&mut self, headers: &Headers) -> Result<(), EncodeError> {
        self.host(4);
        self.varint(u64::from(headers.guard.number()));
        self.varint(headers.list.len() as u64);
        for (name, value) in &headers.list {
            match name {
                HeaderName::Common(number) => self.varint(u64::from(*number)),
                HeaderName::Other(name) => {
                    self.varint(0);
                    self.counted(name)?;
                }
            }
            self.counted(value)?;
        }
        Ok(())
    }
}

/// How many pairs these are.
fn pairs(span: Span) -> u32 {
    (span.len / 2) as u32
}

/// V8 keeps an array of numbers as doubles when one of them is no small integer, and writes what it keeps.
fn are_doubles(elements: &[Slot]) -> bool {
    let mut doubles = false;
    elements.iter().all(|element| match element.item() {
        Item::Number(number) => {
            doubles |= !is_small_integer(number);
            true
        }
        _ => false,
    }) && doubles
}
