//! What `up` and `dev` tell: sessions that come and go, and what they write.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};

use super::failure::Failure;
use super::names::Names;
use super::reload;
use super::screen::{self, BAD, FAINT, GOOD, PENDING, STRONG};
use crate::control::shape::{LinkRow, SessionRow, State};
use crate::control::{Problem, Program, Teller, Told, telling};
use crate::session::workerd::Workerd;
use crate::session::{Level, SessionName};

/// How long a terminal may take for the last words.
const PATIENCE: Duration = Duration::from_secs(1);

/// One for each session, in the order of the file. Red is left out: it means failure everywhere else.
const COLOURS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Yellow, AnsiColor::Green];

/// Before what `console.info` writes.
const INFO: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));

/// Writes the account: lines for people, or an event a line for programs.
///
/// For people what the sessions write to standard output goes there, and all the rest to standard error; so the output
/// of workers can be piped. Programs get everything on standard output.
pub(super) struct Account {
    as_json: bool,
    began: Instant,
    is_up: AtomicBool,
    /// Those that were told of, in that order, which is the order of the files: all start before one is up.
    sessions: Mutex<Vec<SessionName>>,
}

/// What is left to be written when all is over.
pub(super) struct Written {
    teller: Teller,
    written: mpsc::Receiver<()>,
}

impl Written {
    /// Blocks until it is, for a moment at most.
    pub(super) fn wait(self) {
        self.teller.end();
        let _ = self.written.recv_timeout(PATIENCE);
    }
}

impl Account {
    /// Of what begins now.
    pub(super) fn new(as_json: bool) -> Self {
        Self { as_json, began: Instant::now(), is_up: AtomicBool::new(false), sessions: Mutex::default() }
    }

    /// Writes from a thread of its own what the [`Teller`] is told: a terminal that stands still holds nothing up but the
    /// sessions that write to it.
    pub(super) fn beside(self) -> Result<(Teller, Written), Failure> {
        let failed = |error: io::Error| Failure::failed(format!("cannot start a thread: {error}"));
        let (teller, mut telling) = telling();
        let (done, written) = mpsc::sync_channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        let thread = std::thread::Builder::new().name("jackfield-account".into()).spawn(move || {
            while let Some(told) = runtime.block_on(telling.next()) {
                self.tell(&told);
            }
            // Nobody waits if it took too long.
            let _ = done.send(());
        });
        thread.map_err(failed)?;
        Ok((teller.clone(), Written { teller, written }))
    }

    /// Nothing runs yet. Sessions are named by a project file, or by configurations.
    pub(super) fn begins(&self, project: Option<&Path>, configs: Vec<PathBuf>, workerd: &Workerd) {
        let Workerd { path, version, source, passed_over } = workerd;
        if self.as_json {
            let workerd = Program { path: path.clone(), version: version.clone() };
            self.tell(&Told::Starting { project: project.map(Path::to_owned), configs, workerd });
        } else {
            let here = std::env::current_dir().unwrap_or_default();
            let near = |file: &Path| file.strip_prefix(&here).unwrap_or(file).display().to_string();
            let files: Vec<_> = match project {
                Some(project) => vec![project.display().to_string()],
                None => configs.iter().map(|file| near(file)).collect(),
            };
            let (own, files) = (env!("CARGO_PKG_VERSION"), files.join(", "));
            screen::note(&format!("{STRONG}jackfield {own}{STRONG:#} runs {files}"));
            screen::note(&format!("{FAINT}workerd {version}, {source}: {}{FAINT:#}", path.display()));
        }
        for passed in passed_over {
            // Of interest only to those who wonder why not theirs was taken.
            tracing::info!("no workerd was taken from {}: {}", passed.path.display(), passed.why);
        }
    }

    /// One event. With standard output gone nobody is left to tell, and the sessions still have to be kept.
    pub(super) fn tell(&self, told: &Told) {
        if self.as_json {
            let _ = screen::json(told);
            return;
        }
        match told {
            // Said with more words before.
            Told::Starting { .. } => {}
            Told::Session { session, state, generation, why } => {
                self.session(session, *state, *generation, why.as_deref());
            }
            Told::Output { session, level, line } => self.output(session, *level, line),
            Told::Warned { message } => screen::note(&format!("{PENDING}warning:{PENDING:#} {message}")),
            Told::Ready { ingress, sessions, links, .. } => self.ready(ingress.as_deref(), sessions, links),
            Told::Reloaded(reloaded) => screen::note(&reload::account(reloaded)),
            Told::ReloadFailed { error: Problem { message, hint, .. } } => {
                let what = if self.is_up.load(Relaxed) { "not reloaded" } else { "not started" };
                screen::note(&format!("{BAD}{what}:{BAD:#} {message}"));
                if let Some(hint) = hint {
                    screen::note(hint);
                }
            }
            Told::Waiting { session, calls, web_sockets, at_most_ms } => {
                self.waiting(session, *calls, *web_sockets, *at_most_ms);
            }
            Told::Stopping {} => {
                screen::note("stopping; calls in progress may end, Ctrl-C does not wait for them");
            }
            Told::Stopped {} => screen::note("stopped"),
        }
    }

    /// What it is worth is seen by the bar before it.
    fn output(&self, session: &SessionName, level: Level, line: &str) {
        let (bar, text) = match level {
            Level::Debug => (FAINT, FAINT),
            Level::Log => (FAINT, Style::new()),
            Level::Info => (INFO, Style::new()),
            Level::Warn => (PENDING, Style::new()),
            Level::Error => (BAD, Style::new()),
        };
        let line = format!("{} {bar}|{bar:#} {text}{line}{text:#}", self.tag(session));
        match level {
            Level::Debug | Level::Log | Level::Info => drop(screen::data(&line)),
            Level::Warn | Level::Error => screen::note(&line),
        }
    }

    fn session(&self, session: &SessionName, state: State, generation: Option<u64>, why: Option<&str>) {
        let tag = self.tag(session);
        match state {
            // Over in milliseconds, and said by the line that follows.
            State::Starting => {}
            State::Up => {
                let generation = generation.unwrap_or_default();
                screen::note(&format!("{tag} {GOOD}up{GOOD:#} {FAINT}generation {generation}{FAINT:#}"));
            }
            State::Stopped => {
                screen::note(&format!("{tag} {PENDING}stopped{PENDING:#} {}", why.unwrap_or_default()));
            }
            State::Down => {
                screen::note(&format!("{tag} {BAD}down{BAD:#} {}", why.unwrap_or_default()));
            }
        }
    }

    fn waiting(&self, session: &SessionName, calls: usize, web_sockets: usize, at_most_ms: u64) {
        let at_most = at_most_ms.div_ceil(1000);
        let counted = |count: usize, what: &str| match count {
            0 => None,
            1 => Some(format!("1 {what}")),
            count => Some(format!("{count} {what}s")),
        };
        let has: Vec<_> =
            [counted(calls, "call"), counted(web_sockets, "WebSocket")].into_iter().flatten().collect();
        let has = if has.is_empty() { String::new() } else { format!(" with {}", has.join(" and ")) };
        let tag = self.tag(session);
        screen::note(&format!(
            "{tag} {PENDING}waits{PENDING:#} for the end of its old process{has}; {at_most} s at most"
        ));
    }

    fn ready(&self, ingress: Option<&str>, sessions: &[SessionRow], links: &[LinkRow]) {
        self.is_up.store(true, Relaxed);
        for SessionRow { session, url, .. } in sessions {
            if let Some(url) = url {
                screen::note(&format!("{} {STRONG}{url}{STRONG:#}", self.tag(session)));
            }
        }
        let names = Names::of(sessions);
        for LinkRow { link, target, state, why, .. } in links {
            let why = why.as_ref().filter(|_| *state != State::Up);
            let why = why.map_or(String::new(), |why| format!(" {FAINT}{why}{FAINT:#}"));
            // Which session of others is meant is told whole.
            let is_own = sessions.iter().any(|row| row.session == target.session);
            let target = if is_own { names.aim(target) } else { target.to_string() };
            screen::note(&format!("{} {FAINT}→{FAINT:#} {target}{why}", names.link(link)));
        }
        if let Some(ingress) = ingress {
            screen::note(&format!("{FAINT}all sessions are listed at{FAINT:#} {STRONG}{ingress}{STRONG:#}"));
        }
        let took = self.began.elapsed().as_secs_f64();
        screen::note(&format!("{GOOD}ready{GOOD:#} in {took:.1} s; Ctrl-C stops them"));
    }

    fn tag(&self, session: &SessionName) -> String {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let index = sessions.iter().position(|known| known == session).unwrap_or_else(|| {
            sessions.push(session.clone());
            sessions.len() - 1
        });
        let names = Names::among(sessions.iter());
        let width = sessions.iter().map(|session| names.session(session).len()).max().unwrap_or_default();
        let colour = COLOURS.get(index % COLOURS.len()).copied().unwrap_or(AnsiColor::Cyan);
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{style}{:<width$}{style:#}", names.session(session))
    }
}
