use std::cell::RefCell;
use std::sync::Arc;

use crate::rpc::Budget;

/// What one read takes at most while no long frame is under way: 64 KiB is what workerd writes at once.
const BASE: usize = 64 << 10;

/// Capacity that is kept between frames. A stream's frames are 64 KiB and a header, and would each grow the buffer and
/// shrink it again if it fell back to the base.
const KEPT: usize = 2 * BASE;

/// Empty buffers that a thread keeps for the next connection that can be read. The two ends of a call take turns, and so
/// share one that is still in the processor's cache; connections that wait hold none.
const SPARES: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read and not yet switched. Grows with the bytes that arrive, never with the length that a frame
/// claims; what it takes beyond its base comes out of the process's budget.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    budget: Arc<Budget>,
    /// What was taken out of the budget, and goes back there.
    charged: usize,
}

impl Buffer {
    pub fn new(budget: Arc<Budget>) -> Self {
        Buffer { bytes: Vec::new(), start: 0, end: 0, budget, charged: 0 }
    }

    /// Moves what is there out.
    pub fn take(&mut self) -> Self {
        let empty = Buffer::new(self.budget.clone());
        std::mem::replace(self, empty)
    }

    /// Nothing can be read for a while.
    pub fn rest(&mut self) {
        if self.is_empty() && self.bytes.len() == BASE {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < SPARES {
                    spare.push(std::mem::take(&mut self.bytes));
                }
            });
        }
    }

    /// Bytes that came behind something else that was read on the same socket. Nothing was read here yet; whoever
    /// read them bounded them.
    pub fn fill(&mut self, bytes: &[u8]) {
        self.bytes.truncate(self.end);
        self.bytes.extend_from_slice(bytes);
        self.end = self.bytes.len();
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// What is there.
    pub fn filled(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Takes `len` bytes off the front.
    pub fn consume(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.bytes.len() > KEPT {
                self.budget.give(std::mem::take(&mut self.charged));
                self.bytes = vec![0; BASE];
            }
        }
    }

    /// Room to read into; `None` if the process may not hold more.
    pub fn room(&mut self) -> Option<&mut [u8]> {
        if self.start > 0 && self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.is_empty()
            && let Some(spare) = SPARE.with_borrow_mut(Vec::pop)
        {
            self.bytes = spare;
        }
        let now = self.bytes.len();
        if self.end == now || now < BASE {
            let grown = if now < BASE { BASE } else { 2 * now };
            let more = grown.saturating_sub(now.max(BASE));
            if more > 0 && !self.budget.take(more) {
                return None;
            }
            self.charged += more;
            self.bytes.resize(grown, 0);
        }
        self.bytes.get_mut(self.end..)
    }

    /// `len` bytes were read into the room.
    pub fn advance(&mut self, len: usize) {
        self.end = (self.end + len).min(self.bytes.len());
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.budget.give(self.charged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_took_of_the_budget_comes_back_whatever_was_there_first() {
        for first in [0, 24, BASE, BASE + 1, 5 * BASE] {
            let budget = Budget::new(64 * BASE);
            let mut buffer = Buffer::new(budget.clone());
            buffer.fill(&vec![7; first]);
            buffer.consume(first);
            for _ in 0..4 {
                let room = buffer.room().unwrap().len();
                assert!(room >= BASE, "no small reads after {first} bytes");
                buffer.advance(room);
            }
            assert!(budget.used() > 0);
            buffer.consume(usize::MAX / 2);
            assert_eq!(budget.used(), 0, "after {first} bytes");
            drop(buffer);
            assert_eq!(budget.used(), 0, "after {first} bytes");
        }
    }
}
