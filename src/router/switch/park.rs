//! Events whose target is not up. They wait in order, link by link.

use std::collections::VecDeque;
use std::time::Instant;

use super::object::Entry;
use crate::router::LinkName;
use crate::rpc::CallId;
use crate::session::{Generation, SessionName};

/// An event that waits.
pub(super) struct Parked {
    pub call: CallId,
    pub entry: Entry,
    pub began: Instant,
    /// Why its target cannot take it, for people.
    pub why: String,
    /// A generation that was named as listening and could not be reached: the event waits for the next.
    pub refused: Option<(SessionName, u64)>,
    /// It is in the counts.
    pub counted: bool,
}

impl Parked {
    pub fn was_refused(&self, generation: &Generation) -> bool {
        self.refused
            .as_ref()
            .is_some_and(|(session, number)| *session == generation.session && *number == generation.number)
    }
}

/// The waiting events of one caller, oldest first.
#[derive(Default)]
pub(super) struct Park {
    events: VecDeque<Parked>,
}

impl Park {
    pub fn push(&mut self, event: Parked) {
        self.events.push_back(event);
    }

    /// Whether an event of `link` has to wait because one before it does.
    pub fn holds(&self, link: &LinkName) -> bool {
        self.events.iter().any(|event| event.entry.link == *link)
    }

    /// The caller gave the event up.
    pub fn remove(&mut self, call: CallId) -> bool {
        let before = self.events.len();
        self.events.retain(|event| event.call != call);
        self.events.len() < before
    }

    /// Takes all of them, to be looked at again.
    pub fn take(&mut self) -> VecDeque<Parked> {
        std::mem::take(&mut self.events)
    }

    /// When the oldest began. New events go behind, so no other ends its time earlier.
    pub fn oldest(&self) -> Option<Instant> {
        self.events.iter().map(|event| event.began).min()
    }
}
