//! What the host calls things in an engine.

use super::tables::HeldKey;

/// A connection of an engine. Not valid any more once [`super::Event::Closed`] was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub(super) u32);

impl ConnId {
    /// Its number among the connections of the engine, for people.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// One reference to a capability, held by the host until it gives it to [`super::Engine::release`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a capability that is not released stays in the tables"]
pub struct CapId(pub(super) u32);

/// A call that waits for the host's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(pub(super) HeldKey);

/// A question that the host asked; open until [`super::Engine::finish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QuestionId(pub(super) u32);

/// A promise that the host made; settled by [`super::Engine::resolve`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a promise that is never resolved parks its calls for ever"]
pub struct PromiseId(pub(super) u32);

/// The host's own name for one of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub u64);
