//! What sessions write, line by line.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;

use super::lines::Lines;
use super::name::SessionName;
use super::project::Compiled;
use super::uncaught::{Heard, Uncaught};

/// The longest line handed on: `console.log` of a large object comes in pieces.
pub(super) const MAX_LINE: usize = 16 << 10;
/// The last lines of a process that are kept to explain why it ended. A stack trace of workerd's is about ten.
const KEPT_LINES: usize = 20;

/// Which of its two streams a child wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// `console.log` and its kin.
    Stdout,
    /// `console.error`, and what workerd itself says.
    Stderr,
}

/// Whether workerd only warns in that line. It has two ways to do so: with the place in its own source, and about a
/// compatibility flag that is not needed any more.
pub(super) fn is_warning(line: &str) -> bool {
    line.contains(": warning: ") || line.contains("does not need to be specified anymore")
}

/// Takes what sessions write, line by line.
pub trait OutputSink: Send + Sync + 'static {
    /// One line of one session, without its end. It must not block for long: the session waits in its next write.
    fn line(&self, session: &SessionName, stream: Stream, line: &str);

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
    held: Mutex<Option<Vec<(Stream, String)>>>,
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

    fn open_locked(&self, held: &mut Option<Vec<(Stream, String)>>) {
        for (stream, line) in held.take().into_iter().flatten() {
            self.sink.line(&self.session, stream, &line);
        }
    }

    fn back(&self, line: String) -> String {
        let compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match compiled.as_ref().and_then(|compiled| compiled.source_map.as_ref()) {
            Some(map) => map.back(&line),
            None => line,
        }
    }

    fn line(&self, stream: Stream, line: String) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            None => {
                drop(held);
                self.sink.line(&self.session, stream, &line);
            }
            Some(lines) => {
                lines.push((stream, line));
                if lines.len() >= HELD_LINES {
                    self.open_locked(&mut held);
                }
            }
        }
    }
}

/// Hands the lines of one stream on.
pub(super) struct Copier {
    pub(super) stream: Stream,
    pub(super) said: LastLines,
    pub(super) outlet: Arc<Outlet>,
}

impl Copier {
    pub(super) async fn run(self, pipe: impl AsyncRead + Unpin) {
        let mut lines = Lines::new(pipe, MAX_LINE);
        let mut uncaught = (self.stream == Stream::Stderr).then(Uncaught::default);
        while let Ok(Some(line)) = lines.next().await {
            let heard = match &mut uncaught {
                Some(uncaught) => uncaught.hear(line),
                None => Heard::Line(line),
            };
            let line = match heard {
                Heard::Nothing => continue,
                Heard::Error(line) => self.outlet.back(line),
                Heard::Line(line) => {
                    let line = self.outlet.back(line);
                    if uncaught.is_some() {
                        self.said.push(&line);
                    }
                    line
                }
            };
            self.outlet.line(self.stream, line);
            self.outlet.sink.room(&self.outlet.session).await;
        }
    }
}
