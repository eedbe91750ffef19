//! The WebSocket protocol's frames (RFC 6455) as a server sees them: masked ones come, bare ones go. No extensions.

use bytes::{Buf, Bytes, BytesMut};

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// Longest content of a control frame.
const CONTROL_MOST: usize = 125;

/// Longest message. One more would not fit into a Cap'n Proto message that a workerd takes.
pub const MOST: usize = (64 << 20) - (4 << 10);

/// What has come, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
    /// The last frame of its direction; without a status, the code is 1005.
    Close(u16, String),
    /// Wants the same bytes back in a pong.
    Ping(Bytes),
    /// The answer to a ping.
    Pong(Bytes),
}

/// Why a stream of bytes is not one of frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Its sender broke the protocol.
    #[error("the WebSocket peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// A message is too long to be taken.
    #[error("a WebSocket message of more than {MOST} bytes")]
    TooLong,
}

/// Turns bytes into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: BytesMut,
    /// The beginning of a message that comes in pieces.
    pieces: Option<(u8, BytesMut)>,
    closed: bool,
}

struct Head {
    fin: bool,
    opcode: u8,
    length: usize,
    /// Bytes of the head without the mask.
    size: usize,
}

impl Decoder {
    /// Takes more bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message or control frame, if it is whole.
    ///
    /// # Errors
    /// The peer broke the protocol. Nothing can be read from it any more.
    pub fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            let Some((head, content)) = self.frame()? else { return Ok(None) };
            if self.closed {
                return Err(FrameError::Protocol("a frame after the close frame"));
            }
            match head.opcode {
                CLOSE => {
                    self.closed = true;
                    return close(&content).map(Some);
                }
                PING => return Ok(Some(Frame::Ping(content.freeze()))),
                PONG => return Ok(Some(Frame::Pong(content.freeze()))),
                CONTINUATION | TEXT | BINARY => {
                    if let Some((opcode, whole)) = self.piece(&head, content)? {
                        return message(opcode, whole).map(Some);
                    }
                }
                _ => return Err(FrameError::Protocol("an unknown kind of frame")),
            }
        }
    }

    /// One frame, unmasked.
    fn frame(&mut self) -> Result<Option<(Head, BytesMut)>, FrameError> {
        let Some(head) = self.head()? else { return Ok(None) };
        let pieces = self.pieces.as_ref().map_or(0, |(_, pieces)| pieces.len());
        if head.length > MOST - pieces.min(MOST) {
            return Err(FrameError::TooLong);
        }
        let whole = head.size + 4 + head.length;
        if self.bytes.len() < whole {
            return Ok(None);
        }
        let mut frame = self.bytes.split_to(whole);
        frame.advance(head.size);
        let mask = frame.split_to(4);
        for (byte, key) in frame.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
        Ok(Some((head, frame)))
    }

    fn head(&self) -> Result<Option<Head>, FrameError> {
        let [first, second, ..] = self.bytes[..] else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err(FrameError::Protocol("an extension that was not agreed on"));
        }
        if second & MASKED == 0 {
            return Err(FrameError::Protocol("a frame without a mask"));
        }
        let (fin, opcode) = (first & FIN != 0, first & 0x0f);
        let short = usize::from(second & !MASKED);
        if opcode & 8 != 0 && (!fin || short > CONTROL_MOST) {
            return Err(FrameError::Protocol("a control frame that is long or in pieces"));
        }
        let (length, size) = match short {
            126 => match self.bytes.get(2..4).and_then(|length| length.first_chunk()) {
                Some(length) => (usize::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            127 => match self.bytes.get(2..10).and_then(|length| length.first_chunk()) {
                Some(length) => (usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX), 10),
                None => return Ok(None),
            },
            length => (length, 2),
        };
        Ok(Some(Head { fin, opcode, length, size }))
    }

    /// Puts the pieces of a message together.
    fn piece(&mut self, head: &Head, content: BytesMut) -> Result<Option<(u8, BytesMut)>, FrameError> {
        let (opcode, whole) = match (self.pieces.take(), head.opcode) {
            (None, CONTINUATION) => return Err(FrameError::Protocol("a piece of no message")),
            (None, opcode) => (opcode, content),
            (Some((opcode, mut pieces)), CONTINUATION) => {
                pieces.extend_from_slice(&content);
                (opcode, pieces)
            }
            (Some(_), _) => return Err(FrameError::Protocol("a message within another")),
        };
        if head.fin {
            return Ok(Some((opcode, whole)));
        }
        self.pieces = Some((opcode, whole));
        Ok(None)
    }
}

fn message(opcode: u8, content: BytesMut) -> Result<Frame, FrameError> {
    if opcode == BINARY {
        return Ok(Frame::Binary(content.freeze()));
    }
    String::from_utf8(content.into())
        .map(Frame::Text)
        .map_err(|_| FrameError::Protocol("a text that is not UTF-8"))
}

fn close(content: &[u8]) -> Result<Frame, FrameError> {
    let Some((code, reason)) = content.split_first_chunk() else {
        return match content.is_empty() {
            true => Ok(Frame::Close(1005, String::new())),
            false => Err(FrameError::Protocol("half a status")),
        };
    };
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Frame::Close(u16::from_be_bytes(*code), reason.to_owned())),
        Err(_) => Err(FrameError::Protocol("a reason that is not UTF-8")),
    }
}

/// Writes a text message.
pub fn text(out: &mut Vec<u8>, text: &str) {
    frame(out, TEXT, text.as_bytes());
}

/// Writes a binary message.
pub fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    frame(out, BINARY, bytes);
}

/// Writes the last frame. 1005 stands for no status. A reason is cut to what a frame holds.
pub fn write_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    if code == 1005 {
        return frame(out, CLOSE, &[]);
    }
    let end = (0..=reason.len().min(CONTROL_MOST - 2)).rev().find(|end| reason.is_char_boundary(*end));
    let mut content = code.to_be_bytes().to_vec();
    content.extend_from_slice(reason.get(..end.unwrap_or(0)).unwrap_or_default().as_bytes());
    frame(out, CLOSE, &content);
}

/// Writes the answer to a ping.
pub fn pong(out: &mut Vec<u8>, content: &[u8]) {
    frame(out, PONG, content);
}

fn frame(out: &mut Vec<u8>, opcode: u8, content: &[u8]) {
    out.push(FIN | opcode);
    match content.len() {
        short @ 0..=125 => out.push(short as u8),
        middle @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, content: &[u8]) -> Vec<u8> {
        let mut bare = Vec::new();
        frame(&mut bare, first & 0x0f, content);
        let head = bare.len() - content.len();
        let mask = [1, 2, 3, 4];
        let mut out = vec![first, bare[1] | MASKED];
        out.extend_from_slice(&bare[2..head]);
        out.extend_from_slice(&mask);
        out.extend(content.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        out
    }

    /// Fed byte by byte, and all at once.
    fn decode(bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
        let run = |step: usize| {
            let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
            for bytes in bytes.chunks(step) {
                decoder.feed(bytes);
                while let Some(frame) = decoder.take()? {
                    frames.push(frame);
                }
            }
            Ok(frames)
        };
        let whole = run(bytes.len().max(1));
        assert_eq!(run(1), whole);
        whole
    }

    #[test]
    fn messages_come_whole() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let content = vec![7; length];
            assert_eq!(decode(&masked(FIN | BINARY, &content)), Ok(vec![Frame::Binary(content.into())]));
        }
        let pieces =
            [masked(TEXT, "gr\u{fc}".as_bytes()), masked(FIN | PING, b"?"), masked(FIN, b"n")].concat();
        assert_eq!(
            decode(&pieces),
            Ok(vec![Frame::Ping(Bytes::from_static(b"?")), Frame::Text("gr\u{fc}n".into())])
        );
        assert_eq!(decode(&masked(FIN | CLOSE, b"")), Ok(vec![Frame::Close(1005, String::new())]));
        assert_eq!(decode(&masked(FIN | CLOSE, b"\x0f\xa0bye")), Ok(vec![Frame::Close(4000, "bye".into())]));
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        let close = masked(FIN | CLOSE, b"");
        let cases: [(Vec<u8>, &str); 10] = [
            (masked(FIN | TEXT, b"\xff"), "UTF-8"),
            (masked(FIN, b"x"), "piece of no message"),
            ([masked(TEXT, b"a"), masked(FIN | TEXT, b"b")].concat(), "within another"),
            (masked(PING, b""), "in pieces"),
            (masked(FIN | PING, &[0; 126]), "long"),
            (masked(FIN | 0x40 | TEXT, b""), "extension"),
            (vec![FIN | TEXT, 0], "without a mask"),
            (masked(FIN | 3, b""), "unknown"),
            (masked(FIN | CLOSE, b"\x03"), "half a status"),
            ([close, masked(FIN | TEXT, b"")].concat(), "after the close"),
        ];
        for (bytes, expected) in cases {
            let error = decode(&bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let mut long = vec![FIN | BINARY, MASKED | 127];
        long.extend_from_slice(&u64::MAX.to_be_bytes());
        assert_eq!(decode(&long), Err(FrameError::TooLong));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        write_close(&mut out, 1000, &"\u{fc}".repeat(100));
        assert_eq!((out[1], out.len()), (124, 126));
        out.clear();
        write_close(&mut out, 1005, "never sent");
        assert_eq!(out, [FIN | CLOSE, 0]);
    }
}
