//! Why a command failed, and the one place that prints it.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde_json::json;

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
}

impl Failure {
    pub(super) fn failed(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, code: Code::Failed, message: message.to_string(), hint: None }
    }

    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, code: Code::BadRequest, message: message.to_string(), hint: None }
    }

    pub(super) fn project(error: ProjectError) -> Self {
        Self { exit: Exit::Usage, code: Code::BadProject, message: error.to_string(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Says it on standard error, as text or as the JSON that the control API would have answered.
    pub(super) fn report(self, as_json: bool) -> ExitCode {
        let Self { exit, code, message, hint } = self;
        let mut out = anstream::stderr().lock();
        // With standard error gone, the exit code is all that is left to tell.
        let _ = if as_json {
            writeln!(out, "{}", json!({ "error": Problem { code, message, hint } }))
        } else {
            let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
            let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
            let said = writeln!(out, "{red}error:{red:#} {message}");
            said.and(hint.map_or(Ok(()), |hint| writeln!(out, "{cyan}help:{cyan:#} {hint}")))
        };
        ExitCode::from(exit as u8)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.code {
            Code::BadProject => Exit::Usage,
            _ => Exit::Failed,
        };
        Self { exit, code: problem.code, message: problem.message, hint: problem.hint }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let (exit, code, hint) = match error {
            ClientError::Refused(problem) => return problem.into(),
            ClientError::Connect { .. } => {
                (Exit::Unreachable, Code::Unreachable, "start it with `jackfield up`")
            }
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
        Self { exit, code, message: error.to_string(), hint: Some(hint.to_owned()) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(format!("could not write the result: {error}"))
    }
}
