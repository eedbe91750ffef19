//! `jackfield fire`

use serde_json::Value;

use super::args::{FireArgs, Fired};
use super::call::failure;
use super::failure::Failure;
use super::place::Place;
use super::screen::{self, STRONG};
use crate::client::{Address, Path, Session};
use crate::session::SessionName;
use crate::session::config::FIRE;
use crate::wire::v8::{JsValue, from_value, to_value};

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
    /// What its configuration has instead of what was fired.
    declared: Option<Vec<String>>,
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
    let FireArgs { session, what } = args;
    session
        .parse::<SessionName>()
        .map_err(|error| Failure::usage(format!("`{session}` is no session: {error}")))?;
    let status = place.client().status().await?;
    let (fired, time) = match &what {
        Fired::Cron { expression, time, .. } => {
            (format!("{session} has no cron `{expression}`"), time.clone())
        }
        Fired::Queue { name, .. } => (format!("{session} does not consume the queue {name}"), None),
    };
    let (method, what, arguments) = match what {
        Fired::Cron { expression, time, .. } => {
            check_cron(&expression)?;
            let arguments = [JsValue::from(expression.as_str()), time.map_or(JsValue::NULL, JsValue::from)];
            ("cron", expression, arguments)
        }
        Fired::Queue { name, bodies, .. } => {
            let what =
                format!("{} message{} to {name}", bodies.len(), if bodies.len() == 1 { "" } else { "s" });
            let body = |text: String| serde_json::from_str(&text).unwrap_or(Value::from(text));
            let bodies: Vec<_> = bodies.into_iter().map(body).collect();
            let bodies = to_value(&bodies).map_err(Failure::usage)?;
            ("queue", what, [JsValue::from(name), bodies])
        }
    };
    let helper = format!("{session}/{FIRE}");
    let connected = Session::connect(&Address::Unix(status.port)).await?;
    let mut promise = connected.entrypoint(&helper, None, None).call(Path::dotted(method), arguments);
    let told = match (&mut promise).await {
        Ok(told) => told,
        Err(error) => return Err(explain(failure(error), &session)),
    };
    let other = |error| Failure::failed(format!("the session answered with something else: {error}"));
    let outcome: Outcome = from_value(&told).map_err(other)?;
    if outcome.outcome == "no time" {
        return Err(Failure::usage(format!("`{}` is no time", time.unwrap_or_default()))
            .hint("write it like 2026-11-01T12:00:00Z"));
    }
    let handler = if method == "cron" { "scheduled" } else { "queue" };
    if outcome.outcome == "missing" {
        return Err(Failure::failed(format!("{session} has no `{handler}` handler"))
            .hint("its default export needs one; nothing was sent"));
    }
    if let Some(declared) = &outcome.declared {
        let has = if declared.is_empty() { "none".to_owned() } else { declared.join(", ") };
        screen::note(&format!("{STRONG}note:{STRONG:#} {fired}; its configuration has: {has}"));
    }
    if as_json {
        screen::json(&from_value::<Value>(&told).map_err(other)?)?;
    } else {
        screen::data(&format!("{session}: {what}: {}", outcome.words()))?;
    }
    match outcome.outcome.as_str() {
        "ok" => Ok(()),
        other => Err(Failure::failed(format!("the handler of {session} ended with `{other}`")).hint(
            format!("its log says why, or that it has no `{handler}` handler, where the session runs"),
        )),
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

/// workerd takes any text; what a deployed worker could not be given is a slip of the fingers.
fn check_cron(expression: &str) -> Result<(), Failure> {
    match expression.split_whitespace().count() {
        5 => Ok(()),
        count => Err(Failure::usage(format!("`{expression}` is no schedule: it has {count} fields, not 5"))
            .hint("write minute, hour, day, month and weekday, like '*/5 * * * *'")),
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
