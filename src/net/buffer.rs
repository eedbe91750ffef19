use std::sync::Arc;

use crate::rpc::Budget;

/// What one read takes at most while no long frame is under way: 64 KiB is what workerd writes at once.
const BASE: usize = 64 << 10;

/// Bytes that were read and not yet switched. Grows with the bytes that arrive, never with the length that a frame
/// claims; what it takes beyond its base comes out of the process's budget.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    budget: Arc<Budget>,
}

impl Buffer {
    pub fn new(budget: Arc<Budget>) -> Self {
        Buffer { bytes: Vec::new(), start: 0, end: 0, budget }
    }

    /// Bytes that came behind something else that was read on the same socket.
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
            if self.bytes.len() > BASE {
                self.budget.give(self.bytes.len() - BASE);
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
        if self.end == self.bytes.len() {
            let more = if self.bytes.is_empty() { BASE } else { self.bytes.len() };
            let charged = if self.bytes.is_empty() { 0 } else { more };
            if charged > 0 && !self.budget.take(charged) {
                return None;
            }
            self.bytes.resize(self.bytes.len() + more, 0);
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
        self.budget.give(self.bytes.len().saturating_sub(BASE));
    }
}
