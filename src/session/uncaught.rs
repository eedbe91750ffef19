//! Errors that a worker throws and does not catch, out of what workerd logs when it is verbose.
//!
//! workerd tells of one error up to three times, and only the first time with its stack. After a place in workerd's own
//! source come `info: uncaught exception; source = Uncaught (in promise); stack = RangeError: too far` and the lines of
//! the stack; then `info: uncaught exception; exception = PLACE: failed: jsg.RangeError: too far` and a line of
//! addresses; and where the error reaches an HTTP socket `error: Uncaught exception: PLACE: failed:
//! remote.jsg.RangeError: too far`. The first is shown, the others only where there was none before them.
//!
//! What a worker writes by `console.error` comes in between, on the same stream. So the lines of a record that go
//! beyond its first are not guessed: a record that repeats an error is followed by the lines of that error, and only
//! these are dropped.

mod record;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use super::output::MAX_LINE;
use record::{Record, is_addresses, is_by_script, message, record, thrown};

/// Errors that are told and may come again. They come again at once, unless requests fail side by side, and the oldest
/// are forgotten: then an error is told twice.
const TOLD: usize = 32;
/// Lines of one error's message that are known again.
const MESSAGE_LINES: usize = 16;
/// So much of a message's first line tells it from others. A longer one may be cut into pieces, elsewhere each time.
const HEAD: usize = 1 << 10;
/// How V8 begins the lines below a message.
const FRAME: &str = "    at ";

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is shown as it is.
    Line(String),
    /// It is shown, and does not say why a process ends: errors of requests are no reason.
    Error(String),
    /// It says nothing to the author of a worker.
    Nothing,
}

/// Takes the lines of one process's standard error.
#[derive(Debug, Default)]
pub(super) struct Uncaught {
    told: VecDeque<Told>,
    now: Now,
    /// The line goes on in the next piece, which is shown or not as this one.
    cut: Option<bool>,
    hasher: RandomState,
}

/// What the lines below a record's first are.
#[derive(Debug, Default)]
enum Now {
    /// No part of it.
    #[default]
    Plain,
    /// The rest of the message that was told last, and perhaps the addresses that end it.
    Message { addresses: bool },
    /// Its stack.
    Frames,
    /// The rest of a message that was told before, by their hashes, and perhaps addresses or so many lines of its
    /// stack.
    Again { rest: std::vec::IntoIter<u64>, frames: usize },
}

#[derive(Debug)]
struct Told {
    /// The message, without the name of the error.
    head: String,
    /// Whether the head is all of the message's first line.
    whole: bool,
    /// Its other lines, by their hashes.
    rest: Vec<u64>,
    /// Lines of its stack.
    frames: usize,
    /// Its `exception` has been seen.
    repeated: bool,
}

impl Told {
    fn is_in(&self, text: &str) -> bool {
        !self.head.is_empty()
            && if self.whole { text.ends_with(&self.head) } else { text.contains(&self.head) }
    }
}

impl Uncaught {
    /// The next line.
    pub(super) fn hear(&mut self, line: String) -> Heard {
        let goes_on = line.len() >= MAX_LINE;
        let heard = match self.cut {
            Some(true) => Heard::Line(line),
            Some(false) => Heard::Nothing,
            None => match record(&line) {
                Some(record) => self.record(record).unwrap_or(Heard::Line(line)),
                None => self.below(line),
            },
        };
        self.cut = goes_on.then_some(heard != Heard::Nothing);
        heard
    }

    /// `None`: it is shown as it is.
    fn record(&mut self, record: Record) -> Option<Heard> {
        // Addresses may stand below, whatever it is.
        self.now = Now::Again { rest: Vec::new().into_iter(), frames: 0 };
        match record {
            Record::Thrown { text, repeated } => Some(self.tell(text, repeated, false)),
            Record::Failed(text) => {
                let known = self.again(text, true);
                Some(if known { Heard::Nothing } else { self.tell(text, true, false) })
            }
            Record::Repeated(text) => {
                if self.again(text, false) {
                    return Some(Heard::Nothing);
                }
                let by_script = thrown(text).filter(|_| is_by_script(text));
                Some(by_script.map_or(Heard::Nothing, |text| self.tell(text, true, true)))
            }
            Record::Answered(text) => {
                let known = self.told.iter().position(|told| told.repeated && told.is_in(text));
                if let Some(told) = known.and_then(|index| self.told.remove(index)) {
                    self.now = Now::Again { rest: told.rest.into_iter(), frames: 0 };
                    return Some(Heard::Nothing);
                }
                let told = thrown(text).map(|text| Heard::Error(format!("Uncaught {text}")));
                if told.is_none() {
                    self.now = Now::Plain;
                }
                told
            }
            Record::Other(text) => {
                if let Some(told) = self.told.iter().rev().find(|told| told.is_in(text)) {
                    self.now = Now::Again { rest: told.rest.clone().into_iter(), frames: 0 };
                }
                Some(Heard::Nothing)
            }
        }
    }

    /// Whether it was told and not repeated yet: then the lines below are those of that error, its stack too if there
    /// are `frames`.
    fn again(&mut self, text: &str, frames: bool) -> bool {
        let known = self.told.iter().rposition(|told| !told.repeated && told.is_in(text));
        let Some(told) = known.and_then(|index| self.told.get_mut(index)) else { return false };
        told.repeated = true;
        let frames = if frames { told.frames } else { 0 };
        self.now = Now::Again { rest: told.rest.clone().into_iter(), frames };
        // Those before were caught by whoever called, and thrown on.
        self.told.retain(|told| told.repeated || !told.is_in(text));
        true
    }

    fn tell(&mut self, text: &str, repeated: bool, addresses: bool) -> Heard {
        if self.told.len() == TOLD {
            self.told.pop_front();
        }
        let message = message(text);
        let end = (0..=HEAD.min(message.len())).rev().find(|end| message.is_char_boundary(*end));
        let head = message.get(..end.unwrap_or_default()).unwrap_or_default().to_owned();
        self.told.push_back(Told {
            whole: head.len() == message.len(),
            head,
            rest: Vec::new(),
            frames: 0,
            repeated,
        });
        self.now = Now::Message { addresses };
        Heard::Error(format!("Uncaught {text}"))
    }

    /// A line that begins no record.
    fn below(&mut self, line: String) -> Heard {
        match &mut self.now {
            Now::Plain => Heard::Line(line),
            Now::Message { .. } | Now::Frames if line.starts_with(FRAME) => {
                self.now = Now::Frames;
                if let Some(told) = self.told.back_mut() {
                    told.frames += 1;
                }
                Heard::Error(line)
            }
            Now::Frames => {
                self.now = Now::Plain;
                Heard::Line(line)
            }
            Now::Message { addresses: true } if is_addresses(&line) => {
                self.now = Now::Plain;
                Heard::Nothing
            }
            Now::Message { .. } => {
                match self.told.back_mut().filter(|told| told.rest.len() < MESSAGE_LINES) {
                    Some(told) => told.rest.push(self.hasher.hash_one(line.as_str())),
                    None => self.now = Now::Plain,
                }
                Heard::Line(line)
            }
            Now::Again { frames, .. } if *frames > 0 && line.starts_with(FRAME) => {
                *frames -= 1;
                Heard::Nothing
            }
            Now::Again { rest, .. } => {
                let next = rest.next();
                let is = |text: &str| next == Some(self.hasher.hash_one(text));
                // What is told besides a message comes behind it.
                if is(&line) || next.is_some() && line.rsplit_once("; ").is_some_and(|(text, _)| is(text)) {
                    return Heard::Nothing;
                }
                self.now = Now::Plain;
                if is_addresses(&line) { Heard::Nothing } else { Heard::Line(line) }
            }
        }
    }
}
