//! Whom a message is for.

use smallvec::SmallVec;

use crate::wire::frame::{Frame, FrameError, MAX_TRANSFORM, Struct};

/// A path of pointer fields, from an answer's content to a capability in it. No-ops are left out.
pub type Transform = SmallVec<[u16; 4]>;

/// Whom a Call, or a Disembargo, is for: as its sender numbers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A capability that the receiver exported.
    Import(u32),
    /// A capability in the answer to a question of the sender, there or still to come.
    Answer {
        /// The question, as its asker numbers it.
        question: u32,
        /// Where the capability is in the answer.
        path: Transform,
    },
}

pub(super) fn target(frame: &mut Frame, body: &Struct) -> Result<(Struct, Target), FrameError> {
    let at = frame.child(body, 0)?;
    let word = frame.data(&at, 0);
    match (word >> 32) as u16 {
        0 => Ok((at, Target::Import(word as u32))),
        1 => {
            let (question, path) = promised_answer(frame, &at)?;
            Ok((at, Target::Answer { question, path }))
        }
        _ => Err(FrameError::UnknownKind(at.pos)),
    }
}

pub(super) fn promised_answer(frame: &mut Frame, parent: &Struct) -> Result<(u32, Transform), FrameError> {
    let answer = frame.child(parent, 0)?;
    let question = frame.data(&answer, 0) as u32;
    let mut path = Transform::new();
    if let Some(ops) = frame.structs(&answer, 0, MAX_TRANSFORM)? {
        for index in 0..ops.len {
            let op = frame.data(&ops.at(index), 0);
            match op as u16 {
                0 => {}
                1 => path.push((op >> 16) as u16),
                _ => return Err(FrameError::UnknownKind(ops.at(index).pos)),
            }
        }
    }
    Ok((question, path))
}

pub(super) fn patch_target(frame: &mut Frame, at: Struct, old: &Target, new: &Target) {
    match new {
        Target::Import(id) => {
            let at = frame.lengthen(at, 1, 0);
            frame.set_word(at.pos, u64::from(*id));
            // The path of the old target may not stay: it names a question of another connection.
            if let Some(ptr) = at.pointer(0) {
                frame.set_word(ptr, 0);
            }
        }
        Target::Answer { question, path } => {
            let at = frame.lengthen(at, 1, 1);
            frame.set_word(at.pos, 1 << 32);
            let same = matches!(old, Target::Answer { path: old, .. } if old == path);
            patch_promised_answer(frame, at, same, *question, path);
        }
    }
}

/// Writes a PromisedAnswer behind pointer 0 of `parent`; `same` if one with the same path is there.
pub(super) fn patch_promised_answer(
    frame: &mut Frame,
    parent: Struct,
    same: bool,
    question: u32,
    path: &[u16],
) {
    if same
        && let Ok(answer) = frame.child(&parent, 0)
        && answer.data > 0
    {
        frame.set_word(answer.pos, u64::from(question));
        return;
    }
    let Some(ptr) = parent.pointer(0) else { return };
    let answer = frame.append(ptr, 1, 1);
    frame.set_word(answer.pos, u64::from(question));
    if let Some(ptr) = answer.pointer(0)
        && !path.is_empty()
    {
        let ops = frame.append_list(ptr, path.len() as u32, 1, 0);
        for (index, field) in path.iter().enumerate() {
            frame.set_word(ops.at(index as u32).pos, 1 | u64::from(*field) << 16);
        }
    }
}
