//! The text of a configuration, JSON with comments or TOML, as values that know where they stand.

use std::ops::Range;

use jsonc_parser::ast;
use jsonc_parser::{CollectOptions, ParseOptions};
use toml::de::{DeTable, DeValue};

use crate::session::project::{Position, position};

/// Levels of lists and tables. No configuration has ten.
const MAX_DEPTH: usize = 64;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    /// In bytes.
    pub(super) at: usize,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Plain(serde_json::Value),
    List(Vec<Value>),
    Table(Vec<Field>),
}

/// An entry of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) value: Value,
}

/// Why a text cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) at: Position,
    pub(super) what: &'static str,
    pub(super) why: String,
}

impl Value {
    pub(super) fn json(text: &str) -> Result<Self, Unreadable> {
        let what = "this is not JSON";
        let options = ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let parsed = jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &options);
        let parsed = parsed.map_err(|error| Unreadable {
            at: position(text, error.range().start),
            what,
            why: error.kind().to_string(),
        })?;
        let none = || Unreadable { at: Position { line: 1, column: 1 }, what, why: "it is empty".to_owned() };
        from_json(&parsed.value.ok_or_else(none)?, 0).ok_or_else(|| too_deep(what))
    }

    pub(super) fn toml(text: &str) -> Result<Self, Unreadable> {
        let what = "this is not TOML";
        let table = DeTable::parse(text).map_err(|error| Unreadable {
            at: position(text, error.span().unwrap_or(0..0).start),
            what,
            why: error.message().replace('\n', ", "),
        })?;
        from_table(table.span(), table.get_ref(), 0).ok_or_else(|| too_deep(what))
    }

    pub(super) fn fields(&self) -> &[Field] {
        match &self.what {
            What::Table(fields) => fields,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Self] {
        match &self.what {
            What::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.fields().iter().find(|field| field.name == name).map(|field| &field.value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.what {
            What::Plain(value) => value.as_str(),
            _ => None,
        }
    }

    /// Whether it says nothing: null, false, or a list or table without entries.
    pub(super) fn is_empty(&self) -> bool {
        match &self.what {
            What::Plain(value) => value.is_null() || *value == serde_json::Value::Bool(false),
            What::List(items) => items.is_empty(),
            What::Table(fields) => fields.iter().all(|field| field.value.is_empty()),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.what {
            What::Plain(value) => value.clone(),
            What::List(items) => items.iter().map(Self::to_json).collect(),
            What::Table(fields) => {
                fields.iter().map(|field| (field.name.clone(), field.value.to_json())).collect()
            }
        }
    }

    /// Leaves the last of several fields of one name, which is the one that counts in JavaScript, and returns the others.
    pub(super) fn take_repeated(&mut self) -> Vec<Field> {
        let mut repeated = Vec::new();
        match &mut self.what {
            What::Plain(_) => {}
            What::List(items) => repeated.extend(items.iter_mut().flat_map(Self::take_repeated)),
            What::Table(fields) => {
                let mut last = std::collections::BTreeMap::new();
                for (index, field) in fields.iter().enumerate() {
                    last.insert(field.name.clone(), index);
                }
                for (index, mut field) in std::mem::take(fields).into_iter().enumerate() {
                    if last.get(&field.name) == Some(&index) {
                        repeated.append(&mut field.value.take_repeated());
                        fields.push(field);
                    } else {
                        repeated.push(field);
                    }
                }
            }
        }
        repeated
    }

    /// Where a field of that name stands first, at any depth.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let here = self.fields().iter().find(|field| field.name == name).map(|field| field.at);
        let below = || self.fields().iter().find_map(|field| field.value.find(name));
        here.or_else(below).or_else(|| self.items().iter().find_map(|item| item.find(name)))
    }
}

fn too_deep(what: &'static str) -> Unreadable {
    let why = format!("it is nested deeper than {MAX_DEPTH} levels, or has a number that JSON cannot say");
    Unreadable { at: Position { line: 1, column: 1 }, what, why }
}

fn from_json(value: &ast::Value<'_>, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let (at, what) = match value {
        ast::Value::StringLit(text) => (text.range.start, What::Plain(text.value.as_ref().into())),
        ast::Value::NumberLit(number) => {
            (number.range.start, What::Plain(serde_json::from_str(number.value).ok()?))
        }
        ast::Value::BooleanLit(flag) => (flag.range.start, What::Plain(flag.value.into())),
        ast::Value::NullKeyword(null) => (null.range.start, What::Plain(serde_json::Value::Null)),
        ast::Value::Array(list) => {
            let items = list.elements.iter().map(|item| from_json(item, depth + 1)).collect::<Option<_>>()?;
            (list.range.start, What::List(items))
        }
        ast::Value::Object(table) => {
            let field = |field: &ast::ObjectProp<'_>| {
                let value = from_json(&field.value, depth + 1)?;
                Some(Field { at: field.range.start, name: field.name.as_str().to_owned(), value })
            };
            let fields = table.properties.iter().map(field).collect::<Option<_>>()?;
            (table.range.start, What::Table(fields))
        }
    };
    Some(Value { at, what })
}

fn from_table(at: Range<usize>, table: &DeTable<'_>, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let field = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let key: &toml::Spanned<std::borrow::Cow<'_, str>> = key;
        let value = from_toml(value, depth + 1)?;
        Some(Field { at: key.span().start, name: key.get_ref().to_string(), value })
    };
    let mut fields = table.iter().map(field).collect::<Option<Vec<_>>>()?;
    fields.sort_by_key(|field| field.at);
    Some(Value { at: at.start, what: What::Table(fields) })
}

fn from_toml(value: &toml::Spanned<DeValue<'_>>, depth: usize) -> Option<Value> {
    let plain = |value: serde_json::Value| Some(What::Plain(value));
    let what = match value.get_ref() {
        DeValue::String(text) => plain(text.as_ref().into()),
        DeValue::Boolean(flag) => plain((*flag).into()),
        DeValue::Integer(number) => {
            let radix = number.radix();
            plain(i64::from_str_radix(number.as_str(), radix).ok()?.into())
        }
        DeValue::Float(number) => plain(serde_json::Number::from_f64(number.as_str().parse().ok()?)?.into()),
        DeValue::Datetime(date) => plain(date.to_string().into()),
        DeValue::Array(items) if depth <= MAX_DEPTH => {
            items.iter().map(|item| from_toml(item, depth + 1)).collect::<Option<_>>().map(What::List)
        }
        DeValue::Array(_) => None,
        DeValue::Table(table) => return from_table(value.span(), table, depth),
    };
    Some(Value { at: value.span().start, what: what? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_say_the_same_and_know_where() {
        let json =
            Value::json("{ // a comment\n  \"name\": \"web\", \"vars\": {\"a\": [1, 2.5, null,],},\n}")
                .unwrap();
        let toml = Value::toml("name = \"web\"\n[vars]\na = [1, 2.5]\n").unwrap();
        assert_eq!(json.to_json(), serde_json::json!({"name": "web", "vars": {"a": [1, 2.5, null]}}));
        assert_eq!(toml.to_json(), serde_json::json!({"name": "web", "vars": {"a": [1, 2.5]}}));
        assert_eq!((json.find("name"), json.find("a")), (Some(17), Some(41)));
        let wrong = Value::json("{\n  \"name\" \"web\" }").unwrap_err();
        assert_eq!(wrong.at.line, 2);
        assert_eq!(Value::toml("name = \"web\"\nvars =\n").unwrap_err().at.line, 2);
        assert!(Value::json(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn the_last_of_one_name_counts() {
        let mut value = Value::json(r#"{"a": 1, "b": [{"c": 1, "c": 2}], "a": {"d": 1, "d": 3}}"#).unwrap();
        let repeated: Vec<_> =
            value.take_repeated().into_iter().map(|field| (field.name, field.at)).collect();
        assert_eq!(repeated, [("a".to_owned(), 1), ("c".to_owned(), 16), ("d".to_owned(), 40)]);
        assert_eq!(value.to_json(), serde_json::json!({"a": {"d": 3}, "b": [{"c": 2}]}));
    }
}
