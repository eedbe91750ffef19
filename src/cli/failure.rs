//! Why a command failed, and the one place that prints it.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::screen::harmless;
use crate::control::{ClientError, Code, Problem};
use crate::session::ProjectError;

/// The exit codes that stand in every help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Failed = 1,
    Usage = 2,
    Unreachable = 3,
}

/// What happened to what and why, and what to do next.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    code: Code,
    message: String,
    hint: Option<String>,
    /// Lines that belong to the message.
    below: Option<String>,
    /// What a program learns beside it.
    beside: Option<(&'static str, Value)>,
}

impl Failure {
    pub(super) fn failed(message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Failed,
            code: Code::Failed,
            message: message.to_string(),
            hint: None,
            ..Self::blank()
        }
    }

    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Usage,
            code: Code::BadRequest,
            message: message.to_string(),
            hint: None,
            ..Self::blank()
        }
    }

    pub(super) fn unreachable(message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Unreachable,
            code: Code::Unreachable,
            message: message.to_string(),
            hint: None,
            ..Self::blank()
        }
    }

    pub(super) fn project(error: ProjectError) -> Self {
        Self {
            exit: Exit::Usage,
            code: Code::BadProject,
            message: error.to_string(),
            hint: None,
            ..Self::blank()
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Advice with which the message may end: it gets a line of its own.
    pub(super) fn advised(self, advice: Option<&str>) -> Self {
        let Some(advice) = advice else { return self };
        let message = match self.message.strip_suffix(advice) {
            Some(message) => message.trim_end_matches([' ', ';']).to_owned(),
            None => self.message,
        };
        Self { message, hint: Some(advice.trim_end_matches('.').to_owned()), ..self }
    }

    /// Without words with which the message may begin.
    pub(super) fn without(self, words: &str) -> Self {
        let message = self.message.strip_prefix(words).unwrap_or(&self.message).to_owned();
        Self { message, ..self }
    }

    /// What happened, for a sentence about it.
    pub(super) fn text(&self) -> &str {
        &self.message
    }

    /// Whether the message says that.
    pub(super) fn says(&self, part: &str) -> bool {
        self.message.contains(part)
    }

    fn blank() -> Self {
        Self {
            exit: Exit::Failed,
            code: Code::Failed,
            message: String::new(),
            hint: None,
            below: None,
            beside: None,
        }
    }

    /// Lines to print under the message.
    pub(super) fn below(self, lines: String) -> Self {
        Self { below: Some(lines).filter(|lines| !lines.is_empty()), ..self }
    }

    /// What may name places in code.
    pub(super) fn places(&self) -> Vec<String> {
        let beside = self.beside.as_ref().map(|(_, value)| value.to_string());
        [self.below.clone(), beside].into_iter().flatten().collect()
    }

    /// The same with [`Failure::places`] that say where that is in the sources.
    pub(super) fn with_places(self, texts: Vec<String>) -> Self {
        let mut texts = texts.into_iter();
        let below = self.below.map(|below| texts.next().unwrap_or(below));
        let beside = self.beside.map(|(key, value)| {
            let text = texts.next().and_then(|text| serde_json::from_str(&text).ok());
            (key, text.unwrap_or(value))
        });
        Self { below, beside, ..self }
    }

    /// A value to give beside the message where it is JSON.
    pub(super) fn beside(self, key: &'static str, value: Value) -> Self {
        Self { beside: Some((key, value)), ..self }
    }

    /// Says it on standard error, as text or as the JSON that the control API would have answered.
    pub(super) fn report(self, as_json: bool) -> ExitCode {
        let Self { exit, code, message, hint, below, beside } = self;
        let mut out = anstream::stderr().lock();
        // With standard error gone, the exit code is all that is left to tell.
        let _ = if as_json {
            let mut all = json!({ "error": Problem { code, message, hint } });
            if let (Some((key, value)), Some(all)) = (beside, all.as_object_mut()) {
                all.insert(key.to_owned(), value);
            }
            writeln!(out, "{all}")
        } else {
            let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
            let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
            let said = writeln!(out, "{red}error:{red:#} {}", harmless(&message));
            let said = said.and(below.map_or(Ok(()), |below| writeln!(out, "{}", harmless(&below))));
            said.and(hint.map_or(Ok(()), |hint| writeln!(out, "{cyan}help:{cyan:#} {}", harmless(&hint))))
        };
        ExitCode::from(exit as u8)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.code {
            Code::BadProject | Code::BadSources => Exit::Usage,
            _ => Exit::Failed,
        };
        Self { exit, code: problem.code, message: problem.message, hint: problem.hint, ..Self::blank() }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let (exit, code, hint) = match error {
            ClientError::Refused(problem) => return problem.into(),
            ClientError::Connect { .. } => (
                Exit::Unreachable,
                Code::Unreachable,
                "start one with `jackfield up` or `jackfield dev` in a project, or `jackfield run -- COMMAND` anywhere",
            ),
            ClientError::Stranger { .. } => {
                let hint = "set JACKFIELD_RUNTIME_DIR to a folder that only you can write";
                (Exit::Unreachable, Code::Unreachable, hint)
            }
            ClientError::Lost { .. } => {
                (Exit::Failed, Code::Failed, "the terminal where `jackfield up` runs may say why")
            }
            ClientError::Garbled { .. } => {
                (Exit::Failed, Code::Failed, "run the version of jackfield that started the daemon")
            }
        };
        Self { exit, code, message: error.to_string(), hint: Some(hint.to_owned()), ..Self::blank() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(format!("could not write the result: {error}"))
    }
}
