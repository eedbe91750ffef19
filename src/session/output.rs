//! What sessions write, line by line.

use std::collections::VecDeque;
use std::fmt;
use std::iter;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;

use super::lines::Lines;
use super::name::SessionName;
use super::project::Compiled;
use super::record::{MAX_RECORD, Record};
use super::uncaught::{Heard, Uncaught};

/// The longest line handed on: a longer one comes in pieces.
pub(super) const MAX_LINE: usize = 16 << 10;
/// The last lines of a process that are kept to explain why it ended. A stack trace of workerd's is about ten.
const KEPT_LINES: usize = 20;

/// How much it matters what is written, in the order of a console's methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// `console.debug`
    Debug,
    /// `console.log`, and whatever says nothing of a level.
    Log,
    /// `console.info`
    Info,
    /// `console.warn`, and what workerd itself warns of.
    Warn,
    /// `console.error`, an error that nobody has caught, and what workerd itself complains of.
    Error,
}

/// Which of its two streams a child writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// What a line is that says no level.
    pub(super) fn level(self) -> Level {
        match self {
            Self::Stdout => Level::Log,
            Self::Stderr => Level::Error,
        }
    }
}

/// Whether workerd only warns in that line. It has two ways to do so: with the place in its own source, and about a
/// compatibility flag that is not needed any more.
pub(super) fn is_warning(line: &str) -> bool {
    line.contains(": warning: ") || line.contains("does not need to be specified anymore")
}

/// Takes what sessions write, line by line.
pub trait OutputSink: Send + Sync + 'static {
    /// One line of one session, without its end. It must not block for long: the session waits in its next write.
    fn line(&self, session: &SessionName, level: Level, line: &str);

    /// Returns when there is room for another line of that session, which waits in its next write until then.
    fn room(&self, _session: &SessionName) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }
}

/// The last lines of a process, shared by the tasks that read its two streams.
#[derive(Clone, Debug, Default)]
pub(super) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// The lines that say why the process ended: warnings are left out, unless there is nothing else.
    pub(super) fn take(&self) -> Vec<String> {
        let all: Vec<_> = self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        let told: Vec<_> = all.iter().filter(|line| !is_warning(line)).cloned().collect();
        if told.is_empty() { all } else { told }
    }
}

/// Lines that are held for a process which is starting. What a script writes while it is loaded is a few lines; whoever
/// writes more gets it shown at once.
const HELD_LINES: usize = 1_000;

/// The way of one process's lines to the sink. It is closed until the process serves: what a failing one wrote belongs
/// to the error, and is not to be read twice.
pub(super) struct Outlet {
    session: SessionName,
    sink: Arc<dyn OutputSink>,
    /// What leads from places in the lines back to the sources. These may change while the bundle stays as it is.
    compiled: Mutex<Option<Arc<Compiled>>>,
    /// `None` once it is open.
    held: Mutex<Option<Vec<(Level, String)>>>,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Outlet {
    pub(super) fn closed(
        session: SessionName,
        sink: Arc<dyn OutputSink>,
        compiled: Option<Arc<Compiled>>,
    ) -> Arc<Self> {
        Arc::new(Self { session, sink, compiled: Mutex::new(compiled), held: Mutex::new(Some(Vec::new())) })
    }

    /// From now on lines lead back by that.
    pub(super) fn lead_back_by(&self, compiled: Arc<Compiled>) {
        *self.compiled.lock().unwrap_or_else(PoisonError::into_inner) = Some(compiled);
    }

    /// From now on lines go to the sink, those that were held first.
    pub(super) fn open(&self) {
        self.open_locked(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn open_locked(&self, held: &mut Option<Vec<(Level, String)>>) {
        for (level, line) in held.take().into_iter().flatten() {
            self.sink.line(&self.session, level, &line);
        }
    }

    fn back(&self, text: String) -> String {
        let compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match compiled.as_ref().and_then(|compiled| compiled.source_map.as_ref()) {
            Some(map) => map.back(&text),
            None => text,
        }
    }

    fn line(&self, level: Level, line: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            None => {
                drop(held);
                self.sink.line(&self.session, level, line);
            }
            Some(lines) => {
                lines.push((level, line.to_owned()));
                if lines.len() >= HELD_LINES {
                    self.open_locked(&mut held);
                }
            }
        }
    }
}

/// Hands on what comes from one stream.
pub(super) struct Copier {
    pub(super) stream: Stream,
    pub(super) said: LastLines,
    pub(super) outlet: Arc<Outlet>,
}

/// What is handed on.
struct Told {
    level: Level,
    text: String,
    /// Whether it may say why the process ends.
    is_reason: bool,
}

impl Copier {
    pub(super) async fn run(self, pipe: impl AsyncRead + Unpin) {
        let (mut lines, mut uncaught) = (Lines::new(pipe, MAX_RECORD), Uncaught::default());
        let mut is_cut = false;
        while let Ok(Some(line)) = lines.next().await {
            let (goes_on, was_cut) = (line.len() >= MAX_RECORD, is_cut);
            let record = if goes_on { Record::read_cut(&line) } else { Record::read(&line) };
            is_cut = goes_on && (was_cut || record.is_some());
            // The rest of a record is left out.
            let told = if was_cut { None } else { self.told(record, line, &mut uncaught) };
            for piece in told.iter().flat_map(|told| pieces(&told.text)) {
                let Some(Told { level, is_reason, .. }) = &told else { continue };
                if *is_reason {
                    self.said.push(piece);
                }
                self.outlet.line(*level, piece);
                self.outlet.sink.room(&self.outlet.session).await;
            }
        }
    }

    fn told(&self, record: Option<Record>, line: String, uncaught: &mut Uncaught) -> Option<Told> {
        let is_trouble = |level| matches!(level, Level::Warn | Level::Error);
        let told = match record {
            None => Told { level: self.stream.level(), text: line, is_reason: self.stream == Stream::Stderr },
            Some(Record { level, source: None, text }) => Told { level, text, is_reason: is_trouble(level) },
            Some(Record { level, source: Some(source), text }) => match uncaught.hear(level, &text) {
                Heard::Nothing => return None,
                Heard::Error(text) => Told { level: Level::Error, text, is_reason: false },
                // On that stream it speaks to people, and no place in its source is of use to them.
                Heard::Complaint(text) if self.stream == Stream::Stderr => {
                    Told { level, text, is_reason: true }
                }
                Heard::Complaint(text) => {
                    let kind = if level == Level::Warn { "warning" } else { "error" };
                    Told { level, text: format!("{source}: {kind}: {text}"), is_reason: true }
                }
            },
        };
        Some(Told { text: self.outlet.back(told.text), ..told })
    }
}

/// The lines of a text, none of them too long.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| {
        let mut rest = Some(line.strip_suffix('\r').unwrap_or(line));
        iter::from_fn(move || {
            let line = rest?;
            let mut ends = (1..=MAX_LINE).rev().filter(|end| line.is_char_boundary(*end));
            let end = if line.len() <= MAX_LINE { line.len() } else { ends.next()? };
            let (piece, after) = line.split_at_checked(end)?;
            rest = Some(after).filter(|after| !after.is_empty());
            Some(piece)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_in_lines_and_a_long_line_in_pieces() {
        assert_eq!(pieces("").collect::<Vec<_>>(), [""]);
        assert_eq!(pieces("one\r\n\ntwo").collect::<Vec<_>>(), ["one", "", "two"]);
        let long = "é".repeat(MAX_LINE);
        assert_eq!(pieces(&long).map(str::len).collect::<Vec<_>>(), [MAX_LINE, MAX_LINE]);
        let odd = format!("x{long}\nend");
        assert_eq!(pieces(&odd).map(str::len).collect::<Vec<_>>(), [MAX_LINE - 1, MAX_LINE, 2, 3]);
    }
}
