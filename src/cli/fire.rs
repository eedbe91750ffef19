//! `jackfield fire`

use serde_json::Value;

use super::args::{FireArgs, Fired};
use super::call::failure;
use super::failure::Failure;
use super::place::Place;
use super::screen;
use crate::client::{Address, Path, Session};
use crate::session::config::FIRE;
use crate::wire::v8::{JsValue, from_loose_text, to_text};

/// What the worker made of it, in workerd's words.
#[derive(serde::Deserialize)]
struct Outcome {
    outcome: String,
    #[serde(rename = "noRetry", default)]
    no_retry: bool,
    #[serde(rename = "retryBatch", default)]
    retry_batch: Retry,
    #[serde(rename = "retryMessages", default)]
    retry_messages: Vec<RetryMessage>,
}

#[derive(Default, serde::Deserialize)]
struct Retry {
    retry: bool,
}

#[derive(serde::Deserialize)]
struct RetryMessage {
    #[serde(rename = "msgId")]
    id: String,
}

pub(super) async fn run(place: &Place, args: FireArgs, as_json: bool) -> Result<(), Failure> {
    let FireArgs { session: name, what } = args;
    let status = place.client().status().await?;
    let rows = place.client().sessions().await?.sessions;
    let session = rows.iter().map(|row| &row.session).find(|session| session.to_string() == name);
    let session = match session {
        Some(session) => session.to_string(),
        // As in other commands a name alone is enough where only one session has it.
        None => {
            let mut named = rows.iter().map(|row| &row.session).filter(|session| session.name() == name);
            let only = named.next().filter(|_| named.next().is_none());
            only.map_or(name, ToString::to_string)
        }
    };
    let (method, what, arguments) = match what {
        Fired::Cron { expression, time, .. } => {
            ("cron", expression.clone(), vec![Value::from(expression), time.into()])
        }
        Fired::Queue { name, bodies, .. } => {
            let count = bodies.len();
            let bodies =
                bodies.into_iter().map(|text| serde_json::from_str(&text).unwrap_or(Value::from(text)));
            let what = format!("{count} message{} to {name}", if count == 1 { "" } else { "s" });
            // In the textual form of values an array that is meant so stands in another one.
            (
                "queue",
                what,
                vec![Value::from(name), Value::Array(vec![Value::Array(bodies.map(escaped).collect())])],
            )
        }
    };
    let arguments: Result<Vec<JsValue>, _> =
        arguments.iter().map(|value| from_loose_text(value, &[])).collect();
    let arguments = arguments.map_err(Failure::usage)?;
    let helper = format!("{session}/{FIRE}");
    let connected = Session::connect(&Address::Unix(status.port)).await?;
    let mut promise = connected.entrypoint(&helper, None, None).call(Path::dotted(method), arguments);
    let told = match (&mut promise).await {
        Ok(value) => to_text(&value).map_err(Failure::failed)?,
        Err(error) => return Err(explain(failure(error), &session)),
    };
    let outcome: Outcome = serde_json::from_value(plain(told.clone()))
        .map_err(|error| Failure::failed(format!("the session answered with something else: {error}")))?;
    if as_json {
        screen::json(&plain(told))?;
    } else {
        screen::data(&format!("{session}: {what}: {}", outcome.words()))?;
    }
    match outcome.outcome.as_str() {
        "ok" => Ok(()),
        other => Err(Failure::failed(format!("the handler of {session} ended with `{other}`"))
            .hint("its log says why, where the session runs")),
    }
}

impl Outcome {
    fn words(&self) -> String {
        let mut words = self.outcome.clone();
        if self.no_retry {
            words.push_str(", not to be tried again");
        }
        if self.retry_batch.retry {
            words.push_str(", all to be tried again");
        }
        if !self.retry_messages.is_empty() {
            let ids: Vec<_> = self.retry_messages.iter().map(|message| message.id.as_str()).collect();
            words.push_str(&format!(", to be tried again: {}", ids.join(", ")));
        }
        words
    }
}

/// JSON in the textual form of values, at any depth.
fn escaped(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(vec![items.into_iter().map(escaped).collect()]),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, escaped(value))).collect())
        }
        other => other,
    }
}

/// And back; what JSON cannot say stays as it is written.
fn plain(value: Value) -> Value {
    match value {
        Value::Array(mut items) => match (items.len(), items.pop()) {
            (1, Some(Value::Array(inner))) => inner.into_iter().map(plain).collect(),
            // The form of what is not there.
            (1, Some(Value::String(form))) if form == "undefined" => Value::Null,
            (_, last) => {
                items.extend(last);
                Value::Array(items)
            }
        },
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, plain(value)));
            Value::Object(fields.filter(|(_, value)| !value.is_null()).collect())
        }
        other => other,
    }
}

fn explain(failure: Failure, session: &str) -> Failure {
    match failure.says("for others") {
        true => failure.hint(format!(
            "{session} was started by another tool; only sessions of `up` and `dev` can be fired at from here"
        )),
        false => failure,
    }
}
