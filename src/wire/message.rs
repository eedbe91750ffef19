//! The parts of Cap'n Proto's RPC messages that carry ids, found and patched in a [`Frame`].
//!
//! Layout: `schema/rpc.capnp`. Several booleans are true by default and therefore stored inverted:
//! `releaseParamCaps`, `releaseResultCaps` and `requireEarlyCancellationWorkaround`.

use smallvec::SmallVec;

use super::frame::{Frame, FrameError, MAX_CAPS, MAX_TRANSFORM, Paths, Struct, StructList};

/// Tags of the union `Message`.
pub mod tag {
    #![allow(missing_docs)]
    pub const UNIMPLEMENTED: u16 = 0;
    pub const ABORT: u16 = 1;
    pub const CALL: u16 = 2;
    pub const RETURN: u16 = 3;
    pub const FINISH: u16 = 4;
    pub const RESOLVE: u16 = 5;
    pub const RELEASE: u16 = 6;
    pub const BOOTSTRAP: u16 = 8;
    pub const DISEMBARGO: u16 = 13;
}

/// Data word 0 of Return: `releaseParamCaps` is false.
pub const KEEP_PARAM_CAPS: u64 = 1 << 32;
/// Data word 0 of Return: `noFinishNeeded`.
pub const NO_FINISH_NEEDED: u64 = 1 << 33;
/// Data word 0 of Finish: `releaseResultCaps` is false.
pub const KEEP_RESULT_CAPS: u64 = 1 << 32;
/// Data word 0 of Finish: `requireEarlyCancellationWorkaround` is false.
pub const NO_EARLY_CANCELLATION_WORKAROUND: u64 = 1 << 33;

const ALLOW_THIRD_PARTY_TAIL_CALL: u64 = 1;
const ONLY_PROMISE_PIPELINE: u64 = 1 << 2;

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

/// A message's body, and where its pointer hangs.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    /// The tag of the union `Message`.
    pub tag: u16,
    /// The struct that the tag names.
    pub body: Struct,
}

/// Finds the body of a message.
///
/// # Errors
/// The root or the body is no struct inside the frame.
pub fn body(frame: &mut Frame) -> Result<Body, FrameError> {
    if let Some((data, body)) = frame.plain_root() {
        return Ok(Body { tag: data as u16, body });
    }
    let root = frame.root()?;
    let tag = frame.data(&root, 0) as u16;
    if root.ptrs == 0 {
        // A body of zeros may be left out, pointer and all; patching needs a place for the pointer.
        let root = frame.lengthen(root, 1, 1);
        return Ok(Body { tag, body: frame.child(&root, 0)? });
    }
    Ok(Body { tag, body: frame.child(&root, 0)? })
}

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

/// Content and its capability table.
#[derive(Debug, Clone, Copy)]
pub struct Payload {
    at: Struct,
    table: Option<StructList>,
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

impl Struct {
    /// The same struct, when the one that points to it has moved.
    fn moved(self, parent: Struct, index: u16) -> Struct {
        match parent.pointer(index) {
            Some(ptr) => Struct { ptr, ptr_segment: parent.segment, ..self },
            None => self,
        }
    }
}

fn target(frame: &mut Frame, body: &Struct) -> Result<(Struct, Target), FrameError> {
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

fn promised_answer(frame: &mut Frame, parent: &Struct) -> Result<(u32, Transform), FrameError> {
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

fn patch_target(frame: &mut Frame, at: Struct, old: &Target, new: &Target) {
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
fn patch_promised_answer(frame: &mut Frame, parent: Struct, same: bool, question: u32, path: &[u16]) {
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

impl Payload {
    fn parse(frame: &mut Frame, at: Struct) -> Result<Self, FrameError> {
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

fn descriptor(frame: &mut Frame, at: &Struct) -> Result<Descriptor, FrameError> {
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

/// A Finish: the question, and its data word with the flags.
pub fn finish(frame: &Frame, body: &Struct) -> (u32, u64) {
    let word = frame.data(body, 0);
    (word as u32, word & !0xffff_ffff)
}

/// A Release: the id, and how many references go.
pub fn release(frame: &Frame, body: &Struct) -> (u32, u32) {
    let word = frame.data(body, 0);
    (word as u32, (word >> 32) as u32)
}

/// The question of a Bootstrap.
pub fn bootstrap(frame: &Frame, body: &Struct) -> u32 {
    frame.data(body, 0) as u32
}

/// What a Disembargo asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// Send it back when what went before it has gone through.
    Sender(u32),
    /// It came back.
    Receiver(u32),
    /// Level 3.
    Other,
}

/// A Disembargo.
///
/// # Errors
/// Its target leaves the frame.
pub fn disembargo(frame: &mut Frame, body: &Struct) -> Result<(Target, Loopback), FrameError> {
    let (_, target) = target(frame, body)?;
    let word = frame.data(body, 0);
    let loopback = match (word >> 32) as u16 {
        0 => Loopback::Sender(word as u32),
        1 => Loopback::Receiver(word as u32),
        _ => Loopback::Other,
    };
    Ok((target, loopback))
}
