//! What `up` tells: sessions that come and go, and what they write.

use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::cli::reload;
use crate::cli::screen::{self, BAD, FAINT, GOOD, STRONG};
use crate::control::Problem;
use crate::control::shape::{LinkRow, Reloaded, SessionRow, State, Status};
use crate::session::project::Origin;
use crate::session::workerd::Workerd;
use crate::session::{OutputSink, Project, SessionName, SessionSink, SessionState, Stream};

/// One for each session, in the order of the file. Red is left out: it means failure everywhere else.
const COLOURS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Yellow, AnsiColor::Green];

/// Writes the account: lines for people, or an event a line for programs.
///
/// For people what the sessions write to standard output goes there, and all the rest to standard error; so the output
/// of workers can be piped. Programs get everything on standard output.
pub(super) struct Account {
    as_json: bool,
    /// As many columns as the longest name.
    width: usize,
    sessions: Vec<SessionName>,
}

impl Account {
    pub(super) fn new(project: &Project, as_json: bool) -> Self {
        let sessions: Vec<_> = project.sessions.iter().map(|spec| spec.name.clone()).collect();
        let width = sessions.iter().map(|name| name.to_string().len()).max().unwrap_or_default();
        Self { as_json, width, sessions }
    }

    pub(super) fn begins(&self, project: &Project, workerd: &Workerd) {
        let Workerd { path, version, source, passed_over } = workerd;
        if self.as_json {
            let workerd = json!({ "path": path, "version": version });
            self.event("starting", json!({ "project": project.file, "workerd": workerd }));
        } else {
            let (own, project) = (env!("CARGO_PKG_VERSION"), what(project));
            screen::note(&format!("{STRONG}jackfield {own}{STRONG:#} runs {project}"));
            screen::note(&format!("{FAINT}workerd {version}, {source}: {}{FAINT:#}", path.display()));
        }
        for passed in passed_over {
            // Of interest only to those who wonder why not theirs was taken.
            tracing::info!("no workerd was taken from {}: {}", passed.path.display(), passed.why);
        }
    }

    pub(super) fn ready(
        &self,
        took: Duration,
        status: &Status,
        sessions: &[SessionRow],
        links: &[LinkRow],
        control: &Path,
    ) {
        if self.as_json {
            self.event("ready", json!({ "control": control, "ingress": status.ingress, "sessions": sessions, "links": links }));
            return;
        }
        for SessionRow { session, url, .. } in sessions {
            if let Some(url) = url {
                screen::note(&format!("{} {STRONG}{url}{STRONG:#}", self.tag(session)));
            }
        }
        for LinkRow { link, target, state, why, .. } in links {
            let why = why.as_ref().filter(|_| *state != State::Up);
            let why = why.map_or(String::new(), |why| format!(" {FAINT}{why}{FAINT:#}"));
            screen::note(&format!("{link} {FAINT}→{FAINT:#} {target}{why}"));
        }
        if let Some(ingress) = &status.ingress {
            screen::note(&format!("{FAINT}all sessions are listed at{FAINT:#} {STRONG}{ingress}{STRONG:#}"));
        }
        let took = took.as_secs_f64();
        screen::note(&format!("{GOOD}ready{GOOD:#} in {took:.1} s; Ctrl-C stops everything"));
    }

    /// Nobody waits for the outcome of a reload that nobody asked for; only a change is worth a word then.
    pub(super) fn reloaded(&self, outcome: &Result<Reloaded, Problem>, unasked: bool) {
        match outcome {
            Ok(reloaded) if self.as_json => self.event("reloaded", json!(reloaded)),
            Err(problem) if self.as_json => self.event("reload_failed", json!({ "error": problem })),
            Ok(reloaded) if unasked && reloaded.is_nothing() => {}
            Ok(reloaded) => screen::note(&reload::account(reloaded)),
            Err(Problem { message, hint, .. }) => {
                screen::note(&format!("{BAD}not reloaded:{BAD:#} {message}"));
                if let Some(hint) = hint {
                    screen::note(hint);
                }
            }
        }
    }

    pub(super) fn stopping(&self, grace: Duration) {
        if self.as_json {
            self.event("stopping", json!({}));
        } else {
            let grace = grace.as_secs_f64();
            screen::note(&format!("stopping; calls may end within {grace} s, another Ctrl-C breaks them"));
        }
    }

    pub(super) fn stopped(&self) {
        if self.as_json {
            self.event("stopped", json!({}));
        } else {
            screen::note("stopped");
        }
    }

    /// With standard output gone nobody is left to tell, and the sessions still have to be kept.
    fn event(&self, name: &str, more: Value) {
        let mut event = json!({ "event": name });
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        let _ = screen::json(&event);
    }

    fn tag(&self, session: &SessionName) -> String {
        let index = self.sessions.iter().position(|known| known == session).unwrap_or_default();
        let colour = COLOURS.get(index % COLOURS.len()).copied().unwrap_or(AnsiColor::Cyan);
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{style}{:<width$}{style:#}", session.to_string(), width = self.width)
    }
}

/// What runs, by the files that say so.
fn what(project: &Project) -> String {
    match &project.origin {
        Origin::File => project.file.display().to_string(),
        Origin::Wrangler(request) => {
            let near = |file: &Path| file.strip_prefix(&project.root).unwrap_or(file).display().to_string();
            request.configs.iter().map(|file| near(file)).collect::<Vec<_>>().join(", ")
        }
    }
}

impl OutputSink for Account {
    fn line(&self, session: &SessionName, stream: Stream, line: &str) {
        if self.as_json {
            let stream = match stream {
                Stream::Stdout => "stdout",
                Stream::Stderr => "stderr",
            };
            return self.event("output", json!({ "session": session, "stream": stream, "line": line }));
        }
        let line = format!("{} {FAINT}|{FAINT:#} {line}", self.tag(session));
        match stream {
            Stream::Stdout => drop(screen::data(&line)),
            Stream::Stderr => screen::note(&line),
        }
    }
}

impl SessionSink for Account {
    fn publish(&self, session: &SessionName, state: SessionState) {
        if self.as_json {
            let (state, generation, why) = match state {
                SessionState::Starting => ("starting", None, None),
                SessionState::Up(generation) => ("up", Some(generation.number), None),
                SessionState::Down { why } => ("down", None, Some(why)),
            };
            let more = json!({ "session": session, "state": state, "generation": generation, "why": why });
            return self.event("session", more);
        }
        let tag = self.tag(session);
        match state {
            // Over in milliseconds, and said by the line that follows.
            SessionState::Starting => {}
            SessionState::Up(generation) => {
                screen::note(&format!(
                    "{tag} {GOOD}up{GOOD:#} {FAINT}generation {}{FAINT:#}",
                    generation.number
                ));
            }
            SessionState::Down { why } => {
                screen::note(&format!("{tag} {BAD}down{BAD:#} {}", screen::plain(&why)))
            }
        }
    }
}
