//! Objects: their class, and what is in them.

use super::Inspector;
use super::text::{Style, harmless, quoted};
use crate::wire::v8::binary::{ArrayBuffer, Element, Typed};
use crate::wire::v8::collection::Array;
use crate::wire::v8::failure::Error;
use crate::wire::v8::http::Headers;
use crate::wire::v8::key::Key;
use crate::wire::v8::number::{half, iso_date, number_text};
use crate::wire::v8::string::JsStr;
use crate::wire::v8::view::{JsRef, View};

/// What stands around an object's contents.
pub(super) struct Shape {
    pub(super) class: &'static str,
    /// What stands before the braces.
    pub(super) base: String,
    pub(super) braces: (String, &'static str),
}

impl Shape {
    fn new(class: &'static str, open: impl Into<String>, close: &'static str) -> Self {
        Shape { class, base: String::new(), braces: (open.into(), close) }
    }
}

/// Properties of an error that its text has, or that are printed apart.
const IN_ERROR_TEXT: [&str; 2] = ["stack", "cause"];

impl Inspector<'_> {
    /// What stands around an object, or the whole text if nothing is in it.
    pub(super) fn shape(&self, value: JsRef<'_>) -> Result<Shape, String> {
        let counted = |class: &'static str, count: usize, close: &'static str| {
            let open = if close == "]" { "[" } else { "{" };
            if count == 0 {
                return Err(format!("{class}(0) {open}{close}"));
            }
            Ok(Shape::new(class, format!("{class}({count}) {open}"), close))
        };
        match value.view() {
            View::Object(object) if object.is_empty() => Err("{}".into()),
            View::Array(array) if array.is_empty() && array.properties().len() == 0 => Err("[]".into()),
            View::Array(_) => Ok(Shape::new("Array", "[", "]")),
            View::Date(time) => {
                Err(self.paint(Style::Date, &iso_date(time).unwrap_or_else(|| "Invalid Date".into())))
            }
            View::RegExp(reg_exp) => {
                let text = format!("/{}/{}", harmless(&reg_exp.source.to_string_lossy()), reg_exp.flags());
                Err(self.paint(Style::RegExp, &text))
            }
            View::Boxed(primitive) => Err(self.boxed(primitive)),
            View::Map(map) => counted("Map", map.len(), "}"),
            View::Set(set) => counted("Set", set.len(), "}"),
            View::ArrayBuffer(_) => Ok(Shape::new("ArrayBuffer", "ArrayBuffer {", "}")),
            View::Typed(typed) if typed.element() == Element::DataView => {
                Ok(Shape::new("DataView", "DataView {", "}"))
            }
            View::Typed(typed) => {
                counted(typed.element().class(), typed.byte_len() / typed.element().size(), "]")
            }
            View::Error(error) => self.error(error),
            View::DomException(exception) => {
                let head = format!("DOMException [{}]: {}", exception.name, exception.message);
                Err(self.thrown(&head, &exception.message, &exception.stack))
            }
            View::Headers(headers) if headers.iter().len() == 0 => Err("Headers {}".into()),
            View::Headers(_) => Ok(Shape::new("Headers", "Headers {", "}")),
            View::Request(_) => Ok(Shape::new("Request", "Request {", "}")),
            View::Response(_) => Ok(Shape::new("Response", "Response {", "}")),
            View::Blob(_) => Ok(Shape::new("Blob", "Blob {", "}")),
            View::External(external) => Err(format!("{} {{}}", external.kind().class())),
            _ => Ok(Shape::new("Object", "{", "}")),
        }
    }

    fn boxed(&self, primitive: JsRef<'_>) -> String {
        let (class, style, text) = match primitive.view() {
            View::String(string) => ("String", Style::String, quoted(&string.utf16())),
            View::Bool(value) => ("Boolean", Style::Number, value.to_string()),
            View::BigInt(value) => ("BigInt", Style::Number, format!("{value}n")),
            View::Number(number) if number == 0.0 && number.is_sign_negative() => {
                ("Number", Style::Number, "-0".into())
            }
            View::Number(number) => ("Number", Style::Number, number_text(number)),
            _ => ("Object", Style::Special, String::new()),
        };
        self.paint(style, &format!("[{class}: {text}]"))
    }

    fn error(&self, error: Error<'_>) -> Result<Shape, String> {
        let (name, message) = (error.name().to_string(), error.message().to_string());
        let head = if message.is_empty() { name } else { format!("{name}: {message}") };
        let stack = error.stack().map(|stack| stack.to_string()).unwrap_or_default();
        let base = self.thrown(&head, &message, &stack);
        if own_properties(error).next().is_none() && error.cause().is_none() {
            return Err(base);
        }
        Ok(Shape { class: "Error", base, braces: ("{".into(), "}") })
    }

    /// An error's stack; its name and message in brackets if it has none.
    fn thrown(&self, head: &str, message: &str, stack: &str) -> String {
        let text = if stack.is_empty() { head } else { stack };
        let after_message = text.find(message).map_or(0, |at| at + message.len());
        let has_places = text.get(after_message..).is_some_and(|rest| rest.contains("\n    at"));
        let text = harmless(text);
        let text = if has_places { text } else { format!("[{text}]") };
        text.replace('\n', &format!("\n{}", " ".repeat(self.indentation)))
    }

    /// What is in an object, piece by piece.
    pub(super) fn contents(&mut self, value: JsRef<'_>, level: usize) -> Vec<String> {
        match value.view() {
            View::Object(object) => {
                object.iter().map(|(key, value)| self.property(key, value, level)).collect()
            }
            View::Array(array) => self.elements(array, level),
            View::Map(map) => self.limited(map.len(), map.iter(), |inspector, (key, value)| {
                let key = inspector.value(key, level);
                format!("{key} => {}", inspector.value(value, level))
            }),
            View::Set(set) => {
                self.limited(set.len(), set.iter(), |inspector, value| inspector.value(value, level))
            }
            View::ArrayBuffer(buffer) => self.buffer(buffer),
            View::Typed(typed) => self.typed(typed, level),
            View::Error(error) => self.error_properties(error, level),
            View::Headers(headers) => self.headers(headers),
            View::Request(request) => {
                let url = format!("url: {}", self.string(JsStr::Utf8(request.url)));
                self.init(url, request.init, level)
            }
            View::Response(response) => {
                let body = self.named("body", response.body, level);
                self.init(body, response.init, level)
            }
            View::Blob(blob) => {
                let size = self.paint(Style::Number, &blob.bytes.len().to_string());
                vec![format!("size: {size}"), format!("type: {}", self.string(JsStr::Utf8(&blob.mime)))]
            }
            _ => Vec::new(),
        }
    }

    /// Something two columns further to the right.
    fn indented<R>(&mut self, print: impl FnOnce(&mut Self) -> R) -> R {
        self.indentation += 2;
        let printed = print(self);
        self.indentation -= 2;
        printed
    }

    fn property(&mut self, key: Key<'_>, value: JsRef<'_>, level: usize) -> String {
        let value = self.indented(|inspector| inspector.value(value, level));
        format!("{}: {value}", self.key(key))
    }

    fn named(&mut self, name: &str, value: JsRef<'_>, level: usize) -> String {
        let value = self.indented(|inspector| inspector.value(value, level));
        format!("{name}: {value}")
    }

    /// As many as are wanted, and how many more there are.
    fn limited<T>(
        &mut self,
        count: usize,
        all: impl Iterator<Item = T>,
        print: impl Fn(&mut Self, T) -> String,
    ) -> Vec<String> {
        let shown = self.options.elements;
        let mut contents: Vec<String> =
            self.indented(|inspector| all.take(shown).map(|one| print(inspector, one)).collect());
        contents.extend(more(count.saturating_sub(shown)));
        contents
    }

    fn elements(&mut self, array: Array<'_>, level: usize) -> Vec<String> {
        let shown = self.options.elements;
        let mut contents = Vec::new();
        let mut next = 0;
        for (index, value) in array.entries() {
            if contents.len() < shown && index > next {
                contents.push(self.empty(index - next));
                next = index;
            }
            if contents.len() == shown {
                break;
            }
            contents.push(self.indented(|inspector| inspector.value(value, level)));
            next = index + 1;
        }
        let left = array.len() - next;
        if contents.len() < shown && left > 0 {
            contents.push(self.empty(left));
        } else {
            contents.extend(more(left as usize));
        }
        contents.extend(array.properties().map(|(name, value)| self.property(Key::Name(name), value, level)));
        contents
    }

    fn empty(&self, count: u32) -> String {
        let plural = if count == 1 { "" } else { "s" };
        self.paint(Style::Undefined, &format!("<{count} empty item{plural}>"))
    }

    fn buffer(&mut self, buffer: &ArrayBuffer) -> Vec<String> {
        let shown = buffer.bytes.get(..self.options.elements).unwrap_or(&buffer.bytes);
        let mut text: Vec<String> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
        match buffer.bytes.len() - shown.len() {
            0 => {}
            1 => text.push("... 1 more byte".into()),
            more => text.push(format!("... {more} more bytes")),
        }
        let label = self.paint(Style::Special, "[Uint8Contents]");
        let length = self.paint(Style::Number, &buffer.bytes.len().to_string());
        vec![format!("{label}: <{}>", text.join(" ")), format!("byteLength: {length}")]
    }

    fn typed(&mut self, typed: Typed<'_>, level: usize) -> Vec<String> {
        if typed.element() == Element::DataView {
            let number = |number: usize| self.paint(Style::Number, &number.to_string());
            let (length, offset) = (number(typed.byte_len()), number(typed.byte_offset()));
            let buffer = self.named("buffer", typed.buffer(), level);
            return vec![format!("byteLength: {length}"), format!("byteOffset: {offset}"), buffer];
        }
        let size = typed.element().size();
        let bytes = typed.bytes();
        let elements = bytes.chunks_exact(size);
        self.limited(typed.byte_len() / size, elements, |inspector, raw| {
            inspector.element(typed.element(), raw)
        })
    }

    fn element(&self, element: Element, raw: &[u8]) -> String {
        fn read<const N: usize>(raw: &[u8]) -> [u8; N] {
            raw.try_into().unwrap_or([0; N])
        }
        let number = match element {
            Element::Int8 => f64::from(i8::from_le_bytes(read(raw))),
            Element::Uint8 | Element::Uint8Clamped | Element::DataView => {
                f64::from(u8::from_le_bytes(read(raw)))
            }
            Element::Int16 => f64::from(i16::from_le_bytes(read(raw))),
            Element::Uint16 => f64::from(u16::from_le_bytes(read(raw))),
            Element::Int32 => f64::from(i32::from_le_bytes(read(raw))),
            Element::Uint32 => f64::from(u32::from_le_bytes(read(raw))),
            Element::Float16 => half(u16::from_le_bytes(read(raw))),
            Element::Float32 => f64::from(f32::from_le_bytes(read(raw))),
            Element::Float64 => f64::from_le_bytes(read(raw)),
            Element::BigInt64 => {
                return self.paint(Style::Number, &format!("{}n", i64::from_le_bytes(read(raw))));
            }
            Element::BigUint64 => {
                return self.paint(Style::Number, &format!("{}n", u64::from_le_bytes(read(raw))));
            }
        };
        self.number(number)
    }

    fn error_properties(&mut self, error: Error<'_>, level: usize) -> Vec<String> {
        // What node does not enumerate is in brackets there.
        let several = error.name() == "AggregateError";
        let mut contents: Vec<String> = own_properties(error)
            .map(|(key, value)| match key {
                Key::Name(JsStr::Utf8("errors")) if several => self.named("[errors]", value, level),
                _ => self.property(key, value, level),
            })
            .collect();
        if let Some(cause) = error.cause() {
            contents.push(self.named("[cause]", cause, level));
        }
        contents
    }

    fn headers(&mut self, headers: &Headers) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pairs = headers.iter().map(|(name, value)| {
            let (name, value) = (text(name), text(value));
            format!("{}: {}", self.key(Key::Name(JsStr::Utf8(&name))), self.string(JsStr::Utf8(&value)))
        });
        pairs.collect()
    }

    /// What is not as usual in a request or a response.
    fn init(&mut self, first: String, init: JsRef<'_>, level: usize) -> Vec<String> {
        let mut contents = vec![first];
        if let View::Object(object) = init.view() {
            let given = object.iter().filter(|(_, value)| !value.is_undefined());
            contents.extend(given.map(|(key, value)| self.property(key, value, level)));
        }
        contents
    }
}

fn more(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("... 1 more item".into()),
        count => Some(format!("... {count} more items")),
    }
}

/// An error's own properties that its text does not have.
fn own_properties<'a>(error: Error<'a>) -> impl Iterator<Item = (Key<'a>, JsRef<'a>)> {
    let properties = match error.properties().map(JsRef::view) {
        Some(View::Object(object)) => Some(object.iter()),
        _ => None,
    };
    let apart = |key: &Key<'a>| matches!(key, Key::Name(JsStr::Utf8(name)) if IN_ERROR_TEXT.contains(name));
    properties.into_iter().flatten().filter(move |(key, _)| !apart(key))
}
