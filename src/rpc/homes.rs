//! Where capabilities live, and what waits there.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::handles::ObjectId;
use super::tables::{Asker, CapList, HeldKey};
use crate::wire::exception::Exception;
use crate::wire::message::{Target, Transform};

pub(super) struct Cap {
    pub refs: u32,
    pub home: Home,
    /// Where it is exported: connection and id.
    pub exports: SmallVec<[(u32, u32); 1]>,
}

pub(super) enum Home {
    Import {
        conn: u32,
        id: u32,
    },
    /// In a box, since few are and all take the room of the largest: a call on one of many capabilities costs
    /// what its way through the memory caches costs.
    Answer(Box<Derived>),
    Object(ObjectId),
    Promise(Box<Promise>),
    /// What a promise became; holds a reference.
    Alias(u32),
    Broken(Arc<Exception>),
}

/// A capability in the answer to a question of ours that is not finished.
pub(super) struct Derived {
    pub conn: u32,
    pub question: u32,
    pub path: Transform,
    /// Where the question has it among its derived ones.
    pub at: u32,
}

/// A promise of ours: a parked target, or an embargo.
#[derive(Default)]
pub(super) struct Promise {
    /// What an embargo will resolve to (holds a reference): calls wait, but the capability may already travel.
    pub known: Option<u32>,
    pub queue: VecDeque<Waiting>,
}

/// What waits behind a promise or an answer.
pub(super) enum Waiting {
    Call(HeldKey),
    Disembargo {
        conn: u32,
        serial: u64,
        id: u32,
        target: HeldTarget,
    },
    /// The same on its way back, to the connection that sent it; `by` is the one that it came from.
    Echo {
        by: (u32, u64),
        to: (u32, u64),
        id: u32,
        target: HeldTarget,
    },
    /// A Finish for the call that this queue belongs to: calls on its answer keep it going, as they would if it
    /// were with a peer already.
    Finish {
        conn: u32,
        serial: u64,
        id: u32,
        flags: u64,
    },
    /// A promise (by reference) that stands for a capability in the answer to a held call.
    Pipeline {
        promise: u32,
        conn: u32,
        question: u32,
        path: Transform,
    },
}

/// Whom a held message is for. A capability is held by reference, since the sender may release its id.
pub(super) enum HeldTarget {
    Cap(u32),
    Answer { conn: u32, question: u32, path: Transform },
}

/// A call that cannot go on yet. It took its references when it arrived; it gets its ids when it leaves.
pub(super) struct Held {
    pub serial: u64,
    pub asker: Option<Asker>,
    pub also: SmallVec<[Asker; 1]>,
    /// Whose bounds the bytes count against.
    pub sender: u32,
    /// How many they are. The frame itself may be with the host for a while.
    pub charged: usize,
    pub frame: Vec<u8>,
    pub caps: CapList,
    pub target: HeldTarget,
    pub queue: VecDeque<Waiting>,
    /// The host was told of it and will answer.
    pub at_host: bool,
    /// The host sent it on.
    pub forwarded: bool,
    /// A Finish for it waits at the end of its queue.
    pub finishing: bool,
}

/// Where a message has to go.
pub(super) enum Dest {
    Remote { conn: u32, target: Target },
    Object(u32),
    Promise(u32),
    Held(HeldKey),
    Broken(Arc<Exception>),
}
