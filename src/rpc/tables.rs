//! What the engine remembers of each connection: questions, answers, imports, exports, embargoes.
//!
//! Ids that a peer chooses are keys of an [`IdTable`]; ids that we choose are slots of slabs, taken again as soon as
//! they are free.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use slab::Slab;
use smallvec::SmallVec;

pub use super::handles::*;
pub(super) use super::homes::*;
use super::ids::IdTable;
use crate::wire::exception::Exception;
use crate::wire::message::{NO_EARLY_CANCELLATION_WORKAROUND, Target, Transform};

/// The pseudo-connection whose answers are the host's questions.
pub(super) const HOST: u32 = 0;

/// First id for calls with `onlyPromisePipeline`, for which no Return comes: as C++ numbers them.
pub(super) const HIGH: u32 = 1 << 31;

/// A map that is looked into for every message: the standard hasher was a fifth of what an event costs. Seeded anew in
/// each process, and a peer that found ids which collide would slow its own tables.
pub type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

pub(super) type CapList = SmallVec<[Option<u32>; 4]>;

/// Who asked: a connection, and the id of the question there.
pub(super) type Asker = (u32, u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct HeldKey {
    pub slot: u32,
    pub serial: u64,
}

pub(super) struct Conn {
    /// Tells this connection from an earlier one in the same slot.
    pub serial: u64,
    /// Only `out` is still of use, until the host forgets the connection.
    pub ended: bool,
    /// Serves Bootstrap; holds a reference.
    pub bootstrap: Option<u32>,
    pub questions: Slab<Question>,
    pub high: FastMap<u32, Question>,
    pub next_high: u32,
    pub answers: IdTable<Answer>,
    pub imports: IdTable<Import>,
    pub exports: Slab<Export>,
    pub embargoes: Slab<Embargo>,
    pub parked_calls: usize,
    pub parked_bytes: usize,
    /// A method that the peer is not to be asked for, and what is answered instead.
    pub refused: Option<Refused>,
    pub out: Vec<u8>,
}

/// A method, and why nobody calls it.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Type id of the interface.
    pub interface: u64,
    /// Ordinal of the method.
    pub method: u16,
    /// What callers are told.
    pub reason: Arc<Exception>,
}

impl Conn {
    pub fn new(serial: u64) -> Self {
        Conn {
            serial,
            ended: false,
            bootstrap: None,
            questions: Slab::new(),
            high: FastMap::default(),
            next_high: HIGH,
            answers: IdTable::default(),
            imports: IdTable::default(),
            exports: Slab::new(),
            embargoes: Slab::new(),
            parked_calls: 0,
            parked_bytes: 0,
            refused: None,
            out: Vec::new(),
        }
    }

    pub fn question(&mut self, id: u32) -> Option<&mut Question> {
        if id >= HIGH { self.high.get_mut(&id) } else { self.questions.get_mut(id as usize) }
    }

    /// Which of the host's forwarded calls a call on `target` comes of.
    pub fn origin(&mut self, target: &Target) -> u64 {
        match target {
            Target::Import(id) => self.imports.get(id).map_or(0, |import| import.origin),
            Target::Answer { question, .. } => self.question(*question).map_or(0, |asked| asked.origin),
        }
    }

    pub fn add_question(&mut self, question: Question) -> u32 {
        if !question.only_promise_pipeline {
            return self.questions.insert(question) as u32;
        }
        // Round-robin, because a Return that a peer sends for one of these against the rules must not meet a new
        // question with the same id.
        while self.high.contains_key(&self.next_high) {
            self.next_high = self.next_high.wrapping_add(1) | HIGH;
        }
        let id = self.next_high;
        self.next_high = self.next_high.wrapping_add(1) | HIGH;
        self.high.insert(id, question);
        id
    }

    pub fn remove_question(&mut self, id: u32) -> Option<Question> {
        if id >= HIGH { self.high.remove(&id) } else { self.questions.try_remove(id as usize) }
    }
}

/// A question of ours to a peer.
pub(super) struct Question {
    /// Whose answer it is; `None` once the asker has finished or gone.
    pub asker: Option<Asker>,
    /// A tail call's own question, which may still be called on although the answer is another's.
    pub also: SmallVec<[Asker; 1]>,
    pub only_promise_pipeline: bool,
    pub returned: bool,
    /// It was answered by a tail call, so that calls on it still matter.
    pub tail: bool,
    /// The peer said that it has forgotten the question.
    pub forgotten: bool,
    pub finished: bool,
    /// Flags of the asker's Finish, kept for ours.
    pub finish_flags: u64,
    /// Exports that went along in the parameters, one entry for each descriptor.
    pub param_exports: SmallVec<[u32; 2]>,
    /// Paths on which calls were pipelined: they decide which results need an embargo.
    pub called: SmallVec<[Transform; 1]>,
    /// Capabilities whose home is this question: while there is one, it is not finished.
    pub derived: SmallVec<[u32; 2]>,
    /// Which of the calls that the host forwarded it came of: itself, or what it was pipelined on or called. 0 if
    /// none.
    pub origin: u64,
}

impl Question {
    pub fn new(asker: Asker, only_promise_pipeline: bool) -> Self {
        Question {
            asker: Some(asker),
            also: SmallVec::new(),
            only_promise_pipeline,
            returned: false,
            tail: false,
            forgotten: false,
            finished: false,
            finish_flags: NO_EARLY_CANCELLATION_WORKAROUND,
            param_exports: SmallVec::new(),
            called: SmallVec::new(),
            derived: SmallVec::new(),
            origin: 0,
        }
    }
}

/// A question of a peer to us.
pub(super) struct Answer {
    pub state: AnswerState,
    /// Exports that went along in the results, one entry for each descriptor.
    pub result_exports: SmallVec<[u32; 2]>,
    pub returned: bool,
    /// The peer sent Finish; only our Return is missing.
    pub finished: bool,
    pub only_promise_pipeline: bool,
    /// `sendResultsTo.yourself`: the result is for the question that will take it.
    pub redirect: bool,
    /// The result of a redirected call that nobody has taken yet.
    pub untaken: Option<Box<Untaken>>,
    /// One of the capabilities in the answer was the peer's own: it may send a Disembargo along the answer.
    pub own: bool,
    /// The answer was taken by another question: what `state` names is finished there.
    pub lent: bool,
    /// This answer took another's, which may itself have taken one: the questions that said so. Calls on this
    /// answer still go to the first.
    pub tails: Box<[(u32, u32)]>,
    /// All questions by which calls on this answer pass before they get to the one that is answered. Those of
    /// other askers among them may be gone.
    pub legs: Box<[(u32, u32)]>,
    /// Capabilities in the answer for which calls on it do not go along the question any more: by path, with a
    /// reference each. See [`super::Engine::describe_results`].
    pub led: Vec<(Transform, u32)>,
}

impl Answer {
    pub fn new(state: AnswerState) -> Self {
        Answer {
            state,
            result_exports: SmallVec::new(),
            returned: false,
            finished: false,
            only_promise_pipeline: false,
            redirect: false,
            untaken: None,
            own: false,
            lent: false,
            tails: Box::default(),
            legs: Box::default(),
            led: Vec::new(),
        }
    }
}

impl Answer {
    /// Whether a `takeFromOtherQuestion` may name it.
    pub fn can_be_taken(&self) -> bool {
        self.redirect && !self.lent && !self.returned && !self.finished
    }
}

pub(super) enum AnswerState {
    /// A peer answers it: connection and question there.
    Forwarded { conn: u32, question: u32 },
    /// Its call is held here.
    Waiting(HeldKey),
    /// The host answered it: the frame of its Return, and what its capability table stands for.
    Results(Box<Results>),
    /// It failed.
    Failed(Arc<Exception>),
}

/// What the host answered. In a box: few answers are the host's, and all would take the room.
pub(super) struct Results {
    pub frame: Vec<u8>,
    pub caps: CapList,
}

/// A result that waits to be taken.
pub(super) enum Untaken {
    Frame { from: u32, frame: Vec<u8>, caps: CapList },
    Exception(Arc<Exception>),
}

/// A capability that a peer exported to us.
pub(super) struct Import {
    pub cap: u32,
    /// Descriptors received and not yet released.
    pub count: u32,
    /// A Resolve is still to come.
    pub promise: bool,
    /// As [`Question::origin`]: of the answer that first brought it.
    pub origin: u64,
}

/// A capability that we exported to a peer.
pub(super) struct Export {
    pub cap: u32,
    /// Descriptors sent and not yet released.
    pub count: u32,
    pub told: Told,
    /// Calls of the peer went along while it was a promise.
    pub called: bool,
    /// What the peer was told that the promise became (holds a reference), where later calls on this export
    /// have to go there so that they keep their order.
    pub now: Option<u32>,
}

/// What a peer knows of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It will never become anything else.
    Settled,
    /// A Resolve will come.
    Promise,
    /// A Resolve came. The id never names anything in a descriptor again: C++ refuses a promise that resolves
    /// to one that has resolved.
    Resolved,
    /// As before, and it was one of the peer's own: the peer may send a Disembargo.
    Own,
}

/// A Disembargo on its way to a peer and back.
pub(super) enum Embargo {
    /// Forwarded for another peer: connection, its serial, its id.
    Peer { conn: u32, serial: u64, id: u32 },
    /// Ours: holds a reference to a promise that is resolved when it has come back, also by the ways (references
    /// to capabilities) that calls take after this one.
    Switch { promise: u32, then: VecDeque<u32> },
}

/// How much one connection holds, for tests and for `is it idle`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableSizes {
    /// Questions of ours to it.
    pub questions: usize,
    /// Questions of its to us.
    pub answers: usize,
    /// Capabilities that it exported to us.
    pub imports: usize,
    /// Capabilities that we exported to it.
    pub exports: usize,
    /// Disembargoes on their way to it.
    pub embargoes: usize,
}
