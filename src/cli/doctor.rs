//! `jackfield doctor`: what is there, what is the matter with it, and what to do.

mod daemons;
mod machine;

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::failure::Failure;
use super::screen::{self, BAD, FAINT, GOOD, PENDING};

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mark {
    Ok,
    /// It works, and may surprise.
    Warning,
    /// Something will not work.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    topic: &'static str,
    mark: Mark,
    /// What was found.
    what: String,
    /// What to do.
    next: Option<String>,
}

impl Check {
    fn ok(topic: &'static str, what: impl Into<String>) -> Self {
        Self { topic, mark: Mark::Ok, what: what.into(), next: None }
    }

    fn warning(topic: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { topic, mark: Mark::Warning, what: what.into(), next: Some(next.into()) }
    }

    fn error(topic: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { mark: Mark::Error, ..Self::warning(topic, what, next) }
    }
}

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Told<'a> {
    ok: bool,
    checks: &'a [Check],
}

/// `root` is the folder of the project. Ends with 1 if there is an error.
pub(super) fn run(root: &Path, as_json: bool) -> Result<ExitCode, Failure> {
    let mut checks = vec![Check::ok("jackfield", env!("CARGO_PKG_VERSION"))];
    checks.extend(machine::programs(root));
    checks.extend(daemons::folders());
    let runtime = super::runtime()?;
    checks.extend(runtime.block_on(daemons::answers()));
    checks.extend(runtime.block_on(daemons::registries()));
    checks.push(machine::files());
    let ok = !checks.iter().any(|check| check.mark == Mark::Error);
    match as_json {
        true => screen::json(&Told { ok, checks: &checks })?,
        false => screen::data(&text(&checks))?,
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.topic.len()).max().unwrap_or_default();
    let lines = checks.iter().map(|Check { topic, mark, what, next }| {
        let (style, word) = match mark {
            Mark::Ok => (GOOD, "ok"),
            Mark::Warning => (PENDING, "warning"),
            Mark::Error => (BAD, "error"),
        };
        let line = format!("{style}{word:<7}{style:#}  {topic:<width$}  {what}");
        match next {
            Some(next) => format!("{line}\n{:<7}  {:<width$}  {FAINT}{next}{FAINT:#}", "", ""),
            None => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
