//! Events whose target is not up. They wait in order, link by link.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::Waits;
use super::object::Entry;
use crate::router::LinkName;
use crate::rpc::CallId;
use crate::session::{Generation, SessionName};

/// An event that waits.
pub(super) struct Parked {
    pub call: CallId,
    pub entry: Arc<Entry>,
    pub began: Instant,
    /// Why its target cannot take it, for people.
    pub why: String,
    /// A generation that was named as listening and could not be reached: the event waits for the next.
    pub refused: Option<(SessionName, u64)>,
    /// Set once it has waited: it is in the counts, and among those that wait until it is dropped.
    pub waits: Option<Waits>,
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
    /// How many of them wait for each link.
    waiting: HashMap<LinkName, usize>,
}

impl Park {
    pub fn push(&mut self, event: Parked) {
        *self.waiting.entry(event.entry.link.clone()).or_default() += 1;
        self.events.push_back(event);
    }

    /// Whether an event of `link` has to wait because one before it does.
    pub fn holds(&self, link: &LinkName) -> bool {
        self.waiting.contains_key(link)
    }

    /// The caller gave the event up.
    pub fn remove(&mut self, call: CallId) -> bool {
        let index = self.events.iter().position(|event| event.call == call);
        let Some(event) = index.and_then(|index| self.events.remove(index)) else { return false };
        self.forget(&event.entry.link);
        true
    }

    fn forget(&mut self, link: &LinkName) {
        if let Some(count) = self.waiting.get_mut(link) {
            *count -= 1;
            if *count == 0 {
                self.waiting.remove(link);
            }
        }
    }

    /// The oldest, if its time is up.
    pub fn take_late(&mut self, began_by: Instant) -> Option<Parked> {
        self.events.front().filter(|event| event.began <= began_by)?;
        let event = self.events.pop_front()?;
        self.forget(&event.entry.link);
        Some(event)
    }

    /// Takes all of them, to be looked at again.
    pub fn take(&mut self) -> VecDeque<Parked> {
        self.waiting.clear();
        std::mem::take(&mut self.events)
    }

    /// When the oldest began. New events go behind, so no other ends its time earlier.
    pub fn oldest(&self) -> Option<Instant> {
        self.events.front().map(|event| event.began)
    }
}
