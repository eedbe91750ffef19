//! Text as values.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{DEEPEST, TextError, base64};
use crate::wire::v8::bigint::BigInt;
use crate::wire::v8::builder::{Builder, Place};
use crate::wire::v8::external::External;
use crate::wire::v8::heap::Node;
use crate::wire::v8::key::Key;
use crate::wire::v8::make::is_boxable;
use crate::wire::v8::string::JsStr;
use crate::wire::v8::value::JsValue;

/// The names of all forms.
const NAMES: [&str; 31] = [
    "undefined",
    "nan",
    "inf",
    "-inf",
    "bigint",
    "date",
    "bytes",
    "error",
    "headers",
    "request",
    "response",
    "map",
    "set",
    "regexp",
    "hole",
    "array",
    "boxed",
    "buffer",
    "view",
    "domexception",
    "blob",
    "string",
    "object",
    "def",
    "ref",
    "export",
    "readable",
    "writable",
    "service",
    "class",
    "import",
];

pub(super) fn read(text: &Value, externals: &[External], loose: bool) -> Result<JsValue, TextError> {
    let (builder, places, defined) = (Builder::new(), HashMap::new(), HashMap::new());
    let mut reader = Reader { builder, externals, loose, places, defined, path: Vec::new() };
    let root = reader.value(text, None)?;
    Ok(reader.builder.finish(root))
}

pub(super) struct Reader<'a> {
    pub(super) builder: Builder,
    pub(super) externals: &'a [External],
    /// Whether an array that cannot be a form is an array.
    loose: bool,
    /// Where stubs and streams are that were met.
    pub(super) places: HashMap<usize, Place>,
    /// Where objects are that have a number.
    defined: HashMap<u64, Place>,
    /// How the value at hand was reached.
    path: Vec<String>,
}

pub(super) type Read<T = Place> = Result<T, TextError>;

/// What a form has after its name.
pub(super) type Parts<'t> = &'t [Value];

impl Reader<'_> {
    /// A value; `number` is what others refer to it by.
    pub(super) fn value(&mut self, text: &Value, number: Option<u64>) -> Read {
        if self.path.len() > DEEPEST {
            return self.wrong(format!("this is nested deeper than {DEEPEST} levels"));
        }
        match text {
            Value::Null => self.whole(JsValue::NULL, number),
            Value::Bool(value) => self.whole(*value, number),
            Value::Number(value) => self.whole(value.as_f64().unwrap_or(f64::NAN), number),
            Value::String(text) => self.whole(text.as_str(), number),
            Value::Object(properties) => {
                let place = self.builder.object();
                self.define(number, place);
                self.properties(place, properties)?;
                Ok(place)
            }
            Value::Array(parts) => match parts.as_slice() {
                [Value::Array(elements)] => self.array(elements, number),
                [Value::String(form), parts @ ..] if !self.loose || NAMES.contains(&form.as_str()) => {
                    self.form(form, parts, number)
                }
                elements if self.loose => self.array(elements, number),
                _ => self.wrong(
                    "an array that means an array stands in another one, as in [[1,2]]; and a form begins with its \
                     name, as in [\"date\",0]",
                ),
            },
        }
    }

    fn array(&mut self, elements: &[Value], number: Option<u64>) -> Read {
        let place = self.builder.array();
        self.define(number, place);
        self.elements(place, elements)?;
        Ok(place)
    }

    fn form(&mut self, form: &str, parts: Parts<'_>, number: Option<u64>) -> Read {
        match (form, parts) {
            ("undefined", []) => self.whole(JsValue::UNDEFINED, number),
            ("nan", []) => self.whole(f64::NAN, number),
            ("inf", []) => self.whole(f64::INFINITY, number),
            ("-inf", []) => self.whole(f64::NEG_INFINITY, number),
            ("bigint", [Value::String(digits)]) => match digits.parse::<BigInt>() {
                Ok(value) => self.whole(value, number),
                Err(error) => self.wrong(error.to_string()),
            },
            ("date", [Value::Null]) => self.whole(JsValue::date(f64::NAN), number),
            ("date", [Value::Number(time)]) => {
                self.whole(JsValue::date(time.as_f64().unwrap_or(f64::NAN)), number)
            }
            ("bytes", [Value::String(text)]) => {
                let bytes = self.bytes(text)?;
                self.whole(JsValue::bytes(bytes), number)
            }
            ("regexp", [Value::String(source), Value::String(flags)]) => {
                match JsValue::reg_exp(source, flags) {
                    Ok(value) => self.whole(value, number),
                    Err(error) => self.wrong(error.to_string()),
                }
            }
            ("boxed", [primitive]) => self.boxed(primitive, number),
            ("string", [Value::Array(units)]) => {
                let units = self.units(units)?;
                self.whole(JsValue::from_utf16(&units), number)
            }
            ("array", [Value::Number(length), has]) => self.sparse(length.as_u64(), has, number),
            ("object", [Value::Array(pairs)]) => {
                let place = self.builder.object();
                self.define(number, place);
                self.keyed(place, pairs)?;
                Ok(place)
            }
            ("map", [Value::Array(pairs)]) => self.map(pairs, number),
            ("set", [Value::Array(values)]) => {
                let place = self.builder.set_of_values();
                self.define(number, place);
                for (nth, value) in values.iter().enumerate() {
                    let value = self.at(nth, |reader| reader.value(value, None))?;
                    self.builder.push(place, value);
                }
                Ok(place)
            }
            ("def", [Value::Number(name), value]) if number.is_none() => {
                let Some(name) = name.as_u64().filter(|name| !self.defined.contains_key(name)) else {
                    return self.wrong("the number of a [\"def\"] is a new one, from 0 on");
                };
                self.value(value, Some(name))
            }
            ("ref", [Value::Number(name)]) => match name.as_u64().and_then(|name| self.defined.get(&name)) {
                Some(place) => Ok(*place),
                None => self.wrong(format!("no [\"def\",{name},…] comes before this")),
            },
            ("error", [name, message, rest @ ..]) if rest.len() <= 2 => {
                self.error(name, message, rest, number)
            }
            ("hole", _) => self.wrong("a hole stands only among the elements of an array"),
            _ => self.opaque(form, parts, number),
        }
    }

    pub(super) fn properties(&mut self, object: Place, properties: &Map<String, Value>) -> Read<()> {
        for (key, value) in properties {
            let value = self.at(key, |reader| reader.value(value, None))?;
            self.builder.set(object, key, value);
        }
        Ok(())
    }

    /// Properties as an object, or as pairs; whether they are one of these.
    fn given(&mut self, object: Place, properties: &Value) -> Read<bool> {
        match (properties, properties.as_array().map(Vec::as_slice)) {
            (Value::Object(properties), _) => self.properties(object, properties)?,
            (_, Some([Value::String(form), Value::Array(pairs)])) if form == "object" => {
                self.keyed(object, pairs)?
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn elements(&mut self, array: Place, elements: &[Value]) -> Read<()> {
        for (index, element) in (0_u32..).zip(elements) {
            if matches!(element, Value::Array(parts) if matches!(parts.as_slice(), [Value::String(form)] if form == "hole"))
            {
                self.builder.lengthen(array, index.saturating_add(1));
                continue;
            }
            let element = self.at(index, |reader| reader.value(element, None))?;
            self.builder.set_key(array, Key::Index(index), element);
        }
        Ok(())
    }

    /// Pairs of a key, which may be code units, and a value.
    fn keyed(&mut self, object: Place, pairs: &[Value]) -> Read<()> {
        for (nth, pair) in pairs.iter().enumerate() {
            self.at(nth, |reader| {
                let Some([key, value]) = pair.as_array().map(Vec::as_slice) else {
                    return reader.wrong("a pair of a key and a value is an array of the two");
                };
                let value = reader.value(value, None)?;
                match (key.as_str(), key.as_array().map(Vec::as_slice)) {
                    (Some(key), _) => reader.builder.set(object, key, value),
                    (_, Some([Value::String(form), Value::Array(units)])) if form == "string" => {
                        let units = reader.units(units)?;
                        reader.builder.set_key(object, Key::Name(JsStr::Wide(&units)), value);
                    }
                    _ => return reader.wrong("a key is a string, or [\"string\",[UNITS]]"),
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn sparse(&mut self, length: Option<u64>, has: &Value, number: Option<u64>) -> Read {
        let place = self.builder.array();
        self.define(number, place);
        if !self.given(place, has)? {
            return self.wrong("an array with few elements is [\"array\",LENGTH,{\"INDEX\":VALUE}]");
        }
        let Some(length) = length.and_then(|length| u32::try_from(length).ok()) else {
            return self.wrong("the length of an array is an integer up to 4294967295");
        };
        self.builder.lengthen(place, length);
        Ok(place)
    }

    fn map(&mut self, pairs: &[Value], number: Option<u64>) -> Read {
        let place = self.builder.map();
        self.define(number, place);
        for (nth, pair) in pairs.iter().enumerate() {
            self.at(nth, |reader| {
                let Some([key, value]) = pair.as_array().map(Vec::as_slice) else {
                    return reader.wrong("an entry of a Map is an array of a key and a value");
                };
                let key = reader.at(0, |reader| reader.value(key, None))?;
                let value = reader.at(1, |reader| reader.value(value, None))?;
                reader.builder.entry(place, key, value);
                Ok(())
            })?;
        }
        Ok(place)
    }

    fn boxed(&mut self, primitive: &Value, number: Option<u64>) -> Read {
        let primitive = self.at("boxed", |reader| reader.value(primitive, None))?.0;
        if !is_boxable(primitive) {
            return self.wrong("[\"boxed\"] takes a truth value, a number, a BigInt or a string");
        }
        let place = self.builder.whole(Node::Boxed(primitive));
        Ok(self.define(number, place))
    }

    fn error(&mut self, name: &Value, message: &Value, rest: Parts<'_>, number: Option<u64>) -> Read {
        let properties = self.builder.object();
        let name = self.at("name", |reader| reader.value(name, None))?;
        let message = self.at("message", |reader| reader.value(message, None))?;
        let Some(place) = self.builder.error_of(name, message, properties) else {
            return self.wrong("an error is [\"error\",NAME,MESSAGE]");
        };
        self.define(number, place);
        match rest.first() {
            None | Some(Value::Null) => {}
            Some(stack) => {
                let stack = self.at("stack", |reader| reader.value(stack, None))?;
                self.builder.set(properties, "stack", stack);
            }
        }
        match rest.get(1) {
            Some(properties_given) if !self.given(properties, properties_given)? => {
                self.wrong("the properties of an error are an object")
            }
            _ => Ok(place),
        }
    }

    pub(super) fn bytes(&mut self, text: &str) -> Read<Bytes> {
        match base64::decode(text) {
            Some(bytes) => Ok(bytes.into()),
            None => self.wrong("bytes are base64"),
        }
    }

    fn units(&mut self, units: &[Value]) -> Read<Vec<u16>> {
        let unit = |unit: &Value| unit.as_u64().and_then(|unit| u16::try_from(unit).ok());
        match units.iter().map(unit).collect() {
            Some(units) => Ok(units),
            None => self.wrong("code units are integers up to 65535"),
        }
    }

    pub(super) fn whole(&mut self, value: impl Into<JsValue>, number: Option<u64>) -> Read {
        let place = self.builder.value(value);
        Ok(self.define(number, place))
    }

    pub(super) fn define(&mut self, number: Option<u64>, place: Place) -> Place {
        self.defined.extend(number.map(|number| (number, place)));
        place
    }

    /// Reads a part, and knows meanwhile which.
    pub(super) fn at<T>(
        &mut self,
        part: impl std::fmt::Display,
        read: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<T> {
        self.path.push(part.to_string());
        let read = read(self);
        self.path.pop();
        read
    }

    pub(super) fn wrong<T>(&self, problem: impl Into<String>) -> Read<T> {
        let mut at = String::from("$");
        for part in &self.path {
            if part.bytes().all(|byte| byte.is_ascii_digit()) {
                at.push_str(&format!("[{part}]"));
            } else {
                at.push_str(&format!(".{part}"));
            }
        }
        Err(TextError { at, problem: problem.into() })
    }
}
