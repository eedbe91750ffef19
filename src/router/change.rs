//! Changes of the link table, and why one is refused.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::link::{Aim, Kind, LinkName, Revision, Target};
use super::origin::Origin;
use super::snapshot::Class;
use crate::session::project::Storage;
use crate::session::{Exports, Generation, Nearest, SessionName};

/// One step of a batch. Steps are applied in order; the result is checked as a whole.
#[derive(Clone, Debug)]
pub enum Change {
    /// Moves an existing link.
    Retarget {
        /// Which one.
        link: LinkName,
        /// Where to; read by the link's kind.
        to: Aim,
        /// Its props from now on. They belong to the target: a link that moves without props has none.
        props: Option<Value>,
    },
    /// Makes a link, or sets one whatever it was: for project files, not for operators.
    DefineLink {
        /// Which one.
        link: LinkName,
        /// Where to.
        target: Target,
        /// See [`super::Link::accepts_props`].
        accepts_props: bool,
    },
    /// Makes a link to what the rules take for the session of the target's name, now and whenever sessions come and go.
    Seek {
        /// Which one.
        link: LinkName,
        /// What of that session; its scope does not count.
        target: Target,
    },
    /// Makes a link of a session that joined, if it is not there, and lets the rules choose its target.
    Adopt(LinkName),
    /// Takes a link away.
    DropLink(LinkName),
    /// Makes a session known (as starting), or replaces what is known of its classes and exports.
    DefineSession {
        /// Its name.
        session: SessionName,
        /// The Durable Object classes it offers.
        classes: Vec<Class>,
        /// What its script exports. `None`: nobody knows, so every entrypoint may be one.
        exports: Option<Arc<Exports>>,
    },
    /// Says where a session that is known comes from.
    Originate(SessionName, Origin),
    /// Makes a session known that runs by itself: what it calls and offers is seen when it does.
    JoinSession(SessionName, Origin),
    /// Makes a fake known, which takes events at once.
    DefineFake {
        /// It, as a session.
        generation: Arc<Generation>,
        /// The Durable Object classes that it stands for.
        classes: Vec<Class>,
        /// What it answers by.
        file: Arc<Path>,
    },
    /// Takes a session and its links away. Links of others that point there must be moved in the same batch.
    DropSession(SessionName),
}

/// How a class names its objects, for people.
struct Ids<'a>(&'a Storage);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Storage::Stored { unique_key } => write!(f, "stored objects with the unique key `{unique_key}`"),
            Storage::Ephemeral => f.write_str("ephemeral objects"),
        }
    }
}

fn no_entrypoint(session: &SessionName, entrypoint: Option<&str>, exports: &Exports) -> String {
    match entrypoint {
        None => format!("session {session} has no default export to call"),
        Some(name) if exports.classes.contains(name) => {
            format!("{name} of session {session} is a Durable Object class, and no entrypoint")
        }
        Some(name) => format!("session {session} exports no entrypoint {name}"),
    }
}

/// Why a batch was refused. Nothing of it was applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ChangeError {
    /// No link has that name.
    #[error("there is no link {link}{nearest}")]
    UnknownLink {
        /// What was asked for.
        link: LinkName,
        /// What may have been meant.
        nearest: Nearest,
    },
    /// No session has that name.
    #[error("there is no session {session}{nearest}")]
    UnknownSession {
        /// What was asked for.
        session: SessionName,
        /// What may have been meant.
        nearest: Nearest,
    },
    /// The session has no Durable Object class of that name.
    #[error("session {session} has no Durable Object class {class}{nearest}")]
    UnknownClass {
        /// The session that was aimed at.
        session: SessionName,
        /// What was asked for.
        class: String,
        /// What may have been meant.
        nearest: Nearest,
    },
    /// The session's script exports no entrypoint of that name.
    #[error("{}{nearest}", no_entrypoint(session, entrypoint.as_deref(), exports))]
    UnknownEntrypoint {
        /// The session that was aimed at.
        session: SessionName,
        /// What was asked for; `None` is the default export.
        entrypoint: Option<String>,
        /// What it exports.
        exports: Arc<Exports>,
        /// What may have been meant.
        nearest: Nearest,
    },
    /// An actor link needs a class and takes no props.
    #[error(
        "link {link} is a Durable Object namespace, so its target is a class without props: {session}#CLASS"
    )]
    NotAClass {
        /// The link.
        link: LinkName,
        /// The session that was aimed at.
        session: SessionName,
    },
    /// `ctx.props` is an object.
    #[error("the props for link {link} are not a JSON object")]
    PropsNotAnObject {
        /// The link.
        link: LinkName,
    },
    /// The link would become another kind of binding than its worker was started with.
    #[error("link {link} is a {was} link and cannot become one of kind {wanted} while its session runs")]
    OtherKind {
        /// The link.
        link: LinkName,
        /// What it is.
        was: Kind,
        /// What it would be.
        wanted: Kind,
    },
    /// The caller's process makes ids of one sort, and the class takes another.
    #[error("link {link} makes ids for {was}, and class {class} of {session} has {wanted}", was = Ids(was), wanted = Ids(wanted))]
    OtherIds {
        /// The link.
        link: LinkName,
        /// What its caller was started for.
        was: Storage,
        /// The session that was aimed at.
        session: SessionName,
        /// The class over there.
        class: String,
        /// How that names its objects.
        wanted: Storage,
    },
    /// One batch moves a link twice.
    #[error("link {link} stands twice in one change")]
    Twice {
        /// The link.
        link: LinkName,
    },
    /// A session goes while a link of another one still points there.
    #[error("link {link} still points at session {session}, which goes away")]
    StillAimed {
        /// The link.
        link: LinkName,
        /// The session.
        session: SessionName,
    },
    /// Someone changed a link since the caller looked.
    #[error("the links have changed: revision {found}, not {expected}")]
    Stale {
        /// What the caller saw.
        expected: Revision,
        /// The last change.
        found: Revision,
    },
}
