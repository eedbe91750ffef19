//! Forms to which nothing within them can refer.

use bytes::Bytes;
use serde_json::Value;

use super::read::{Parts, Read, Reader};
use super::write::{FORMS, form_of, guard_name};
use crate::wire::v8::binary::{ArrayBuffer, Blob, Element};
use crate::wire::v8::failure::DomException;
use crate::wire::v8::heap::Node;
use crate::wire::v8::http::{Guard, Headers};
use crate::wire::v8::value::JsValue;

impl Reader<'_> {
    pub(super) fn opaque(&mut self, form: &str, parts: Parts<'_>, number: Option<u64>) -> Read {
        match (form, parts) {
            ("buffer", [Value::String(text), max_len @ ..]) if max_len.len() <= 1 => {
                let bytes = self.bytes(text)?;
                let max_len = match max_len.first() {
                    None => None,
                    Some(max_len) => match max_len.as_u64().filter(|max_len| *max_len >= bytes.len() as u64) {
                        None => return self.wrong("a buffer is no longer than its maxByteLength"),
                        known => known,
                    },
                };
                self.whole(ArrayBuffer { bytes, max_len }, number)
            }
            ("view", [Value::String(class), buffer, offset, length]) => {
                let buffer = self.at("buffer", |reader| reader.value(buffer, None))?;
                let offset = offset.as_u64().and_then(|offset| usize::try_from(offset).ok());
                let element = Element::of_class(class);
                let length = match length {
                    Value::Null => Some(None),
                    length => length.as_u64().and_then(|length| usize::try_from(length).ok()).map(Some),
                };
                let place = match (element, offset, length) {
                    (Some(element), Some(offset), Some(length)) => self.builder.typed(element, buffer, offset, length),
                    _ => None,
                };
                match place {
                    Some(place) => Ok(self.define(number, place)),
                    None => self.wrong("a view is [\"view\",CLASS,BUFFER,OFFSET,LENGTH], in bytes and within its buffer"),
                }
            }
            ("domexception", [Value::String(name), Value::String(message), stack @ ..]) if stack.len() <= 1 => {
                let stack = stack.first().and_then(Value::as_str).unwrap_or_default().into();
                let exception = DomException { name: name.as_str().into(), message: message.as_str().into(), stack };
                self.whole(exception, number)
            }
            ("headers", [Value::Array(pairs), guard @ ..]) if guard.len() <= 1 => {
                let known = [Guard::Immutable, Guard::Request, Guard::Response, Guard::None];
                let name = guard.first().map(|guard| guard.as_str().unwrap_or_default());
                let Some(guard) = known.into_iter().find(|guard| guard_name(*guard) == name) else {
                    return self.wrong("the guard of headers is \"immutable\", \"request\" or \"response\"");
                };
                let headers = self.headers(guard, pairs)?;
                self.whole(headers, number)
            }
            ("request", [Value::String(url), init @ ..]) if init.len() <= 1 => {
                let init = self.init(init.first())?.0;
                let place = self.builder.whole(Node::Request { url: url.as_str().into(), init });
                Ok(self.define(number, place))
            }
            ("response", [body, init @ ..]) if init.len() <= 1 => {
                let body = self.at("body", |reader| reader.value(body, None))?.0;
                let init = self.init(init.first())?.0;
                let place = self.builder.whole(Node::Response { body, init });
                Ok(self.define(number, place))
            }
            ("blob", [Value::String(mime), Value::String(text)]) => {
                let bytes = self.bytes(text)?;
                self.whole(Blob { mime: mime.as_str().into(), bytes }, number)
            }
            ("export" | "readable" | "writable" | "service" | "class", [Value::Number(place)]) => {
                let place = place.as_u64().and_then(|place| usize::try_from(place).ok());
                let external = place.and_then(|place| Some((place, self.externals.get(place)?)));
                match external.filter(|(_, external)| form_of(external.kind()) == form) {
                    Some((place, external)) => {
                        let known = self.places.get(&place).copied();
                        let known = known.unwrap_or_else(|| self.builder.value(external.clone()));
                        self.places.insert(place, known);
                        Ok(self.define(number, known))
                    }
                    None => self.wrong(format!("nothing of this kind is given here, so [\"{form}\",…] means nothing")),
                }
            }
            _ => self.wrong(format!(
                "[\"{form}\"] with {} more is no form; the forms are those of Cap'n Web, such as [\"date\",0], \
                 and an array that begins with a string is [[\"{form}\"]]",
                parts.len()
            )),
        }
    }

    fn headers(&mut self, guard: Guard, pairs: &[Value]) -> Read<Headers> {
        let mut headers = Headers::new(guard);
        for pair in pairs {
            let Some([name, value]) = pair.as_array().map(Vec::as_slice) else {
                return self.wrong("headers are pairs of a name and a value");
            };
            let (name, value) = (self.header_part(name)?, self.header_part(value)?);
            headers.append(name, value);
        }
        Ok(headers)
    }

    fn header_part(&mut self, part: &Value) -> Read<Bytes> {
        match (part, part.as_array().map(Vec::as_slice)) {
            (Value::String(text), _) => Ok(Bytes::copy_from_slice(text.as_bytes())),
            (_, Some([Value::String(form), Value::String(text)])) if form == "bytes" => self.bytes(text),
            _ => self.wrong("a header is two strings"),
        }
    }

    /// What is not as usual in a request or a response: plain JSON, but for its body and headers.
    fn init(&mut self, init: Option<&Value>) -> Read {
        let place = self.builder.object();
        let properties = match init {
            None => return Ok(place),
            Some(Value::Object(properties)) => properties,
            Some(_) => return self.wrong("the last part of a request or a response is an object"),
        };
        for (key, value) in properties {
            let read = match (key.as_str(), value) {
                ("headers", Value::Array(pairs)) => {
                    let headers = self.at(key, |reader| reader.headers(Guard::None, pairs))?;
                    self.builder.value(headers)
                }
                ("body", body) => self.at(key, |reader| reader.value(body, None))?,
                (FORMS, Value::Object(forms)) => {
                    self.properties(place, forms)?;
                    continue;
                }
                _ => self.builder.value(plain(value)),
            };
            self.builder.set(place, key, read);
        }
        Ok(place)
    }
}

/// JSON that means itself.
fn plain(json: &Value) -> JsValue {
    match json {
        Value::Null => JsValue::NULL,
        Value::Bool(value) => JsValue::from(*value),
        Value::Number(value) => JsValue::from(value.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => JsValue::from(text.as_str()),
        Value::Array(elements) => JsValue::array(elements.iter().map(plain)),
        Value::Object(properties) => {
            JsValue::object(properties.iter().map(|(key, value)| (key, plain(value))))
        }
    }
}
