//! What is wrong with registries: said once, not at every look.

use std::collections::HashMap;

use super::member::Source;

/// What may go wrong with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trouble {
    /// Nobody is seen who comes or goes.
    Read,
    /// The session does not learn of the others.
    Write,
    /// It has more entries than are looked at.
    Length,
}

/// What was said, and is still so.
#[derive(Debug, Default)]
pub(super) struct Troubles(HashMap<(Source, Trouble), String>);

impl Troubles {
    /// Takes how it went. A folder is looked at every second, so only what is new is said.
    pub fn note(&mut self, source: &Source, trouble: Trouble, error: Option<String>) {
        let key = (source.clone(), trouble);
        let Some(error) = error else {
            if self.0.remove(&key).is_some() {
                tracing::warn!(?source, "a registry is right again");
            }
            return;
        };
        if self.0.get(&key) == Some(&error) {
            return;
        }
        let what = match trouble {
            Trouble::Read => "a registry cannot be read; the sessions that are known from it stay",
            Trouble::Write => {
                "the registry of a session cannot be written; it does not learn of other sessions"
            }
            Trouble::Length => "a registry has too many entries; the rest is not looked at",
        };
        tracing::warn!(?source, error, "{what}");
        self.0.insert(key, error);
    }

    /// A registry that is looked at no more.
    pub fn forget(&mut self, source: &Source) {
        self.0.retain(|(of, _), _| of != source);
    }
}
