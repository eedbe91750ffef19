//! What a worker threw, under its message.

use anstyle::{AnsiColor, Style};

use super::failure::Failure;
use crate::client::{BodyError, Thrown};
use crate::wire::v8::{JsRef, Options, to_text};

/// Adds what an error carries, and where it was thrown.
pub(super) fn carried(failure: Failure, thrown: &Thrown) -> Failure {
    let failure = match to_text(&thrown.to_value()) {
        Ok(value) => failure.beside("thrown", value),
        Err(_) => failure,
    };
    // What the port refuses is no error of a worker's, and its class says nothing.
    let failure = match !thrown.remote && thrown.name == "Error" {
        true => failure.without("Error: "),
        false => failure,
    };
    failure.below(account(thrown))
}

/// A body or a stream that ended before its end.
pub(super) fn broken(error: BodyError) -> Failure {
    let failure = Failure::failed(&error);
    match error {
        BodyError::Source(_) => failure,
        _ => {
            failure.hint("what was written is only its beginning; the worker's own log may say why it ended")
        }
    }
}

fn account(thrown: &Thrown) -> String {
    let faint = Style::new().dimmed();
    let key = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
    let options = Options { depth: Some(4), ..Options::default() };
    let mut lines: Vec<String> = Vec::new();
    // The first lines of a stack repeat the error itself. Causes among the properties bring stacks of their own.
    let frames = thrown.stack.iter().flat_map(|stack| stack.lines());
    for frame in frames.filter(|line| line.trim_start().starts_with("at ")) {
        lines.push(format!("    {faint}{}{faint:#}", frame.trim()));
    }
    let mut add = |name: &str, value: JsRef<'_>| {
        let value = value.inspect(&options).replace('\n', "\n  ");
        lines.push(format!("  {key}{name}:{key:#} {value}"));
    };
    for (name, value) in &thrown.properties {
        add(name, value.as_ref());
    }
    if let Some(value) = &thrown.value {
        add("thrown", value.as_ref());
    }
    let flags = [
        (thrown.retryable, "retryable"),
        (thrown.overloaded, "overloaded"),
        (thrown.durable_object_reset, "durable object reset"),
    ];
    let flags: Vec<_> = flags.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
    if !flags.is_empty() {
        lines.push(format!("  {faint}({}){faint:#}", flags.join(", ")));
    }
    lines.join("\n")
}
