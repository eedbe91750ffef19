//! What becomes of calls and of promises.

use super::payload::{Descriptor, Payload, descriptor};
use crate::wire::frame::{Frame, FrameError, Struct};

/// Data word 0 of Return: `releaseParamCaps` is false.
pub const KEEP_PARAM_CAPS: u64 = 1 << 32;
/// Data word 0 of Return: `noFinishNeeded`.
const NO_FINISH_NEEDED: u64 = 1 << 33;
/// What a Return brings.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The call succeeded.
    Results(Payload),
    /// The call failed; the exception stays in the frame.
    Exception,
    /// The caller sent Finish before there was an answer.
    Canceled,
    /// The answer went where the caller asked to have it.
    ResultsSentElsewhere,
    /// The answer is the one to that question of the returning side.
    TakeFromOtherQuestion(u32),
    /// A third party has the answer: level 3.
    AwaitFromThirdParty,
}

/// A Return.
#[derive(Debug, Clone)]
pub struct Return {
    body: Struct,
    /// The question, as its asker numbers it.
    pub answer: u32,
    /// Whether the capabilities in the parameters are released with it.
    pub release_param_caps: bool,
    /// Whether no Finish is wanted.
    pub no_finish_needed: bool,
    /// What it brings.
    pub outcome: Outcome,
}

impl Return {
    /// Reads the parts that carry ids.
    ///
    /// # Errors
    /// They leave the frame, or are of a kind that nobody knows.
    pub fn parse(frame: &mut Frame, body: Struct) -> Result<Self, FrameError> {
        let word = frame.data(&body, 0);
        let outcome = match (word >> 48) as u16 {
            0 => {
                let at = frame.child(&body, 0)?;
                Outcome::Results(Payload::parse(frame, at)?)
            }
            1 => Outcome::Exception,
            2 => Outcome::Canceled,
            3 => Outcome::ResultsSentElsewhere,
            4 => Outcome::TakeFromOtherQuestion(frame.data(&body, 1) as u32),
            5 => Outcome::AwaitFromThirdParty,
            _ => return Err(FrameError::UnknownKind(body.pos)),
        };
        Ok(Return {
            body,
            answer: word as u32,
            release_param_caps: word & KEEP_PARAM_CAPS == 0,
            no_finish_needed: word & NO_FINISH_NEEDED != 0,
            outcome,
        })
    }

    /// Writes the id of the connection on which the frame leaves. Capabilities of the parameters are always
    /// released by Release alone, since others than the returning side may still hold them.
    pub fn patch(&mut self, frame: &mut Frame, answer: u32) {
        if self.body.data < 1 {
            self.body = frame.lengthen(self.body, 2, 1);
            if let Outcome::Results(payload) = &mut self.outcome {
                payload.at = payload.at.moved(self.body, 0);
            }
        }
        let word = frame.word(self.body.pos);
        frame.set_word(self.body.pos, word & !0xffff_ffff | KEEP_PARAM_CAPS | u64::from(answer));
    }

    /// Sets or clears `noFinishNeeded` in a patched Return.
    pub fn set_no_finish_needed(&mut self, frame: &mut Frame, on: bool) {
        let word = frame.word(self.body.pos);
        let bit = if on { NO_FINISH_NEEDED } else { 0 };
        frame.set_word(self.body.pos, word & !NO_FINISH_NEEDED | bit);
        self.no_finish_needed = on;
    }
}

/// A Resolve.
#[derive(Debug, Clone)]
pub struct Resolve {
    body: Struct,
    /// The promise, as its exporter numbers it.
    pub promise: u32,
    /// The capability that it became; `None` for an exception, which stays in the frame.
    pub cap: Option<Descriptor>,
}

impl Resolve {
    /// Reads the parts that carry ids.
    ///
    /// # Errors
    /// They leave the frame, or are of a kind that nobody knows.
    pub fn parse(frame: &mut Frame, body: Struct) -> Result<Self, FrameError> {
        let word = frame.data(&body, 0);
        let cap = match (word >> 32) as u16 {
            0 => {
                let at = frame.child(&body, 0)?;
                Some(descriptor(frame, &at)?)
            }
            1 => None,
            _ => return Err(FrameError::UnknownKind(body.pos)),
        };
        Ok(Resolve { body, promise: word as u32, cap })
    }

    /// Writes the id of the connection on which a Resolve with an exception leaves.
    pub fn patch_exception(&self, frame: &mut Frame, promise: u32) {
        let body = frame.lengthen(self.body, 1, 1);
        frame.set_word(body.pos, u64::from(promise) | 1 << 32);
    }
}
