//! What a session's main module exports, as far as others can call it.

use std::collections::BTreeSet;

/// The exports that links may lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exports {
    /// Whether there is a default export that takes events.
    pub default: bool,
    /// Its named entrypoints.
    pub entrypoints: BTreeSet<String>,
    /// Its classes of Durable Objects. workerd counts every class that extends nothing of its own among them.
    pub classes: BTreeSet<String>,
    /// Events of the default export that no link carries, and that it has a handler for; `None` if nobody has looked.
    pub handlers: Option<BTreeSet<String>>,
}

impl Exports {
    /// Whether events can be sent to that entrypoint; `None` is the default export.
    pub fn has_entrypoint(&self, name: Option<&str>) -> bool {
        name.map_or(self.default, |name| self.entrypoints.contains(name))
    }

    /// All entrypoints, the default export first, as `default`.
    pub fn entrypoint_names(&self) -> impl Iterator<Item = &str> {
        self.default.then_some("default").into_iter().chain(self.entrypoints.iter().map(String::as_str))
    }

    /// Both together, for the time in which either may be running.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            default: self.default || other.default,
            entrypoints: &self.entrypoints | &other.entrypoints,
            classes: &self.classes | &other.classes,
            handlers: self.handlers.as_ref().zip(other.handlers.as_ref()).map(|(one, other)| one | other),
        }
    }
}
