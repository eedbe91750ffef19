//! Values as text.

use std::collections::HashMap;

use serde_json::{Map, Number, Value, json};

use super::{DEEPEST, TooDeepForText, base64};
use crate::wire::v8::binary::{Element, Typed};
use crate::wire::v8::collection::Array;
use crate::wire::v8::external::ExternalKind;
use crate::wire::v8::failure::Error;
use crate::wire::v8::http::{Guard, Headers};
use crate::wire::v8::key::Key;
use crate::wire::v8::string::JsStr;
use crate::wire::v8::view::{JsRef, View};

type Written = Result<Value, TooDeepForText>;

pub(super) fn write(value: JsRef<'_>) -> Written {
    let mut writer = Writer { referred: references(value), names: HashMap::new(), externals: HashMap::new() };
    writer.value(value, 0)
}

struct Writer {
    /// How often each object is referred to.
    referred: HashMap<usize, usize>,
    /// The numbers of those that are referred to more than once, and were written.
    names: HashMap<usize, usize>,
    /// The places of stubs and streams, in the order in which they are met.
    externals: HashMap<usize, usize>,
}

/// How often each object is referred to.
fn references(root: JsRef<'_>) -> HashMap<usize, usize> {
    let mut referred = HashMap::new();
    let mut todo = vec![root.slot];
    let heap = root.heap();
    while let Some(slot) = todo.pop() {
        let Some(place) = slot.as_node() else { continue };
        let count = referred.entry(place).or_insert(0);
        *count += 1;
        if *count > 1 {
            continue;
        }
        if let Some(node) = heap.nodes.get(place) {
            node.each_reference(heap, |slot| todo.push(slot));
        }
    }
    referred
}

impl Writer {
    fn value(&mut self, value: JsRef<'_>, depth: usize) -> Written {
        if depth > DEEPEST {
            return Err(TooDeepForText);
        }
        let Some(node) = value.slot.as_node() else { return Ok(primitive(value)) };
        if let Some(name) = self.names.get(&node) {
            return Ok(json!(["ref", name]));
        }
        if self.referred.get(&node).is_none_or(|count| *count < 2) {
            return self.object(value, node, depth);
        }
        let name = self.names.len();
        self.names.insert(node, name);
        let written = self.object(value, node, depth)?;
        Ok(json!(["def", name, written]))
    }

    fn object(&mut self, value: JsRef<'_>, node: usize, depth: usize) -> Written {
        let below = depth + 1;
        Ok(match value.view() {
            View::Object(object) => self.plain(object.iter(), below)?,
            View::Array(array) => self.array(array, below)?,
            View::Date(time) => json!(["date", if time.is_nan() { Value::Null } else { number(time) }]),
            View::RegExp(reg_exp) => json!(["regexp", string(reg_exp.source), reg_exp.flags()]),
            View::Boxed(inner) => json!(["boxed", primitive(inner)]),
            View::Map(map) => {
                let mut pairs = Vec::with_capacity(map.len());
                for (key, value) in map.iter() {
                    pairs.push(json!([self.value(key, below)?, self.value(value, below)?]));
                }
                json!(["map", pairs])
            }
            View::Set(set) => json!(["set", self.all(set.iter(), below)?]),
            View::ArrayBuffer(buffer) => match buffer.max_len {
                Some(max_len) => json!(["buffer", base64::encode(&buffer.bytes), max_len]),
                None => json!(["buffer", base64::encode(&buffer.bytes)]),
            },
            View::Typed(typed) => self.typed(typed, below)?,
            View::Error(error) => self.error(error, below)?,
            View::DomException(exception) if exception.stack.is_empty() => {
                json!(["domexception", exception.name, exception.message])
            }
            View::DomException(exception) => {
                json!(["domexception", exception.name, exception.message, exception.stack])
            }
            View::Headers(headers) => headers_form(headers),
            View::Request(request) => {
                let init = self.init(request.init, below)?;
                json!(["request", request.url, init])
            }
            View::Response(response) => {
                let body = self.value(response.body, below)?;
                let init = self.init(response.init, below)?;
                json!(["response", body, init])
            }
            View::Blob(blob) => json!(["blob", blob.mime, base64::encode(&blob.bytes)]),
            View::External(external) => {
                let next = self.externals.len();
                let place = *self.externals.entry(node).or_insert(next);
                json!([form_of(external.kind()), place])
            }
            _ => primitive(value),
        })
    }

    fn all<'a>(
        &mut self,
        values: impl Iterator<Item = JsRef<'a>>,
        depth: usize,
    ) -> Result<Vec<Value>, TooDeepForText> {
        values.map(|value| self.value(value, depth)).collect()
    }

    fn plain<'a>(&mut self, properties: impl Iterator<Item = (Key<'a>, JsRef<'a>)>, depth: usize) -> Written {
        let mut written = Vec::new();
        for (key, value) in properties {
            written.push((key, self.value(value, depth)?));
        }
        let is_text = |key: &Key<'_>| !matches!(key, Key::Name(JsStr::Wide(_)));
        if written.iter().all(|(key, _)| is_text(key)) {
            return Ok(written.into_iter().map(|(key, value)| (key.to_string(), value)).collect());
        }
        let key = |key| match key {
            Key::Index(index) => json!(index.to_string()),
            Key::Name(name) => string(name),
        };
        Ok(json!(["object", written.into_iter().map(|(name, value)| (key(name), value)).collect::<Vec<_>>()]))
    }

    fn array(&mut self, array: Array<'_>, depth: usize) -> Written {
        let count = array.entries().count();
        // A hole takes nine characters here, and an index in the other form as many.
        let holes = array.len() as usize - count;
        if array.properties().len() == 0 && holes <= count {
            let hole = || Ok(json!(["hole"]));
            let elements = (0..array.len()).map(|index| match array.get(index) {
                Some(value) => self.value(value, depth),
                None => hole(),
            });
            return Ok(json!([elements.collect::<Result<Vec<Value>, _>>()?]));
        }
        let elements = array.entries().map(|(index, value)| (Key::Index(index), value));
        let named = array.properties().map(|(name, value)| (Key::Name(name), value));
        let has = self.plain(elements.chain(named), depth)?;
        Ok(json!(["array", array.len(), has]))
    }

    fn typed(&mut self, typed: Typed<'_>, depth: usize) -> Written {
        if let View::ArrayBuffer(buffer) = typed.buffer().view() {
            let own = typed.buffer().slot.as_node().and_then(|node| self.referred.get(&node)) == Some(&1);
            let whole = typed.byte_offset() == 0 && typed.byte_len() == buffer.bytes.len();
            if own && whole && buffer.max_len.is_none() && typed.element() == Element::Uint8 {
                return Ok(json!(["bytes", base64::encode(&buffer.bytes)]));
            }
        }
        let length = if typed.is_length_tracking() { Value::Null } else { json!(typed.byte_len()) };
        let buffer = self.value(typed.buffer(), depth)?;
        Ok(json!(["view", typed.element().class(), buffer, typed.byte_offset(), length]))
    }

    fn error(&mut self, error: Error<'_>, depth: usize) -> Written {
        let part = |slot| error.value.with(slot);
        let name = match part(error.node.name).slot.is_hole() {
            true => json!("Error"),
            false => self.value(part(error.node.name), depth)?,
        };
        let message = match part(error.node.message).slot.is_hole() {
            true => json!(""),
            false => self.value(part(error.node.message), depth)?,
        };
        let mut form = vec![json!("error"), name, message];
        let stack = error.stack().map(string);
        // A stack that is no string is a property like others.
        let has_stack = stack.is_some();
        let is_said = move |key: Key<'_>| has_stack && key == Key::of("stack");
        let cause = error.cause().filter(|_| error.properties().is_none());
        let properties = match error.properties().map(JsRef::view) {
            Some(View::Object(object)) => Some(object.iter().filter(move |(key, _)| !is_said(*key))),
            _ => None,
        };
        let cause = cause.map(|cause| (Key::of("cause"), cause));
        let mut properties = properties.into_iter().flatten().chain(cause).peekable();
        if properties.peek().is_none() {
            form.extend(stack);
        } else {
            form.push(stack.unwrap_or(Value::Null));
            form.push(self.plain(properties, depth)?);
        }
        Ok(Value::Array(form))
    }

    /// What is not as usual in a request or a response.
    fn init(&mut self, init: JsRef<'_>, depth: usize) -> Written {
        let View::Object(object) = init.view() else { return Ok(json!({})) };
        let mut properties = Map::new();
        let mut forms = Map::new();
        for (key, value) in object.iter().filter(|(_, value)| !value.is_undefined()) {
            let key = key.to_string();
            let written = match (key.as_str(), value.view()) {
                ("headers", View::Headers(headers)) => pairs(headers),
                ("body", _) => self.value(value, depth)?,
                _ => match self.unescaped(value, depth) {
                    Some(plain) => plain,
                    None => {
                        forms.insert(key, self.value(value, depth)?);
                        continue;
                    }
                },
            };
            properties.insert(key, written);
        }
        if !forms.is_empty() {
            properties.insert(FORMS.into(), Value::Object(forms));
        }
        Ok(Value::Object(properties))
    }

    /// Plain JSON, in which arrays are themselves; `None` if the value is none, or parts of it are shared.
    fn unescaped(&self, value: JsRef<'_>, depth: usize) -> Option<Value> {
        let shared =
            value.slot.as_node().and_then(|node| self.referred.get(&node)).is_some_and(|count| *count > 1);
        if depth > DEEPEST || shared {
            return None;
        }
        match value.view() {
            View::Null => Some(Value::Null),
            View::Bool(value) => Some(value.into()),
            View::Number(value) if value.is_finite() => Some(number(value)),
            View::String(JsStr::Utf8(text)) => Some(text.into()),
            View::Array(array) if !array.has_holes() && array.properties().len() == 0 => {
                array.entries().map(|(_, value)| self.unescaped(value, depth + 1)).collect()
            }
            View::Object(object) => {
                let text = |key: Key<'_>| match key {
                    Key::Name(JsStr::Wide(_)) => None,
                    key => Some(key.to_string()),
                };
                let property = |(key, value)| Some((text(key)?, self.unescaped(value, depth + 1)?));
                object.iter().map(property).collect::<Option<Map<_, _>>>().map(Value::Object)
            }
            _ => None,
        }
    }
}

/// Where a request or a response has what plain JSON cannot say.
pub(super) const FORMS: &str = "$forms";

/// The form of a stub or stream.
pub(super) fn form_of(kind: ExternalKind) -> &'static str {
    match kind {
        ExternalKind::Stub => "export",
        ExternalKind::ReadableStream => "readable",
        ExternalKind::WritableStream => "writable",
        ExternalKind::ServiceStub => "service",
        ExternalKind::ActorClass => "class",
        ExternalKind::Unknown => "unknown",
    }
}

fn primitive(value: JsRef<'_>) -> Value {
    match value.view() {
        View::Null => Value::Null,
        View::Bool(value) => value.into(),
        View::Number(value) if value.is_nan() => json!(["nan"]),
        View::Number(f64::INFINITY) => json!(["inf"]),
        View::Number(f64::NEG_INFINITY) => json!(["-inf"]),
        View::Number(value) => number(value),
        View::String(value) => string(value),
        View::BigInt(value) => json!(["bigint", value.to_string()]),
        _ => json!(["undefined"]),
    }
}

fn string(string: JsStr<'_>) -> Value {
    match string {
        JsStr::Utf8(text) => text.into(),
        JsStr::Wide(units) => json!(["string", units]),
    }
}

/// Integers without a point, as JavaScript writes them.
fn number(number: f64) -> Value {
    let integer = number as i64;
    let is_integer = integer as f64 == number && integer.unsigned_abs() < 1 << 53;
    if is_integer && !(integer == 0 && number.is_sign_negative()) {
        return integer.into();
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn headers_form(headers: &Headers) -> Value {
    let pairs = pairs(headers);
    match guard_name(headers.guard()) {
        Some(guard) => json!(["headers", pairs, guard]),
        None => json!(["headers", pairs]),
    }
}

pub(super) fn guard_name(guard: Guard) -> Option<&'static str> {
    match guard {
        Guard::Immutable => Some("immutable"),
        Guard::Request => Some("request"),
        Guard::Response => Some("response"),
        Guard::None => None,
    }
}

/// Names and values; what is no UTF-8 as bytes.
fn pairs(headers: &Headers) -> Value {
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!(["bytes", base64::encode(bytes)]),
    };
    headers.iter().map(|(name, value)| json!([text(name), text(value)])).collect()
}
