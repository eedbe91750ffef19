//! What is answered, as its members are read.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::client::rpc::Thrown;
use crate::wire::v8::{JsValue, from_loose_text};

/// Longer ones are slips: nobody waits for them.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// What comes of an event, and after how long.
#[derive(Debug, Clone)]
pub(super) struct Planned<T> {
    pub delay: Duration,
    pub outcome: Result<T, Thrown>,
}

/// An answer to a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Canned {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An object of a fake that is read member by member. What is wrong is a text, to which the reader adds the place.
pub(super) trait Draft: Default {
    type Whole;
    const WHAT: &'static str;
    const KEYS: &'static [&'static str];

    /// Takes a member, whose key is one of [`Self::KEYS`].
    fn set(&mut self, key: &str, value: Value) -> Result<(), String>;

    fn finish(self) -> Result<Self::Whole, String>;
}

/// An answer to `fetch`.
#[derive(Default)]
pub(super) struct Fetched {
    delay: Duration,
    throws: Option<Thrown>,
    canned: Canned,
    /// The member that gives the body.
    body: Option<&'static str>,
    /// The first member that only an answer has.
    answers: Option<String>,
}

impl Draft for Fetched {
    type Whole = Planned<Canned>;
    const WHAT: &'static str = "an answer to fetch";
    const KEYS: &'static [&'static str] = &["status", "headers", "json", "body", "delay", "throws"];

    fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        match key {
            "delay" => self.delay = delay(&value)?,
            "throws" => self.throws = Some(Thrown::of_value(js(&value)?)),
            _ => {
                self.answers.get_or_insert(key.to_owned());
            }
        }
        match key {
            "status" => self.canned.status = status(&value)?,
            "headers" => self.canned.headers.extend(headers(&value)?),
            "json" => self.body("json", value.to_string().into(), "application/json")?,
            "body" => {
                let value = js(&value)?;
                let bytes = match (value.as_str(), value.as_ref().as_bytes()) {
                    (Some(text), _) => Bytes::copy_from_slice(text.as_bytes()),
                    (None, Some(bytes)) => return self.body("body", bytes, "application/octet-stream"),
                    (None, None) => {
                        return Err(
                            "`body` is a text, or bytes like [\"bytes\",\"AAE=\"]; anything else is `json`"
                                .into(),
                        );
                    }
                };
                self.body("body", bytes, "text/plain;charset=UTF-8")?;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Self::Whole, String> {
        let Fetched { delay, throws, canned, body: _, answers } = self;
        if let (Some(_), Some(key)) = (&throws, answers) {
            return Err(format!("what `throws` has no `{key}`: leave one of them out"));
        }
        if matches!(canned.status.as_u16(), 204 | 205 | 304) && !canned.body.is_empty() {
            return Err(format!("an answer with the status {} has no body", canned.status.as_u16()));
        }
        Ok(Planned { delay, outcome: throws.map_or(Ok(canned), Err) })
    }
}

impl Fetched {
    fn body(&mut self, key: &'static str, bytes: Bytes, kind: &'static str) -> Result<(), String> {
        if let Some(other) = self.body.replace(key) {
            return Err(format!("an answer has one body, and `{other}` is one already: leave `{key}` out"));
        }
        self.canned.body = bytes;
        // The file's own headers win, whether they come before or after.
        self.canned.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        Ok(())
    }
}

/// What a method or a property brings.
#[derive(Default)]
pub(super) struct Returned {
    delay: Duration,
    returns: Option<JsValue>,
    throws: Option<Thrown>,
}

impl Draft for Returned {
    type Whole = Planned<JsValue>;
    const WHAT: &'static str = "what a method or a property brings";
    const KEYS: &'static [&'static str] = &["returns", "throws", "delay"];

    fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        match key {
            "delay" => self.delay = delay(&value)?,
            "throws" => self.throws = Some(Thrown::of_value(js(&value)?)),
            _ => self.returns = Some(js(&value)?),
        }
        Ok(())
    }

    fn finish(self) -> Result<Self::Whole, String> {
        let outcome = match (self.returns, self.throws) {
            (Some(_), Some(_)) => return Err("what `throws` does not return: leave one of them out".into()),
            (_, Some(thrown)) => Err(thrown),
            (returns, None) => Ok(returns.unwrap_or(JsValue::UNDEFINED)),
        };
        Ok(Planned { delay: self.delay, outcome })
    }
}

/// A value in its textual form.
fn js(text: &Value) -> Result<JsValue, String> {
    from_loose_text(text, &[]).map_err(|error| format!("this is no value: {error}"))
}

fn delay(value: &Value) -> Result<Duration, String> {
    let delay = value.as_u64().map(Duration::from_millis).filter(|delay| *delay <= LONGEST_DELAY);
    delay.ok_or_else(|| {
        format!(
            "a `delay` is a number of milliseconds, at most {}, and not {value}",
            LONGEST_DELAY.as_millis()
        )
    })
}

fn status(value: &Value) -> Result<StatusCode, String> {
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
    let status = number
        .filter(|number| (200..600).contains(number))
        .and_then(|number| StatusCode::from_u16(number).ok());
    status.ok_or_else(|| format!("a `status` is a number from 200 to 599, and not {value}"))
}

fn headers(value: &Value) -> Result<HeaderMap, String> {
    let Value::Object(members) = value else {
        return Err("`headers` is an object, like {\"x-a\":\"1\"}".into());
    };
    let mut headers = HeaderMap::new();
    for (name, value) in members {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{name}` is no name of a header"))?;
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            let value = value.as_str().and_then(|text| HeaderValue::from_str(text).ok());
            let value = value
                .ok_or_else(|| format!("the header `{name}` is a text of one line, or an array of them"))?;
            headers.append(&key, value);
        }
    }
    Ok(headers)
}
