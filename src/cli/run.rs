//! `jackfield run`

use std::convert::Infallible;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::background;
use super::failure::Failure;
use super::place::Place;
use super::screen::{self, FAINT};
use crate::control::ClientError;
use crate::control::shape::{Run, Running};
use crate::registry::VARIABLES;
use crate::session::{Held, foreground, scope};

/// A daemon that ends sooner than this again and again would end the next time too.
const LASTING: Duration = Duration::from_secs(60);

/// How many daemons in a row may end so soon.
const TRIES: u32 = 5;

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
    let run = Run { pid, name, scope, registry: None };
    let Running { registry } = join(&place, &run, None).await?;
    // The next daemon leaves it where it is as long as this is there. If it has gone already, that is noticed below.
    let _held = Held::of(&registry).ok();
    let link = Link { place, run: Run { registry: Some(registry.clone()), ..run } };
    note("linked; `jackfield ls` shows the sessions, `jackfield links` where their calls go");
    let registry = registry.into_os_string();
    let environment = VARIABLES.map(|name| (OsString::from(name), registry.clone()));
    let ended = tokio::select! {
        biased;
        ended = foreground::foreground(&command, environment) => ended,
        never = link.keep() => match never {},
    };
    let ended = ended.map_err(|error| {
        let program = command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        Failure::failed(format!("cannot start `{program}`: {error}"))
            .hint("write the command as you would without jackfield, after `--`")
    })?;
    Ok(ExitCode::from(foreground::exit_code(ended)))
}

/// Asks the daemon for a registry; starts the daemon if none answers, with its URLs at that port.
async fn join(place: &Place, run: &Run, ingress: Option<u16>) -> Result<Running, Failure> {
    background::ask(place, ingress, |daemon| {
        let run = run.clone();
        async move { daemon.run(&run).await }
    })
    .await
}

/// The command's place among the sessions.
struct Link {
    place: Place,
    run: Run,
}

impl Link {
    /// Keeps it when the daemon is killed: the next one takes the command's registry over, so that the command notices
    /// nothing. A daemon that was stopped stays so; then, and where that fails, the user is told.
    ///
    /// # Cancellation
    /// A daemon may have been started, and ends by itself.
    async fn keep(&self) -> Infallible {
        let (mut joined, mut lost) = (Instant::now(), 0);
        let mut port = self.port().await;
        while self.is_killed().await {
            lost = if joined.elapsed() >= LASTING { 1 } else { lost + 1 };
            joined = Instant::now();
            let again = match lost {
                ..=TRIES => self.join_again(port).await,
                _ => Err(Failure::failed("daemons end as soon as they have started")),
            };
            match again {
                Ok(_) => {
                    port = self.port().await;
                    note(
                        "the daemon was killed; linked again by a new one, where links that were moved, and what was \
                         attached, are forgotten",
                    );
                }
                Err(error) => {
                    note(&format!(
                        "the daemon was killed, and this command runs unlinked: {}; {AGAIN}",
                        error.text()
                    ));
                    return std::future::pending().await;
                }
            }
        }
        note(&format!("the daemon was stopped, and this command runs unlinked from now on; {AGAIN}"));
        std::future::pending().await
    }

    /// Pages that are open go on where their port is the same; another program may have it by now.
    async fn join_again(&self, port: Option<u16>) -> Result<Running, Failure> {
        match join(&self.place, &self.run, port).await {
            Err(_) if port.is_some() => join(&self.place, &self.run, None).await,
            joined => joined,
        }
    }

    /// Where the daemon has its URLs.
    async fn port(&self) -> Option<u16> {
        let url = self.place.client().status().await.ok()?.ingress?;
        url.parse::<http::Uri>().ok()?.port_u16()
    }

    /// Waits for the end of the daemon.
    async fn is_killed(&self) -> bool {
        match self.place.client().end().await {
            Ok(_) => false,
            // One that stops in order takes its folder along.
            Err(ClientError::Connect { .. } | ClientError::Lost { .. }) => {
                self.run.registry.as_ref().is_some_and(|registry| registry.exists())
            }
            // An older one, which cannot be asked.
            Err(_) => std::future::pending().await,
        }
    }
}

/// What to do about it.
const AGAIN: &str = "end it and start it again to link it";

fn note(text: &str) {
    screen::note(&format!("{FAINT}jackfield: {text}{FAINT:#}"));
}
