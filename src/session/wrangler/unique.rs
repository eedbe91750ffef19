//! Names in `env`, each of which can mean one thing only.

use super::text::{Field, Value};
use super::worker::Reading;

/// Lists of bindings: the field, the list in it, how an entry says its name, and what it is.
const LISTS: [(&str, Option<&str>, &str, &str); 6] = [
    ("kv_namespaces", None, "binding", "a KV namespace"),
    ("d1_databases", None, "binding", "a D1 database"),
    ("services", None, "binding", "a service"),
    ("workflows", None, "binding", "a workflow"),
    ("queues", Some("producers"), "binding", "a queue"),
    ("durable_objects", Some("bindings"), "name", "a Durable Object namespace"),
];

/// Single bindings.
const SINGLE: [(&str, &str); 2] = [("assets", "the static files"), ("version_metadata", "the version")];

/// A name: where it is given, and to what.
struct Named<'v> {
    at: usize,
    name: &'v str,
    what: &'static str,
}

impl Reading<'_> {
    /// Refuses names that two things have, as wrangler does.
    pub(super) fn unique_names(&mut self, fields: &[Field]) {
        let mut known: Vec<Named<'_>> = Vec::new();
        for named in fields.iter().flat_map(named) {
            let Named { at, name, what } = named;
            if let Some(other) = known.iter().find(|known| known.name == name) {
                let why = format!(
                    "`{name}` is {} as well, and `env` has one place for a name; rename one of them",
                    other.what
                );
                self.problem(at, format!("`{name}` cannot be {what}"), why);
            }
            known.push(named);
        }
    }
}

fn named(field: &Field) -> Vec<Named<'_>> {
    let Field { name, value, .. } = field;
    if name == "vars" {
        let vars = value.fields().iter();
        return vars.map(|Field { at, name, .. }| Named { at: *at, name, what: "a variable" }).collect();
    }
    if name == "secrets" {
        let required = value.get("required").map(Value::items).unwrap_or_default().iter();
        let named = |secret| text(secret, "a secret");
        return required.filter_map(named).collect();
    }
    if let Some((_, what)) = SINGLE.iter().find(|(single, _)| single == name) {
        return value.get("binding").and_then(|binding| text(binding, what)).into_iter().collect();
    }
    let Some((_, inner, key, what)) = LISTS.iter().find(|(list, ..)| list == name) else { return Vec::new() };
    let list = inner.map_or(Some(value), |inner| value.get(inner));
    let items = list.map(Value::items).unwrap_or_default().iter();
    items.filter_map(|item| text(item.get(key)?, what)).collect()
}

fn text<'v>(value: &'v Value, what: &'static str) -> Option<Named<'v>> {
    Some(Named { at: value.at, name: value.text()?, what })
}
