//! Links and what they point at.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rule::Choice;
use crate::session::name::{check_callee, check_identifier};
use crate::session::{NameError, SessionName};

/// A place in the history of the link table. Every publication of a table has a higher one than the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision that follows.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a link: the calling session and its binding, `web/API`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName {
    /// The session that calls.
    pub session: SessionName,
    /// The binding's name in its `env`; for a session that joined, the name of the worker that it calls.
    pub binding: String,
}

impl LinkName {
    /// The link of `session`'s `binding`.
    pub fn new(session: SessionName, binding: impl Into<String>) -> Self {
        let mut binding = binding.into();
        // No binding has an empty name, and no caller that asks for one may get the direct way.
        if binding.is_empty() {
            binding.push('?');
        }
        Self { session, binding }
    }

    /// The way straight to a session, past all links: for what comes from outside, and for the user's own tools. No
    /// text means it, so nobody can move it.
    pub(in crate::router) fn direct(session: SessionName) -> Self {
        Self { session, binding: String::new() }
    }

    /// Whether it is the way straight to a session.
    pub fn is_direct(&self) -> bool {
        self.binding.is_empty()
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_direct() {
            return self.session.fmt(f);
        }
        write!(f, "{}/{}", self.session, self.binding)
    }
}

impl FromStr for LinkName {
    type Err = LinkTextError;

    fn from_str(text: &str) -> Result<Self, LinkTextError> {
        let wrap = |source| LinkTextError::Link { text: text.to_owned(), source };
        let (session, binding) =
            text.split_once('/').ok_or_else(|| LinkTextError::NoSlash { text: text.to_owned() })?;
        check_callee(binding).map_err(wrap)?;
        Ok(Self { session: session.parse().map_err(wrap)?, binding: binding.to_owned() })
    }
}

impl TryFrom<String> for LinkName {
    type Error = LinkTextError;

    fn try_from(text: String) -> Result<Self, LinkTextError> {
        text.parse()
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> Self {
        name.to_string()
    }
}

/// What an operator aims a link at: `api@green` or `api@green#Admin`.
///
/// Whether the part after `#` is an entrypoint or an actor class follows from the link it is meant for; see
/// [`Kind::target`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Aim {
    /// The session that is called.
    pub session: SessionName,
    /// One of the names its main module exports; `None` is the default export.
    pub export: Option<String>,
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.export {
            Some(export) => write!(f, "{}#{export}", self.session),
            None => self.session.fmt(f),
        }
    }
}

impl FromStr for Aim {
    type Err = LinkTextError;

    fn from_str(text: &str) -> Result<Self, LinkTextError> {
        let wrap = |source| LinkTextError::Target { text: text.to_owned(), source };
        let (session, export) = match text.split_once('#') {
            Some((session, export)) => (session, Some(export)),
            None => (text, None),
        };
        export.map_or(Ok(()), check_identifier).map_err(wrap)?;
        // workerd calls the default export "default" in some places; one spelling here keeps equal targets equal.
        let export = export.filter(|name| *name != "default").map(str::to_owned);
        Ok(Self { session: session.parse().map_err(wrap)?, export })
    }
}

impl TryFrom<String> for Aim {
    type Error = LinkTextError;

    fn try_from(text: String) -> Result<Self, LinkTextError> {
        text.parse()
    }
}

impl From<Aim> for String {
    fn from(aim: Aim) -> Self {
        aim.to_string()
    }
}

/// Why a text names no link, or no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkTextError {
    /// A link has two parts.
    #[error("`{text}` is not a link: write `SESSION/BINDING`, like `web/API`")]
    NoSlash {
        /// What was given.
        text: String,
    },
    /// One part of a link is malformed.
    #[error("`{text}` is not a link: {source}")]
    Link {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// A target is malformed.
    #[error("`{text}` is not a target: {source}")]
    Target {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: NameError,
    },
}

/// What a link is in the calling worker. A link keeps its kind for life: the worker's `env` was built for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A service binding: fetch, connect and RPC.
    Service,
    /// A Durable Object namespace.
    Actor,
}

impl Kind {
    /// What `aim` means for a link of this kind; `None` if an actor link is aimed at no class, or is given props.
    pub fn target(self, aim: Aim, props: Option<Value>) -> Option<Target> {
        match (self, aim, props) {
            (Self::Service, Aim { session, export: entrypoint }, props) => {
                Some(Target::Entrypoint { session, entrypoint, props })
            }
            (Self::Actor, Aim { session, export: Some(class) }, None) => {
                Some(Target::ActorClass { session, class })
            }
            (Self::Actor, _, _) => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "service",
            Self::Actor => "actor",
        })
    }
}

/// Where a link's events go.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// An entrypoint of a session's service.
    Entrypoint {
        /// The session that is called.
        session: SessionName,
        /// The exported class; `None` is the default export.
        entrypoint: Option<String>,
        /// What the entrypoint finds as `ctx.props`, an object.
        props: Option<Value>,
    },
    /// The Durable Objects of a class.
    ActorClass {
        /// The session that owns them.
        session: SessionName,
        /// The exported class.
        class: String,
    },
}

impl Target {
    /// The session that the events go to.
    pub fn session(&self) -> &SessionName {
        match self {
            Self::Entrypoint { session, .. } | Self::ActorClass { session, .. } => session,
        }
    }

    /// The kind of link that can point here.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Entrypoint { .. } => Kind::Service,
            Self::ActorClass { .. } => Kind::Actor,
        }
    }

    /// The same export of another session.
    #[must_use]
    pub fn at(self, session: SessionName) -> Self {
        match self {
            Self::Entrypoint { entrypoint, props, .. } => Self::Entrypoint { session, entrypoint, props },
            Self::ActorClass { class, .. } => Self::ActorClass { session, class },
        }
    }

    /// The same without the props, as an operator would write it.
    pub fn aim(&self) -> Aim {
        let (session, export) = match self {
            Self::Entrypoint { session, entrypoint, .. } => (session, entrypoint.clone()),
            Self::ActorClass { session, class } => (session, Some(class.clone())),
        };
        Aim { session: session.clone(), export }
    }

    /// What the link adds to `ctx.props`.
    pub fn props(&self) -> Option<&Value> {
        match self {
            Self::Entrypoint { props, .. } => props.as_ref(),
            Self::ActorClass { .. } => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.aim().fmt(f)
    }
}

/// A link as of one revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Its name.
    pub name: LinkName,
    /// Where events go that begin at or after [`revision`](Self::revision).
    pub target: Target,
    /// Whether the props that a caller says itself go to the target, below those of the target. Props are authority, so
    /// this is said in the project file alone. It stays when the link moves.
    pub accepts_props: bool,
    /// What chose the target, if nobody did: the rules do, and again whenever sessions come and go.
    pub rule: Option<Choice>,
    /// The worker that the rules look for, if the binding has another name.
    pub worker: Option<String>,
    /// The revision that set the target.
    pub revision: Revision,
    /// When that was.
    pub since: Instant,
}

impl Link {
    /// The worker's name that the rules look for, where they choose.
    pub fn wanted(&self) -> &str {
        self.worker.as_ref().unwrap_or(&self.name.binding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_a_round_trip() {
        for text in ["web/API", "web@pr-7/$a", "web/my-api"] {
            assert_eq!(text.parse::<LinkName>().unwrap().to_string(), text);
        }
        for text in ["api", "api@green#Admin"] {
            assert_eq!(text.parse::<Aim>().unwrap().to_string(), text);
        }
        assert_eq!("api#default".parse::<Aim>().unwrap().to_string(), "api");
    }

    #[test]
    fn malformed_texts_say_what_a_good_one_looks_like() {
        assert!("API".parse::<LinkName>().unwrap_err().to_string().contains("web/API"));
        for text in ["/API", "web/", "web/A/B", "web/a b", "web/-a"] {
            assert!(text.parse::<LinkName>().is_err(), "{text}");
        }
        for text in ["", "#X", "api#", "api#a-b", "api#A#B"] {
            assert!(text.parse::<Aim>().is_err(), "{text}");
        }
    }
}
