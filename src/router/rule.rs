//! Which session a caller means by a worker's name, where no link says so.
//!
//! The rules are few and fixed, and never ask who came first:
//!
//! 1. the session of that name in the caller's own scope;
//! 2. else the only session of that name;
//! 3. else none: the event waits, and is told what there is.
//!
//! A session that is down counts: a name keeps its meaning while its session restarts.

use std::fmt;

use crate::session::{Nearest, SessionName};

/// What the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The session of the caller's own scope.
    SameScope(SessionName),
    /// The only one of that name.
    Only(SessionName),
    /// There is none.
    Missing {
        /// The name that was asked for.
        wanted: String,
        /// What may have been meant.
        nearest: Nearest,
    },
    /// There are several, and none in the caller's scope. By name.
    Ambiguous(Vec<SessionName>),
}

impl Choice {
    /// Chooses what `name` means to `caller`.
    pub fn of<'a>(
        caller: &SessionName,
        name: &str,
        sessions: impl Iterator<Item = &'a SessionName> + Clone,
    ) -> Self {
        let found = sessions.clone().filter(|session| session.name() == name).cloned().collect();
        Self::among(caller, found).unwrap_or_else(|| Self::Missing {
            wanted: name.to_owned(),
            nearest: Nearest::of(&name, sessions.map(SessionName::name)),
        })
    }

    /// Chooses among those that are all meant, if there are any.
    pub(super) fn among(caller: &SessionName, mut found: Vec<SessionName>) -> Option<Self> {
        found.sort();
        if let Some(own) = found.iter().find(|session| session.scope() == caller.scope()) {
            return Some(Self::SameScope(own.clone()));
        }
        match found.len() {
            0 => None,
            1 => Some(Self::Only(found.swap_remove(0))),
            _ => Some(Self::Ambiguous(found)),
        }
    }

    /// The session that was chosen.
    pub fn session(&self) -> Option<&SessionName> {
        match self {
            Self::SameScope(session) | Self::Only(session) => Some(session),
            Self::Missing { .. } | Self::Ambiguous(_) => None,
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameScope(session) => write!(f, "{session} is the one in the caller's own scope"),
            Self::Only(session) => write!(f, "{session} is the only one of that name"),
            Self::Missing { wanted, nearest } => write!(f, "there is no session called {wanted}{nearest}"),
            Self::Ambiguous(all) => {
                let all: Vec<_> = all.iter().map(SessionName::to_string).collect();
                write!(f, "several have that name, and none is in the caller's scope: {}", all.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::{Change, LinkName, Links, Origin};

    fn name(text: &str) -> SessionName {
        text.parse().unwrap()
    }

    #[test]
    fn same_scope_then_the_only_one_and_never_the_first() {
        let choose = |caller: &str, all: &[&str]| {
            let all: Vec<_> = all.iter().map(|text| name(text)).collect();
            let there = Choice::of(&name(caller), "api", all.iter());
            assert_eq!(there, Choice::of(&name(caller), "api", all.iter().rev()), "the order decides");
            there
        };
        assert_eq!(choose("web@x", &["api@x", "api@y"]), Choice::SameScope(name("api@x")));
        assert_eq!(choose("web", &["api", "api@y"]), Choice::SameScope(name("api")));
        assert_eq!(choose("web@x", &["api@y", "web@x"]), Choice::Only(name("api@y")));
        assert_eq!(choose("web", &["api@y"]), Choice::Only(name("api@y")));
        let both = vec![name("api"), name("api@y")];
        assert_eq!(choose("web@x", &["api@y", "api"]), Choice::Ambiguous(both));
        assert!(choose("web", &["apl"]).to_string().contains("apl"));
        assert!(matches!(choose("web", &[]), Choice::Missing { .. }));
    }

    #[test]
    fn what_is_said_of_a_choice_changes_without_a_link_that_moves() {
        let links = Links::new();
        let join = |text: &str| {
            links.change(vec![Change::JoinSession(name(text), Origin::Run)], None).unwrap();
            links.load().relinked
        };
        join("web");
        let link = LinkName::new(name("web"), "api");
        links.adopt(&link);
        let seen = links.load().revision;
        assert!(join("apl") <= seen, "nothing leads elsewhere");
        assert!(links.load().link(&link).unwrap().rule.as_ref().unwrap().to_string().contains("apl"));
        assert!(join("api@x") > seen, "now it leads somewhere");
    }
}
