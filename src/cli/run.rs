//! `jackfield run`

use std::ffi::OsString;
use std::process::ExitCode;

use super::background;
use super::failure::Failure;
use super::place::Place;
use super::screen::{self, FAINT};
use crate::control::shape::{Run, Running};
use crate::registry::VARIABLES;
use crate::session::{foreground, scope};

/// What is to be run, and how it is called.
#[derive(Debug)]
pub(super) struct RunSettings {
    pub(super) place: Place,
    pub(super) name: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) command: Vec<OsString>,
}

/// Ends with the exit code of the command.
pub(super) async fn run(settings: RunSettings, here: &std::path::Path) -> Result<ExitCode, Failure> {
    let RunSettings { place, name, scope, command } = settings;
    let pid = std::process::id().cast_signed();
    let scope = scope.or_else(|| scope::of_folder(here));
    let Running { registry } = background::ask(&place, None, |daemon| {
        let run = Run { pid, name: name.clone(), scope: scope.clone() };
        async move { daemon.run(&run).await }
    })
    .await?;
    screen::note(&format!(
        "{FAINT}jackfield: linked; `jackfield ls` shows the sessions, `jackfield links` where their calls go{FAINT:#}"
    ));
    let registry = registry.into_os_string();
    let environment = VARIABLES.map(|name| (OsString::from(name), registry.clone()));
    let ended = foreground::foreground(&command, environment).await;
    let ended = ended.map_err(|error| {
        let program = command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        Failure::failed(format!("cannot start `{program}`: {error}"))
            .hint("write the command as you would without jackfield, after `--`")
    })?;
    Ok(ExitCode::from(foreground::exit_code(ended)))
}
