//! Lines of bounded length from a child's pipe.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// What one read may take at most: a pipe's buffer on Linux.
const CHUNK: usize = 64 << 10;

/// Splits what is read into lines. A line longer than the limit comes in pieces, so a child that never ends its line
/// costs no more memory than the limit.
pub(super) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    limit: usize,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self { reader, buffer: Vec::new(), limit, ended: false }
    }

    /// The next line without its end, or `None` after the last.
    ///
    /// # Cancellation
    /// Safe: what was read stays in the buffer.
    pub(super) async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            let mut chunk = (&mut self.reader).take(CHUNK as u64);
            self.ended = chunk.read_buf(&mut self.buffer).await? == 0;
        }
    }

    fn take_line(&mut self) -> Option<String> {
        let window = self.buffer.len().min(self.limit);
        let newline = self.buffer.iter().take(window).position(|&byte| byte == b'\n');
        let (line, rest) = match newline {
            Some(at) => (at, at + 1),
            None if self.buffer.len() >= self.limit => (self.limit, self.limit),
            None if self.ended && !self.buffer.is_empty() => (self.buffer.len(), self.buffer.len()),
            None => return None,
        };
        let mut taken: Vec<u8> = self.buffer.drain(..rest).collect();
        taken.truncate(line);
        if taken.last() == Some(&b'\r') {
            taken.pop();
        }
        Some(String::from_utf8_lossy(&taken).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_split_and_long_ones_cut() {
        let mut lines = Lines::new(&b"one\r\n\ntwelve letters\nlast"[..], 6);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(line);
        }
        assert_eq!(found, ["one", "", "twelve", " lette", "rs", "last"]);
    }
}
