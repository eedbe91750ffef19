//! Errors of JavaScript, as they travel.
//!
//! The exception of an RPC says in its reason which error it is, and brings the error itself as a detail where its
//! sender knew it. The reason counts for what its sender adds (`remote`), the detail for everything else.

use std::fmt;

use super::CallError;
use crate::wire::exception::{Exception, Kind};
use crate::wire::v8::{Builder, DomException, JsValue, View, deserialize, serialize};

/// The detail that is the thrown value, serialized.
const THROWN_VALUE: u64 = 0xe802_7292_171b_1646;

/// The detail without which workers read no thrown value of ours, and its content.
const IS_WHOLE: (u64, &[u8]) = (0xbdc9_17cd_ea1f_7681, &[1]);

/// What a reason may name, so that workers make such an error of it.
const CLASSES: [&str; 5] = ["Error", "TypeError", "RangeError", "ReferenceError", "SyntaxError"];

/// What a worker threw, or what is thrown into a worker: an error, or any other value.
///
/// ```
/// use jackfield::client::Thrown;
///
/// let error = Thrown::type_error("not a number").with("code", "E_NAN");
/// assert_eq!(error.to_string(), "TypeError: not a number");
/// assert_eq!(error.property("code").and_then(|code| code.as_str()), Some("E_NAN"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Thrown {
    /// Its `name`, such as `TypeError`.
    pub name: String,
    /// Its `message`.
    pub message: String,
    /// Its `stack`: where it was thrown, for people.
    pub stack: Option<String>,
    /// Its other own properties, in order; `cause` is one.
    pub properties: Vec<(String, JsValue)>,
    /// It was thrown in another process, or beyond another event.
    pub remote: bool,
    /// The way to the callee broke, or the callee was restarted: the same may work on a new call.
    pub retryable: bool,
    /// The callee lacks resources: it may work later.
    pub overloaded: bool,
    /// The Durable Object was reset: its next event is served by a new one.
    pub durable_object_reset: bool,
    /// It is a DOMException.
    pub dom_exception: bool,
    /// The callee says nothing of what went wrong but a reference for its log.
    pub internal: bool,
    /// What was thrown, if that is no error.
    pub value: Option<JsValue>,
}

impl Thrown {
    /// An error of a class, or with a name.
    pub fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Thrown {
            name: name.into(),
            message: message.into(),
            stack: None,
            properties: Vec::new(),
            remote: false,
            retryable: false,
            overloaded: false,
            durable_object_reset: false,
            dom_exception: false,
            internal: false,
            value: None,
        }
    }

    /// An `Error`.
    pub fn error(message: impl fmt::Display) -> Self {
        Thrown::new("Error", message.to_string())
    }

    /// A `TypeError`.
    pub fn type_error(message: impl fmt::Display) -> Self {
        Thrown::new("TypeError", message.to_string())
    }

    /// A `RangeError`.
    pub fn range_error(message: impl fmt::Display) -> Self {
        Thrown::new("RangeError", message.to_string())
    }

    /// A `DOMException`, such as an `AbortError`.
    pub fn dom_exception(name: impl Into<String>, message: impl fmt::Display) -> Self {
        Thrown { dom_exception: true, ..Thrown::new(name, message.to_string()) }
    }

    /// Any other value.
    pub fn value(value: impl Into<JsValue>) -> Self {
        let value = value.into();
        Thrown { message: shown(&value), value: Some(value), ..Thrown::new("Error", "") }
    }

    /// Adds a property.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<JsValue>) -> Self {
        self.properties.push((key.into(), value.into()));
        self
    }

    /// A property of its own.
    pub fn property(&self, key: &str) -> Option<&JsValue> {
        self.properties.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Its `cause`.
    pub fn cause(&self) -> Option<&JsValue> {
        self.property("cause")
    }

    /// What an exception says that a callee answered with. `None` if it is not of JavaScript.
    pub fn of_exception(exception: &Exception) -> Option<Self> {
        let told = Told::of(&exception.reason)?;
        let detail = exception.details.iter().find(|(id, _)| *id == THROWN_VALUE);
        // An error that cannot be read is still told by its reason.
        let value = detail.and_then(|(_, bytes)| deserialize(bytes, Vec::new()).ok());
        let mut thrown = match (value, told.dom_exception) {
            (Some(value), false) => Thrown::of_value(value),
            _ => Thrown { dom_exception: told.dom_exception, ..Thrown::new(told.class, told.message) },
        };
        thrown.remote = told.remote;
        thrown.durable_object_reset = told.reset;
        thrown.internal = told.internal;
        thrown.retryable = exception.kind == Kind::Disconnected;
        thrown.overloaded = exception.kind == Kind::Overloaded;
        Some(thrown)
    }

    /// An error that is a value, or another value that was thrown.
    pub fn of_value(value: JsValue) -> Self {
        match value.view() {
            View::Error(error) => {
                let mut thrown = Thrown::new(error.name().to_string(), error.message().to_string());
                thrown.stack = error.stack().map(|stack| stack.to_string());
                match error.properties().map(|own| own.view()) {
                    Some(View::Object(own)) => {
                        let others = own.iter().map(|(key, value)| (key.to_string(), value.to_value()));
                        thrown.properties = others.filter(|(key, _)| key != "stack").collect();
                    }
                    _ => {
                        let cause = error.cause().map(|cause| ("cause".to_owned(), cause.to_value()));
                        thrown.properties.extend(cause);
                    }
                }
                thrown
            }
            View::DomException(error) => {
                let stack = Some(error.stack.to_string()).filter(|stack| !stack.is_empty());
                Thrown { stack, ..Thrown::dom_exception(&*error.name, &error.message) }
            }
            _ => Thrown::value(value),
        }
    }

    /// As a value: the error itself.
    pub fn to_value(&self) -> JsValue {
        if let Some(value) = &self.value {
            return value.clone();
        }
        if self.dom_exception {
            return DomException::new(&*self.name, &*self.message).into();
        }
        let mut builder = Builder::new();
        let own = builder.object();
        if let Some(stack) = &self.stack {
            let stack = builder.value(stack.as_str());
            builder.set(own, "stack", stack);
        }
        for (key, value) in &self.properties {
            let value = builder.value(value.clone());
            builder.set(own, key, value);
        }
        let error = builder.error(&self.name, &self.message, own);
        error.map_or_else(JsValue::default, |error| builder.finish(error))
    }

    /// What a callee answers with, so that a worker that called sees this very error.
    pub(in crate::client) fn to_exception(&self) -> Exception {
        let kind = match self {
            Thrown { overloaded: true, .. } => Kind::Overloaded,
            Thrown { retryable: true, .. } => Kind::Disconnected,
            _ => Kind::Failed,
        };
        let Thrown { name, message, .. } = self;
        let class = CLASSES.contains(&&**name);
        let told = match (self.dom_exception, class) {
            (true, _) => format!("jsg.DOMException({name}): {message}"),
            (false, true) => format!("jsg.{name}: {message}"),
            (false, false) => format!("jsg.Error: {name}: {message}"),
        };
        // A worker that is called says so of its errors too.
        let mut exception = Exception::new(kind, format!("remote.{told}"));
        // Without stubs and streams, which an exception cannot carry; nor what is too large for one.
        if let Ok(encoded) = serialize(&self.to_value())
            && encoded.externals.is_empty()
            && encoded.bytes.len() <= MOST_DETAIL
        {
            exception.details.push((THROWN_VALUE, encoded.bytes));
            exception.details.push((IS_WHOLE.0, IS_WHOLE.1.to_vec()));
        }
        exception
    }
}

/// Bytes of a thrown value that are sent along. A message may have 64 MiB; no error needs as much.
const MOST_DETAIL: usize = 1 << 20;

fn shown(value: &JsValue) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => format!("{value:?}"),
    }
}

/// `name: message`, as JavaScript shows it.
impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.message.as_str()) {
            (name, "") => f.write_str(name),
            ("", message) => f.write_str(message),
            (name, message) => write!(f, "{name}: {message}"),
        }
    }
}

impl std::error::Error for Thrown {}

/// What a handler fails with when a call of its own fails: the same error, from further away.
impl From<CallError> for Thrown {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Thrown(thrown) => *thrown,
            other => Thrown { retryable: other.is_retryable(), ..Thrown::error(other) },
        }
    }
}

/// What a reason says.
struct Told<'a> {
    class: &'a str,
    message: &'a str,
    dom_exception: bool,
    remote: bool,
    reset: bool,
    internal: bool,
}

impl<'a> Told<'a> {
    /// `None` if it speaks of no error of JavaScript.
    fn of(reason: &'a str) -> Option<Self> {
        let mut rest = reason;
        while let Some(inner) = rest.strip_prefix("remote exception: ") {
            rest = inner;
        }
        let mut remote = false;
        while let Some(inner) = rest.strip_prefix("remote.") {
            (rest, remote) = (inner, true);
        }
        let mut reset = false;
        // An assertion that failed there comes before what it says.
        while rest.starts_with("expected ") {
            rest = rest.split_once("; ")?.1;
            while !rest.starts_with("jsg") {
                rest = rest.split_once("; ")?.1;
            }
        }
        while rest.starts_with("broken.") {
            (rest, reset) = (rest.split_once("; ")?.1, true);
        }
        let (rest, internal) = match rest.strip_prefix("jsg.") {
            Some(rest) => (rest, false),
            None => (rest.strip_prefix("jsg-internal.")?, true),
        };
        let dom = rest.strip_prefix("DOMException(").and_then(|rest| rest.split_once(')'));
        let (class, message) = match dom {
            Some((name, message)) => (name, message.strip_prefix(':').unwrap_or(message)),
            None => rest.split_once(':').unwrap_or((rest, "")),
        };
        let message = message.strip_prefix(' ').unwrap_or(message);
        Some(Told { class, message, dom_exception: dom.is_some(), remote, reset, internal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thrown(reason: &str) -> Option<Thrown> {
        Thrown::of_exception(&Exception::new(Kind::Failed, reason))
    }

    #[test]
    fn reasons_are_read_as_workers_do() {
        let error = thrown("remote.jsg.TypeError: bad: type").unwrap();
        assert_eq!((&*error.name, &*error.message, error.remote), ("TypeError", "bad: type", true));
        let error = thrown("remote exception: remote.remote.broken.exceededCpu; jsg.Error: over").unwrap();
        assert_eq!((&*error.message, error.remote, error.durable_object_reset), ("over", true, true));
        let error = thrown("jsg.DOMException(AbortError): m").unwrap();
        assert_eq!((&*error.name, &*error.message, error.dom_exception), ("AbortError", "m", true));
        let error = thrown("remote.expected !isReserved(a; b); jsg.TypeError: reserved").unwrap();
        assert_eq!(error.to_string(), "TypeError: reserved");
        assert_eq!(thrown("jsg.Error: ").unwrap().to_string(), "Error");
        for reason in ["", "Network connection lost.", "remote.", "broken.x", "expected a; jsg"] {
            assert_eq!(thrown(reason), None, "{reason}");
        }
    }

    #[test]
    fn an_error_arrives_as_it_was_sent() {
        let cause = JsValue::from(DomException::new("AbortError", "inner"));
        let errors = [
            Thrown::type_error("bad").with("code", 7).with("cause", cause),
            Thrown { stack: Some("at a".into()), ..Thrown::new("PaymentError", "declined") },
            Thrown::dom_exception("NotFoundError", "gone"),
            Thrown { retryable: true, ..Thrown::error("again") },
            Thrown { overloaded: true, ..Thrown::range_error("later") },
            Thrown::value("a text"),
        ];
        for error in errors {
            let there = Thrown::of_exception(&error.to_exception()).unwrap();
            assert_eq!(there, Thrown { remote: true, ..error });
        }
    }
}
