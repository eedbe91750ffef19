//! What went wrong last on each link: for people who ask why.
//!
//! Written only when an event was not served, so nothing that works pays for it. Errors that a worker throws itself are
//! none of these: they are the caller's, and nobody but the caller reads them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::link::LinkName;
use crate::rpc::FastMap;
use crate::session::SessionName;

/// In characters. A text of ours is a few hundred long; one of a target's may be as long as it likes.
const MAX_TEXT: usize = 2_000;

/// Links come and go as sessions join. More than this at a time has nobody who could look at them.
const MAX_LINKS: usize = 1_000;

/// What goes wrong with one event, and because of that with another, does so within milliseconds.
const LATELY: Duration = Duration::from_secs(1);

/// Why an event was not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What its caller was told.
    pub text: String,
    /// When.
    pub at: SystemTime,
}

/// The last failure of each link.
#[derive(Default)]
pub(super) struct Failures(Mutex<FastMap<LinkName, Failure>>);

impl Failures {
    fn lock(&self) -> MutexGuard<'_, FastMap<LinkName, Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self, link: &LinkName, text: &str) {
        let mut all = self.lock();
        if all.len() >= MAX_LINKS
            && !all.contains_key(link)
            && let Some(oldest) =
                all.iter().min_by_key(|(_, failure)| failure.at).map(|(link, _)| link.clone())
        {
            all.remove(&oldest);
        }
        let text: String = text.trim_end().chars().take(MAX_TEXT).collect();
        all.insert(link.clone(), Failure { text, at: SystemTime::now() });
    }

    pub fn of(&self, link: &LinkName) -> Option<Failure> {
        self.lock().get(link).cloned()
    }

    /// The text of the last one of a session's links, if it is no older than [`LATELY`].
    pub fn lately(&self, session: &SessionName) -> Option<String> {
        let all = self.lock();
        let own = all.iter().filter(|(link, _)| link.session == *session && !link.is_direct());
        let last = own.map(|(_, failure)| failure).max_by_key(|failure| failure.at)?;
        // A clock that was set back makes it new.
        let age = last.at.elapsed().unwrap_or_default();
        (age <= LATELY).then(|| last.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_of_each_link_and_not_of_too_many() {
        let failures = Failures::default();
        let link = |number: usize| LinkName::new("web".parse().unwrap(), format!("B{number}"));
        for number in 0..=MAX_LINKS {
            failures.note(&link(number), "first");
        }
        assert_eq!(failures.lock().len(), MAX_LINKS);
        failures.note(&link(MAX_LINKS), &"é".repeat(2 * MAX_TEXT));
        assert_eq!(failures.lock().len(), MAX_LINKS);
        assert_eq!(failures.of(&link(MAX_LINKS)).unwrap().text.chars().count(), MAX_TEXT);
    }
}
