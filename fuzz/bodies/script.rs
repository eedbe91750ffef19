//! Choices that are read from bytes. Past their end every choice is the first.

pub struct Script<'a> {
    rest: &'a [u8],
}

// Each target takes of it what it needs.
#[allow(dead_code)]
impl<'a> Script<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Script { rest }
    }

    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// One of `count` choices, at most 256.
    pub fn pick(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    pub fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// An id: mostly a small one, that may be in use.
    pub fn id(&mut self) -> u32 {
        match self.byte() {
            byte @ 0..=219 => u32::from(byte % 8),
            byte @ 220..=244 => 1 << 31 | u32::from(byte % 4),
            245..=249 => u32::MAX,
            _ => self.word() as u32,
        }
    }

    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        head
    }
}
