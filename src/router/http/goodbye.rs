//! Whether a side of a WebSocket has said goodbye: without that, a socket that closes is one whose process ended.

/// A close frame has this opcode.
const CLOSE: u8 = 8;
/// The longest head of a frame: two bytes, a length of eight, a mask of four.
const LONGEST_HEAD: usize = 14;

/// Follows the frames of one direction. Payloads are passed over; nothing is kept of them.
#[derive(Debug, Default)]
pub(super) struct Goodbye {
    head: [u8; LONGEST_HEAD],
    /// Bytes of `head` that are there.
    filled: usize,
    /// Bytes of the payload that are still to come.
    payload: u64,
    said: bool,
}

impl Goodbye {
    /// Whether it has been said so far.
    pub(super) fn was_said(&self) -> bool {
        self.said
    }

    /// The next bytes of the direction.
    pub(super) fn see(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.said {
            if self.payload > 0 {
                let skipped = usize::try_from(self.payload).unwrap_or(usize::MAX).min(rest.len());
                self.payload -= skipped as u64;
                rest = rest.get(skipped..).unwrap_or_default();
                continue;
            }
            let Some((byte, tail)) = rest.split_first() else { return };
            rest = tail;
            self.put(*byte);
        }
    }

    fn put(&mut self, byte: u8) {
        if let Some(slot) = self.head.get_mut(self.filled) {
            *slot = byte;
            self.filled += 1;
        }
        let [first, second, length @ ..] = &self.head;
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = if second & 0x80 == 0 { 0 } else { 4 };
        if self.filled < 2 || self.filled < 2 + extended + masked {
            return;
        }
        self.said = first & 0x0f == CLOSE;
        self.payload = match extended {
            0 => u64::from(second & 0x7f),
            // The first bytes of the length, most significant first.
            bytes => length.iter().take(bytes).fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_is_seen_behind_any_others_however_they_are_cut() {
        let long = [&[0x82, 126, 1, 44][..], &[0x88; 300]].concat();
        let longer = [&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4][..], &[0x88; 65536]].concat();
        let stream = [&long[..], &[0x81, 0], &longer, &[0x89, 2, 0x88, 0x88]].concat();
        for size in [1, 3, 100, 1 << 20] {
            let mut goodbye = Goodbye::default();
            stream.chunks(size).for_each(|part| goodbye.see(part));
            assert!(!goodbye.was_said());
            [0x88, 0x82, 9, 9, 9, 9].chunks(size).for_each(|part| goodbye.see(part));
            assert!(goodbye.was_said());
        }
    }
}
