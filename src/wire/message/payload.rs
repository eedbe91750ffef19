//! Content, and the capabilities that go with it.

use super::target::{Transform, patch_promised_answer, promised_answer};
use crate::wire::frame::{Frame, FrameError, MAX_CAPS, Paths, Struct, StructList};

/// One entry of a capability table, as its sender numbers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Descriptor {
    /// A null capability.
    None,
    /// The sender's, settled.
    SenderHosted(u32),
    /// The sender's, and a Resolve will say what became of it.
    SenderPromise(u32),
    /// The receiver's own.
    ReceiverHosted(u32),
    /// In the answer to a question of the sender's.
    ReceiverAnswer {
        /// The question, as its asker numbers it.
        question: u32,
        /// Where the capability is in the answer.
        path: Transform,
    },
}

impl Descriptor {
    /// Whether it names what its receiver knows by an id of its own: a capability that came from there.
    pub fn leads_back(&self) -> bool {
        matches!(self, Descriptor::ReceiverHosted(_) | Descriptor::ReceiverAnswer { .. })
    }
}

/// Content and its capability table.
#[derive(Debug, Clone, Copy)]
pub struct Payload {
    pub(super) at: Struct,
    table: Option<StructList>,
}

impl Payload {
    pub(super) fn parse(frame: &mut Frame, at: Struct) -> Result<Self, FrameError> {
        Ok(Payload { at, table: frame.structs(&at, 1, MAX_CAPS)? })
    }

    /// Number of entries of the capability table.
    pub fn len(&self) -> u32 {
        self.table.map_or(0, |table| table.len)
    }

    /// Whether the capability table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entry `index` of the capability table. What a third party hosts is taken as its vine.
    ///
    /// # Errors
    /// It leaves the frame, or is of a kind that nobody knows.
    pub fn descriptor(&self, frame: &mut Frame, index: u32) -> Result<Descriptor, FrameError> {
        match &self.table {
            Some(table) if index < table.len => descriptor(frame, &table.at(index)),
            _ => Ok(Descriptor::None),
        }
    }

    /// Rewrites the capability table; `new` has one entry for each of the old.
    pub fn patch(&self, frame: &mut Frame, new: &[Descriptor]) {
        let Some(mut table) = self.table else { return };
        let answers = |new: &Descriptor| matches!(new, Descriptor::ReceiverAnswer { .. });
        if table.at(0).ptrs == 0
            && new.iter().any(answers)
            && let Some(ptr) = self.at.pointer(1)
        {
            table = frame.append_list(ptr, table.len, 1, 1);
        }
        for (index, new) in new.iter().enumerate().take(table.len as usize) {
            patch_descriptor(frame, table.at(index as u32), new);
        }
    }

    /// The capabilities in the content that calls can be pipelined on: path, and index in the capability table.
    pub fn capabilities(&self, frame: &mut Frame) -> Paths {
        frame.capabilities(&self.at, 0)
    }

    /// Index in the capability table of the capability at `path` in the content.
    pub fn capability(&self, frame: &mut Frame, path: &[u16]) -> Option<u32> {
        frame.capability(&self.at, 0, path)
    }
}

impl Struct {
    /// The same struct, when the one that points to it has moved.
    pub(super) fn moved(self, parent: Struct, index: u16) -> Struct {
        match parent.pointer(index) {
            Some(ptr) => Struct { ptr, ptr_segment: parent.segment, ..self },
            None => self,
        }
    }
}

pub(super) fn descriptor(frame: &mut Frame, at: &Struct) -> Result<Descriptor, FrameError> {
    let word = frame.data(at, 0);
    let id = (word >> 32) as u32;
    Ok(match word as u16 {
        0 => Descriptor::None,
        1 => Descriptor::SenderHosted(id),
        2 => Descriptor::SenderPromise(id),
        3 => Descriptor::ReceiverHosted(id),
        4 => {
            let (question, path) = promised_answer(frame, at)?;
            Descriptor::ReceiverAnswer { question, path }
        }
        5 => {
            let third = frame.child(at, 0)?;
            Descriptor::SenderHosted(frame.data(&third, 0) as u32)
        }
        _ => return Err(FrameError::UnknownKind(at.pos)),
    })
}

fn patch_descriptor(frame: &mut Frame, at: Struct, new: &Descriptor) {
    const TAG_AND_ID: u64 = 0xffff_ffff_0000_ffff;
    let (tag, id) = match new {
        Descriptor::None => (0, 0),
        Descriptor::SenderHosted(id) => (1, *id),
        Descriptor::SenderPromise(id) => (2, *id),
        Descriptor::ReceiverHosted(id) => (3, *id),
        Descriptor::ReceiverAnswer { .. } => (4, 0),
    };
    let word = frame.word(at.pos);
    let same = word as u16 == 4;
    frame.set_word(at.pos, word & !TAG_AND_ID | tag | u64::from(id) << 32);
    match (new, at.pointer(0)) {
        (Descriptor::ReceiverAnswer { question, path }, _) => {
            let same = same && matches!(promised_answer(frame, &at), Ok((_, old)) if old == *path);
            patch_promised_answer(frame, at, same, *question, path);
        }
        (_, Some(ptr)) => frame.set_word(ptr, 0),
        (_, None) => {}
    }
}
