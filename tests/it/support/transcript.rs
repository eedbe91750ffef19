//! What two real workerd processes said to each other on one connection, as a file.
//!
//! A transcript is JSON with a line per frame, so that a change shows in a review: `[">", "…"]` went from the caller to
//! the target, `["<", "…"]` the other way; the text is the frame in hexadecimal, segment table included.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Who sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    FromCaller,
    FromTarget,
}

/// The frames of one connection in the order in which they passed a point between the two.
#[derive(Clone, Debug)]
pub struct Transcript {
    pub name: String,
    pub frames: Vec<(Direction, Vec<u8>)>,
}

impl Transcript {
    /// Where transcripts are checked in.
    pub fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
    }

    /// Every checked-in transcript, by name.
    pub fn all() -> Vec<Self> {
        let entries = std::fs::read_dir(Self::folder()).expect("the folder of transcripts");
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        files.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a readable transcript");
        let lines: Vec<(String, String)> = serde_json::from_str(&text).expect("a list of pairs");
        let frames =
            lines.iter().map(|(mark, frame)| (direction(mark), hex::decode(frame).expect("hexadecimal")));
        let name = path.file_stem().expect("a file name").to_string_lossy().into_owned();
        Self { name, frames: frames.collect() }
    }

    /// Writes the transcript where [`Transcript::all`] finds it.
    pub fn write(&self) {
        let mut text = String::from("[\n");
        for (index, (direction, frame)) in self.frames.iter().enumerate() {
            let mark = if *direction == Direction::FromCaller { ">" } else { "<" };
            let comma = if index + 1 < self.frames.len() { "," } else { "" };
            writeln!(text, "[{}, \"{}\"]{comma}", Value::from(mark), hex::encode(frame))
                .expect("a string grows");
        }
        text.push_str("]\n");
        std::fs::create_dir_all(Self::folder()).expect("the folder of transcripts");
        std::fs::write(Self::folder().join(format!("{}.json", self.name)), text)
            .expect("a transcript is written");
    }
}

fn direction(mark: &str) -> Direction {
    match mark {
        ">" => Direction::FromCaller,
        "<" => Direction::FromTarget,
        other => panic!("{other:?} is no direction"),
    }
}

/// Cuts one direction of a connection into frames. What HTTP says first on a link (the CONNECT and its answer) is left
/// out, and a connection that never becomes Cap'n Proto has no frames.
#[derive(Default)]
pub struct FrameCutter {
    pending: Vec<u8>,
    kind: Kind,
}

#[derive(Default, PartialEq)]
enum Kind {
    #[default]
    Unknown,
    Frames,
    Http,
}

impl FrameCutter {
    /// Takes bytes as they came, gives the frames that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        if self.kind == Kind::Http {
            return Vec::new();
        }
        self.pending.extend_from_slice(bytes);
        if self.kind == Kind::Unknown && !self.decide() {
            return Vec::new();
        }
        let mut frames = Vec::new();
        while let Some(length) = frame_length(&self.pending).filter(|length| *length <= self.pending.len()) {
            frames.push(self.pending.drain(..length).collect());
        }
        frames
    }

    /// A frame starts with a count of segments, and none of ours has as many as the letters of HTTP would say.
    fn decide(&mut self) -> bool {
        if self.pending.len() < 4 {
            return false;
        }
        let preludes: [&[u8]; 2] = [b"CONNECT link HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n\r\n"];
        if self.pending[3] == 0 {
            self.kind = Kind::Frames;
        } else if preludes.iter().any(|prelude| self.pending.starts_with(prelude)) {
            let Some(end) = self.pending.windows(4).position(|window| window == b"\r\n\r\n") else {
                return false;
            };
            self.pending.drain(..end + 4);
            self.kind = Kind::Frames;
        } else if self.pending.len() >= 23 {
            self.kind = Kind::Http;
        }
        self.kind == Kind::Frames
    }
}

/// The length of the frame that starts here, once its segment table is there.
pub fn frame_length(bytes: &[u8]) -> Option<usize> {
    let word = |index: usize| -> Option<usize> {
        let bytes = bytes.get(index * 4..index * 4 + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let segments = word(0)? + 1;
    let table = (segments / 2 + 1) * 8;
    let words = (1..=segments).map(word).sum::<Option<usize>>()?;
    Some(table + words * 8)
}
