//! Targets that are not there: a [`Fake`] answers as its file says. It is a [`Handler`](super::serve::Handler).
//!
//! ```json
//! { "fetch":      { "GET /items": { "json": [1, 2], "headers": { "x-a": "1" } },
//!                   "/items/*":   { "status": 404, "body": "no such item", "delay": 250 },
//!                   "*":          { "throws": ["error", "TypeError", "nothing here"] } },
//!   "methods":    { "add":  { "returns": 3, "delay": 100 },
//!                   "boom": { "throws": ["error", "RangeError", "too far"] } },
//!   "properties": { "version": { "returns": "1.0" } } }
//! ```
//!
//! A key of `fetch` is a path, after a method if it is for that one alone. `*` stands for anything. A path with a `?`
//! is compared with the query too. Of several that fit, the one with most letters counts; of those, the one with a
//! method.

mod answer;
mod read;
mod route;
mod serve;

use std::collections::BTreeMap;
use std::path::{Path as File, PathBuf};

use answer::{Canned, Planned};
use route::Route;

use crate::wire::v8::JsValue;

/// What stands in for a worker.
#[derive(Debug)]
pub struct Fake {
    /// For messages.
    file: PathBuf,
    routes: Vec<(Route, Planned<Canned>)>,
    /// By their paths, with dots.
    methods: BTreeMap<String, Planned<JsValue>>,
    properties: BTreeMap<String, Planned<JsValue>>,
}

/// What is wrong with the text of a fake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct FakeError {
    /// Where reading stopped, counted from 1; 0 where there is no text.
    pub line: usize,
    /// The same within the line.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Fake {
    /// Reads a fake's text, which came from `file`.
    ///
    /// # Errors
    /// It is not JSON, or it says something else than a fake does; the error says where.
    ///
    /// # Examples
    /// ```
    /// use jackfield::client::fake::Fake;
    ///
    /// let text = r#"{ "methods": { "add": { "return": 3 } } }"#;
    /// let error = Fake::from_text("add.json", text).unwrap_err();
    /// assert_eq!((error.line, error.column), (1, 32));
    /// assert!(error.problem.contains("did you mean `returns`?"));
    /// ```
    pub fn from_text(file: impl Into<PathBuf>, text: &str) -> Result<Self, FakeError> {
        read::text(file.into(), text)
    }

    /// As [`Fake::from_text`], of JSON that was read already.
    ///
    /// # Errors
    /// As [`Fake::from_text`], but without a place.
    pub fn from_json(file: impl Into<PathBuf>, json: &serde_json::Value) -> Result<Self, FakeError> {
        read::json(file.into(), json)
    }

    /// Where it came from.
    pub fn file(&self) -> &File {
        &self.file
    }
}
