//! What sessions write, line by line.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncRead;

use super::lines::Lines;
use super::name::SessionName;

/// The longest line handed on: `console.log` of a large object comes in pieces.
pub(super) const MAX_LINE: usize = 16 << 10;
/// The last lines of a process that are kept to explain why it ended. A stack trace of workerd's is about ten.
const KEPT_LINES: usize = 20;

/// Which of its two streams a child wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// `console.log` and its kin.
    Stdout,
    /// `console.error`, and what workerd itself says.
    Stderr,
}

/// Takes what sessions write, line by line.
pub trait OutputSink: Send + Sync + 'static {
    /// One line of one session, without its end. It must not block for long: the session waits in its next write.
    fn line(&self, session: &SessionName, stream: Stream, line: &str);
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

    pub(super) fn take(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

/// Hands the lines of one stream on.
pub(super) struct Copier {
    pub(super) session: SessionName,
    pub(super) stream: Stream,
    pub(super) said: LastLines,
    /// `None` for a trial.
    pub(super) sink: Option<Arc<dyn OutputSink>>,
}

impl Copier {
    pub(super) async fn run(self, pipe: impl AsyncRead + Unpin) {
        let mut lines = Lines::new(pipe, MAX_LINE);
        while let Ok(Some(line)) = lines.next().await {
            if self.stream == Stream::Stderr {
                self.said.push(&line);
            }
            if let Some(sink) = &self.sink {
                sink.line(&self.session, self.stream, &line);
            }
        }
    }
}
