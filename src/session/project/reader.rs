//! The small pieces of reading: one value each, and what is refused is reported.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use crate::session::name::{SessionName, check_identifier};
use crate::session::nearest::Nearest;

pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// Collects problems while it reads.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) problems: Problems,
}

impl Reader {
    pub(super) fn keys(&mut self, table: &DeTable<'_>, owner: &str, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            self.problems.add_near(
                key.span(),
                format!("`{}` is not a key of {owner}", key.get_ref()),
                format!("known keys: {}", known.join(", ")),
                Nearest::of(key.get_ref(), known).0,
            );
        }
    }

    pub(super) fn entries<T>(
        &mut self,
        value: Option<&Value<'_>>,
        owner: &str,
        read: fn(&mut Self, Spanned<String>, &Value<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(table) = value.and_then(|value| self.table(value, owner)) else { return Vec::new() };
        let what = if owner == "`durable_objects`" { "class" } else { "binding" };
        let mut entries = Vec::new();
        for (key, value) in table {
            let name = self.identifier(key.span(), key.get_ref(), what);
            entries.extend(name.and_then(|name| read(self, name, value)));
        }
        entries
    }

    pub(super) fn table<'v, 't>(&mut self, value: &'v Value<'t>, owner: &str) -> Option<&'v DeTable<'t>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        self.wrong_type(value, owner, "a table");
        None
    }

    pub(super) fn text(&mut self, value: &Value<'_>, owner: &str) -> Option<Spanned<String>> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(Spanned::new(value.span(), text.to_string()));
        }
        self.wrong_type(value, owner, "a string");
        None
    }

    pub(super) fn flag(&mut self, value: &Value<'_>, owner: &str) -> Option<bool> {
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        self.wrong_type(value, owner, "`true` or `false`");
        None
    }

    pub(super) fn spanned_texts(&mut self, value: &Value<'_>, owner: &str) -> Vec<Spanned<String>> {
        if let DeValue::Array(list) = value.get_ref() {
            return list.iter().filter_map(|item| self.text(item, &format!("an item of {owner}"))).collect();
        }
        self.wrong_type(value, owner, "a list of strings");
        Vec::new()
    }

    pub(super) fn wrong_type(&mut self, value: &Value<'_>, owner: &str, wanted: &str) {
        let found = value.get_ref().type_str();
        self.problems.add(
            value.span(),
            format!("{owner} must be {wanted}"),
            format!("this has the type {found}"),
        );
    }

    pub(super) fn session_name(&mut self, at: Range<usize>, text: &str) -> Option<Spanned<SessionName>> {
        match text.parse::<SessionName>() {
            Ok(name) if name.is_of_fake() => {
                let why = "names like it are for fakes (`jackfield fake`); take another one";
                self.problems.add(at, format!("`{text}` cannot be the name of a session"), why);
                None
            }
            Ok(name) => Some(Spanned::new(at, name)),
            Err(error) => {
                self.problems.add(at, format!("`{text}` cannot be the name of a session"), error.to_string());
                None
            }
        }
    }

    pub(super) fn identifier(&mut self, at: Range<usize>, text: &str, what: &str) -> Option<Spanned<String>> {
        if check_identifier(text).is_ok() {
            return Some(Spanned::new(at, text.to_owned()));
        }
        self.problems.add(
            at,
            format!("`{text}` cannot be the name of a {what}"),
            "use a JavaScript identifier of ASCII letters, digits, `_` and `$`, at most 63 long",
        );
        None
    }

    /// `session`, or `session#Name`.
    pub(super) fn target(
        &mut self,
        at: Range<usize>,
        text: &str,
    ) -> Option<(Spanned<SessionName>, Option<Spanned<String>>)> {
        match text.split_once('#') {
            None => Some((self.session_name(at, text)?, None)),
            Some((session, name)) => {
                let session = self.session_name(at.clone(), session);
                let name = self.identifier(at, name, "entrypoint or class");
                Some((session?, Some(name?)))
            }
        }
    }

    pub(super) fn json(&mut self, at: Range<usize>, value: &DeValue<'_>) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match value {
            DeValue::String(text) => Json::String(text.to_string()),
            DeValue::Boolean(value) => Json::Bool(*value),
            DeValue::Datetime(value) => Json::String(value.to_string()),
            DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
                Ok(number) => Json::from(number),
                Err(_) => {
                    self.problems.add(at, "this number is too large", "write it as a string");
                    return None;
                }
            },
            DeValue::Float(value) => {
                let number = value.as_str().parse().ok().and_then(serde_json::Number::from_f64);
                let Some(number) = number else {
                    self.problems.add(at, "JSON has no such number", "use a finite number, or a string");
                    return None;
                };
                Json::Number(number)
            }
            DeValue::Array(list) => {
                let items = list.iter().map(|item| self.json(item.span(), item.get_ref()));
                Json::Array(items.collect::<Option<_>>()?)
            }
            DeValue::Table(table) => {
                let mut map = serde_json::Map::new();
                for (key, value) in table {
                    map.insert(key.get_ref().to_string(), self.json(value.span(), value.get_ref())?);
                }
                Json::Object(map)
            }
        })
    }
}
