//! Calls.

use super::payload::Payload;
use super::target::{Target, patch_target, target};
use crate::wire::frame::{Frame, FrameError, Struct};

const ALLOW_THIRD_PARTY_TAIL_CALL: u64 = 1;
const ONLY_PROMISE_PIPELINE: u64 = 1 << 2;

/// A Call.
#[derive(Debug, Clone)]
pub struct Call {
    body: Struct,
    target_at: Struct,
    /// The question that it asks, as its sender numbers it.
    pub question: u32,
    /// Type id of the interface.
    pub interface: u64,
    /// Ordinal of the method.
    pub method: u16,
    /// 0 caller, 1 yourself, 2 a third party.
    pub results_to: u16,
    /// No Return will come: only calls on the answer do.
    pub only_promise_pipeline: bool,
    /// Whom it is for.
    pub target: Target,
    /// Its parameters.
    pub payload: Payload,
}

impl Call {
    /// Reads the parts that carry ids.
    ///
    /// # Errors
    /// They leave the frame, or are of the wrong kind.
    pub fn parse(frame: &mut Frame, body: Struct) -> Result<Self, FrameError> {
        let (first, last) = (frame.data(&body, 0), frame.data(&body, 2));
        let (target_at, target) = target(frame, &body)?;
        let at = frame.child(&body, 1)?;
        Ok(Call {
            question: first as u32,
            method: (first >> 32) as u16,
            results_to: (first >> 48) as u16,
            interface: frame.data(&body, 1),
            only_promise_pipeline: last & ONLY_PROMISE_PIPELINE != 0,
            payload: Payload::parse(frame, at)?,
            target_at,
            target,
            body,
        })
    }

    /// Writes the ids of the connection on which the frame leaves. Results always come back to us, and a tail
    /// call by a third party is never allowed.
    pub fn patch(&mut self, frame: &mut Frame, question: u32, target: &Target) {
        if self.body.data < 1 || self.body.ptrs < 1 {
            self.body = frame.lengthen(self.body, 3, 3);
            self.target_at = self.target_at.moved(self.body, 0);
            self.payload.at = self.payload.at.moved(self.body, 1);
        }
        let first = u64::from(question) | u64::from(self.method) << 32;
        frame.set_word(self.body.pos, first);
        if self.body.data > 2 {
            let last = frame.word(self.body.pos + 2);
            // A redirected call is answered like any other, so that its result can be taken.
            let redirected = if self.results_to == 1 { ONLY_PROMISE_PIPELINE } else { 0 };
            frame.set_word(self.body.pos + 2, last & !(ALLOW_THIRD_PARTY_TAIL_CALL | redirected));
        }
        patch_target(frame, self.target_at, &self.target, target);
    }
}
