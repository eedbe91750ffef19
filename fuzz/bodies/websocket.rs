//! Any bytes as WebSocket frames, in pieces of any length: nothing panics, pieces change nothing, and what comes out is
//! no longer than what went in.

use jackfield::wire::websocket::{Decoder, Frame, FrameError};

pub fn run(data: &[u8]) {
    let Some((step, bytes)) = data.split_first() else { return };
    let whole = decoded(bytes, bytes.len().max(1));
    let pieces = decoded(bytes, usize::from(*step).max(1));
    assert_eq!(whole, pieces);
    let length: usize = whole.0.iter().map(length).sum();
    assert!(length <= bytes.len());
}

fn decoded(bytes: &[u8], step: usize) -> (Vec<Frame>, Option<FrameError>) {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    for piece in bytes.chunks(step) {
        decoder.feed(piece);
        loop {
            match decoder.take() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fn length(frame: &Frame) -> usize {
    match frame {
        Frame::Text(text) | Frame::Close(_, text) => text.len(),
        Frame::Binary(bytes) | Frame::Ping(bytes) | Frame::Pong(bytes) => bytes.len(),
    }
}

/// Input for [`run`]: frames whose heads are as they should be, of kinds and contents that `noise` chooses.
#[allow(dead_code)]
pub fn some_frames(noise: &[u8]) -> Vec<u8> {
    let mut out = noise.first().copied().map_or_else(Vec::new, |step| vec![step]);
    for choice in noise.chunks(8) {
        let kinds = [0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8a];
        let kind = kinds[usize::from(choice[0]) % kinds.len()];
        out.extend_from_slice(&[kind, 0x80 | (choice.len() - 1) as u8, 1, 2, 3, 4]);
        out.extend_from_slice(&choice[1..]);
    }
    out
}
