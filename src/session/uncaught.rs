//! Errors that a worker throws and does not catch, out of what workerd says of itself when it is verbose.
//!
//! workerd tells of one error up to three times, and only the first time with its stack: `uncaught exception; source =
//! Uncaught (in promise); stack = RangeError: too far` and the lines of the stack; then `uncaught exception; exception =
//! PLACE: failed: jsg.RangeError: too far` and a line of addresses; and where the error reaches an HTTP socket `Uncaught
//! exception: PLACE: failed: remote.jsg.RangeError: too far`. The first is shown, the others only where there was none
//! before them.

mod said;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use super::output::Level;
use said::{Said, is_by_script, message, thrown, without_addresses, without_stack};

/// Errors that are told and may come again. They come again at once, unless requests fail side by side, and the oldest
/// are forgotten: then an error is told twice.
const TOLD: usize = 32;

/// What becomes of what workerd says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// This complaint is shown.
    Complaint(String),
    /// This is shown, and does not say why a process ends: errors of requests are no reason.
    Error(String),
    /// It says nothing to the author of a worker.
    Nothing,
}

/// Hears what one process says of itself.
#[derive(Debug, Default)]
pub(super) struct Uncaught {
    told: VecDeque<Told>,
    /// The last one was a listener's, and may be thrown besides.
    listener: bool,
    hasher: RandomState,
}

/// A message that was told, without the name of the error. It may be long, so it is known by its hash.
#[derive(Debug)]
struct Told {
    length: usize,
    hash: u64,
    /// Its `exception` has been seen.
    repeated: bool,
}

impl Told {
    /// Whether a text ends with it; there may be names before it.
    fn ends(&self, text: &str, hasher: &RandomState) -> bool {
        let end = text.len().checked_sub(self.length).and_then(|at| text.get(at..));
        self.length > 0 && end.is_some_and(|end| hasher.hash_one(end) == self.hash)
    }
}

impl Uncaught {
    /// What it says next.
    pub(super) fn hear(&mut self, level: Level, text: &str) -> Heard {
        let complaint = || Heard::Complaint(without_addresses(text).to_owned());
        match Said::read(level, text) {
            Said::Thrown(text) if self.is_of_listener(text) => Heard::Nothing,
            Said::Thrown(text) => self.tell(text, false),
            Said::Listener(text) => {
                let heard = self.tell(text, true);
                self.listener = true;
                heard
            }
            Said::Failed(text) if self.again(text) => Heard::Nothing,
            Said::Failed(text) => self.tell(text, true),
            Said::Repeated(text) if self.again(text) => Heard::Nothing,
            Said::Repeated(text) => {
                let by_script = thrown(text).filter(|_| is_by_script(text));
                by_script.map_or(Heard::Nothing, |text| self.tell(without_stack(text), true))
            }
            Said::Answered(text) => {
                let whole = without_stack(text);
                let known = |told: &Told| told.repeated && told.ends(whole, &self.hasher);
                if let Some(index) = self.told.iter().position(known) {
                    self.told.remove(index);
                    return Heard::Nothing;
                }
                thrown(whole).map_or_else(complaint, |text| Heard::Error(format!("Uncaught {text}")))
            }
            Said::Bookkeeping => Heard::Nothing,
            Said::Other => complaint(),
        }
    }

    /// Whether a listener has just thrown it. Then it was told.
    fn is_of_listener(&mut self, text: &str) -> bool {
        let (was_listener, whole) = (std::mem::take(&mut self.listener), without_stack(text));
        let Some(last) = self.told.back_mut().filter(|_| was_listener) else { return false };
        let is_it = last.ends(whole, &self.hasher);
        last.repeated &= !is_it;
        is_it
    }

    /// Whether it was told and not repeated yet.
    fn again(&mut self, text: &str) -> bool {
        let (whole, hasher) = (without_stack(text), &self.hasher);
        let known = self.told.iter().rposition(|told| !told.repeated && told.ends(whole, hasher));
        let Some(told) = known.and_then(|index| self.told.get_mut(index)) else { return false };
        told.repeated = true;
        // Those before were caught by whoever called, and thrown on.
        self.told.retain(|told| told.repeated || !told.ends(whole, hasher));
        true
    }

    fn tell(&mut self, text: &str, repeated: bool) -> Heard {
        self.listener = false;
        if self.told.len() == TOLD {
            self.told.pop_front();
        }
        let message = message(without_stack(text));
        self.told.push_back(Told { length: message.len(), hash: self.hasher.hash_one(message), repeated });
        Heard::Error(format!("Uncaught {text}"))
    }
}
