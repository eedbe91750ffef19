//! Text to a fake. It is read as it is parsed, so that what is wrong has a place.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::answer::{Draft, Fetched, Returned};
use super::route::Route;
use super::{Fake, FakeError};
use crate::session::Nearest;

const SECTIONS: [&str; 3] = ["fetch", "methods", "properties"];

pub(super) fn text(file: PathBuf, text: &str) -> Result<Fake, FakeError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let whole = Whole(file).deserialize(&mut reader);
    whole.and_then(|fake| reader.end().map(|()| fake)).map_err(placed)
}

pub(super) fn json(file: PathBuf, json: &Value) -> Result<Fake, FakeError> {
    Whole(file).deserialize(json).map_err(placed)
}

/// serde_json puts the place behind its message.
fn placed(error: serde_json::Error) -> FakeError {
    let (line, column) = (error.line(), error.column());
    let told = error.to_string();
    let problem = told.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&told).to_owned();
    FakeError { line, column, problem }
}

/// The file.
struct Whole(PathBuf);

impl<'de> DeserializeSeed<'de> for Whole {
    type Value = Fake;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Fake, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole {
    type Value = Fake;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a fake, which is an object with {}", SECTIONS.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Fake, A::Error> {
        let mut fake =
            Fake { file: self.0, routes: Vec::new(), methods: BTreeMap::new(), properties: BTreeMap::new() };
        while let Some(key) = members.next_key::<String>()? {
            match key.as_str() {
                "fetch" => {
                    fake.routes.extend(members.next_value_seed(Section::<Fetched, Route>::new(Route::of))?)
                }
                "methods" => fake.methods.extend(members.next_value_seed(named())?),
                "properties" => fake.properties.extend(members.next_value_seed(named())?),
                key => return Err(unknown(key, "a fake", &SECTIONS)),
            }
        }
        let both = fake.methods.keys().find(|name| fake.properties.contains_key(*name));
        match both {
            Some(name) => {
                Err(A::Error::custom(format!("`{name}` is a method and a property: leave one out")))
            }
            None => Ok(fake),
        }
    }
}

fn named() -> Section<Returned, String> {
    Section::new(|name| match name {
        "" => Err("a method or a property has a name".into()),
        name => Ok(name.to_owned()),
    })
}

fn unknown<E: serde::de::Error>(key: &str, what: &str, known: &[&str]) -> E {
    let nearest = match Nearest::of(key, known) {
        Nearest(Some(name)) => format!("; did you mean `{name}`?"),
        Nearest(None) => format!("; it has {}", known.join(", ")),
    };
    E::custom(format!("`{key}` is not a key of {what}{nearest}"))
}

/// Answers by what they are for.
struct Section<D, K> {
    key: fn(&str) -> Result<K, String>,
    of: PhantomData<D>,
}

impl<D, K> Section<D, K> {
    fn new(key: fn(&str) -> Result<K, String>) -> Self {
        Section { key, of: PhantomData }
    }
}

impl<'de, D: Draft, K: PartialEq> DeserializeSeed<'de> for Section<D, K> {
    type Value = Vec<(K, D::Whole)>;

    fn deserialize<R: Deserializer<'de>>(self, reader: R) -> Result<Self::Value, R::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de, D: Draft, K: PartialEq> Visitor<'de> for Section<D, K> {
    type Value = Vec<(K, D::Whole)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of answers by what they are for")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut all: Self::Value = Vec::new();
        while let Some(text) = members.next_key::<String>()? {
            let key = (self.key)(&text).map_err(A::Error::custom)?;
            if all.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format!("`{text}` stands here twice")));
            }
            all.push((key, members.next_value_seed(Answer::<D>(PhantomData))?));
        }
        Ok(all)
    }
}

/// One answer.
struct Answer<D>(PhantomData<D>);

impl<'de, D: Draft> DeserializeSeed<'de> for Answer<D> {
    type Value = D::Whole;

    fn deserialize<R: Deserializer<'de>>(self, reader: R) -> Result<D::Whole, R::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de, D: Draft> Visitor<'de> for Answer<D> {
    type Value = D::Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, which is an object with {}", D::WHAT, D::KEYS.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<D::Whole, A::Error> {
        let mut draft = D::default();
        let mut seen: Vec<String> = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            if !D::KEYS.contains(&key.as_str()) {
                return Err(unknown(&key, D::WHAT, D::KEYS));
            }
            if seen.contains(&key) {
                return Err(A::Error::custom(format!("`{key}` stands here twice")));
            }
            draft.set(&key, members.next_value()?).map_err(A::Error::custom)?;
            seen.push(key);
        }
        draft.finish().map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line, column and problem.
    fn wrong(text: &str) -> (usize, usize, String) {
        let FakeError { line, column, problem } = Fake::from_text("f.json", text).unwrap_err();
        (line, column, problem)
    }

    #[test]
    fn what_is_wrong_has_a_place_and_the_nearest_name() {
        let told = wrong("{\n  \"fetch\": { \"/a\": {\n    \"stauts\": 200 } } }");
        assert_eq!(
            told,
            (3, 12, "`stauts` is not a key of an answer to fetch; did you mean `status`?".into())
        );
        assert_eq!(wrong("{ \"fetsh\": {} }").2, "`fetsh` is not a key of a fake; did you mean `fetch`?");
        assert_eq!(wrong("{\n \"fetch\": 1 }").0, 2);
        for (text, part) in [
            ("", "EOF"),
            ("{} {}", "trailing"),
            ("[]", "a fake, which is an object with fetch, methods, properties"),
            (r#"{"fetch":{"items":{}}}"#, "write it like `GET /items`"),
            (r#"{"fetch":{"get /":{}}}"#, "written like GET"),
            (r#"{"fetch":{"/":{"status":99}}}"#, "from 200 to 599"),
            (r#"{"fetch":{"/":{"status":204,"body":"x"}}}"#, "has no body"),
            (r#"{"fetch":{"/":{"json":1,"body":"x"}}}"#, "leave `body` out"),
            (r#"{"fetch":{"/":{"throws":"x","status":200}}}"#, "what `throws` has no `status`"),
            (r#"{"fetch":{"/":{"body":{}}}}"#, "anything else is `json`"),
            (r#"{"fetch":{"/":{"headers":{"a b":"c"}}}}"#, "no name of a header"),
            (r#"{"fetch":{"/":{"headers":{"a":1}}}}"#, "a text of one line"),
            (r#"{"fetch":{"/":{},"/":{}}}"#, "`/` stands here twice"),
            (r#"{"methods":{"a":{"returns":1,"throws":2}}}"#, "leave one of them out"),
            (r#"{"methods":{"a":{"returns":["bigint","x"]}}}"#, "this is no value: $"),
            (r#"{"methods":{"a":{"delay":-1}}}"#, "milliseconds"),
            (r#"{"methods":{"a":{}},"properties":{"a":{}}}"#, "`a` is a method and a property"),
        ] {
            let (_, _, told) = wrong(text);
            assert!(told.contains(part), "{text}: {told}");
        }
    }

    #[test]
    fn json_that_was_read_already_is_read_alike() {
        let json = serde_json::json!({ "methods": { "a": { "retruns": 1 } } });
        let error = Fake::from_json("f.json", &json).unwrap_err();
        assert_eq!(error.line, 0);
        assert!(error.problem.ends_with("did you mean `returns`?"), "{error}");
        assert!(Fake::from_json("f.json", &serde_json::json!({})).is_ok());
    }
}
