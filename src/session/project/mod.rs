//! The project file, `jackfield.toml`: which sessions there are and how they are linked.
//!
//! Two steps, two sets of types: `read` turns text into raw sessions and knows nothing but the text; `resolve`
//! looks at all of them together and at the scripts on disk. What comes out ([`Project`]) needs no more checks.
//! Neither stops at the first problem, and nothing is started while there is one.

mod compiled;
mod places;
mod problem;
mod read;
mod reader;
mod resolve;
mod script;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::exports::Exports;
use super::name::SessionName;

pub use compiled::{Compiled, Queues};
pub(in crate::session) use places::position;
pub use places::{Part, Places, Position};
pub(in crate::session) use problem::Problems;
pub use problem::{Problem, ProjectError};
pub use script::ModuleKind;

/// The name of the project file when none is given.
pub const FILE_NAME: &str = "jackfield.toml";

/// A project whose every name, link and script has been checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Project {
    /// The project file, with links resolved.
    pub file: PathBuf,
    /// Its folder. Scripts are relative to it and state lies in it.
    pub root: PathBuf,
    /// In the order of the file.
    pub sessions: Vec<SessionSpec>,
    /// Where all this stands in the file.
    pub places: Places,
}

/// What one session runs.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSpec {
    /// Its name, scope included.
    pub name: SessionName,
    /// The main module first; none if it was compiled.
    pub modules: Vec<Module>,
    /// What workerd's compiler made of it, if that did.
    pub compiled: Option<Arc<Compiled>>,
    /// `YYYY-MM-DD`.
    pub compatibility_date: String,
    /// Where people reach the default export: an address of this machine alone, which the router listens at.
    pub listen: Option<SocketAddr>,
    /// As workerd knows them.
    pub compatibility_flags: Vec<String>,
    /// Bindings that are plain values.
    pub vars: Vec<(String, Var)>,
    /// Durable Object classes of its own.
    pub classes: Vec<ClassSpec>,
    /// Bindings to entrypoints of sessions.
    pub services: Vec<ServiceLink>,
    /// Bindings to actor classes of sessions.
    pub actors: Vec<ActorLink>,
    /// The named entrypoints that get an HTTP socket; the default export always has one. Those that some link of the
    /// project wants, and once the session was surveyed, all.
    pub entrypoints: BTreeSet<String>,
    /// What its main module exports. That cannot be known without running it, so `None` until it was surveyed.
    pub exports: Option<Arc<Exports>>,
}

/// One file of a worker, with its content: a session is restarted with what was checked, whatever happens on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// What other modules import it as.
    pub name: String,
    /// What workerd is told it is.
    pub kind: ModuleKind,
    /// Where it was read.
    pub path: PathBuf,
    /// What was read. Text, except for [`ModuleKind::Wasm`] and [`ModuleKind::Data`].
    pub content: Vec<u8>,
}

/// A plain value in `env`.
#[derive(Clone, Debug, PartialEq)]
pub enum Var {
    /// A string.
    Text(String),
    /// Anything else that TOML and JSON both can say.
    Json(serde_json::Value),
}

/// A Durable Object class that a session implements.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassSpec {
    /// The exported class.
    pub class: String,
    /// How its objects are named and kept.
    pub storage: Storage,
    /// The name in the session's own `env`, if it wants one.
    pub binding: Option<String>,
}

/// How the objects of a class are named and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// On disk, under the project's state folder.
    Stored {
        /// What ids are derived from. Two classes with the same key have the same id for the same name, and that is
        /// how a link can move from one to the other; their data stay apart, a folder for each session.
        unique_key: String,
    },
    /// In memory, for the life of one generation. Any string is an id.
    Ephemeral,
}

/// How a worker hears what another one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ear {
    /// Once it is over: what `tail_consumers` are.
    Tail,
    /// While it happens: what `streaming_tail_consumers` are.
    Streaming,
}

/// A binding that leads to an entrypoint of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceLink {
    /// The name in `env`.
    pub binding: String,
    /// Whom it leads to when the project starts.
    pub target: SessionName,
    /// Absent: the default export.
    pub entrypoint: Option<String>,
    /// What the target sees as `ctx.props`.
    pub props: Option<serde_json::Map<String, serde_json::Value>>,
    /// Whether callers that say props of their own, over a debug port, are believed.
    pub accepts_props: bool,
    /// No binding, but an ear for what the session does.
    pub ear: Option<Ear>,
}

/// A binding that leads to a Durable Object class of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct ActorLink {
    /// The name in `env`.
    pub binding: String,
    /// Whom it leads to when the project starts.
    pub target: SessionName,
    /// The class over there.
    pub class: String,
    /// How the class over there names its objects: the caller must make its ids the same way.
    pub storage: Storage,
}

impl Project {
    /// Reads and checks a project file.
    pub fn load(file: &Path) -> Result<Self, ProjectError> {
        let unreadable = |source| ProjectError::Unreadable { file: file.to_owned(), source };
        let file = file.canonicalize().map_err(unreadable)?;
        let text = std::fs::read_to_string(&file).map_err(unreadable)?;
        let root = file.parent().unwrap_or(Path::new("/")).to_owned();
        let (raw, problems) = read::read(&text);
        resolve::resolve(&text, &file, &root, raw, problems)
    }

    /// A project without sessions, whose file need not be there.
    pub fn empty(file: &Path) -> Self {
        let root = file.parent().unwrap_or(Path::new("/")).to_owned();
        Self { file: file.to_owned(), root, ..Self::default() }
    }

    /// Adds the sessions of another project, none of which has the name of one that is here.
    pub fn extend(&mut self, other: &Self) {
        self.sessions.extend(other.sessions.iter().cloned());
        self.places.extend(&other.places);
    }

    /// The session of that name.
    pub fn session(&self, name: &SessionName) -> Option<&SessionSpec> {
        self.sessions.iter().find(|session| session.name == *name)
    }
}

impl SessionSpec {
    /// The worker's name among the services of its process.
    pub fn service(&self) -> String {
        self.compiled.as_ref().map_or_else(|| self.name.to_string(), |compiled| compiled.service.clone())
    }

    /// The service that takes requests for the default export. Static files lie before it.
    pub fn front(&self) -> String {
        self.compiled.as_ref().map_or_else(|| self.name.to_string(), |compiled| compiled.front.clone())
    }

    /// Whether it has code, and not static files alone.
    pub fn has_script(&self) -> bool {
        self.compiled.as_ref().is_none_or(|compiled| !compiled.main_module.is_empty())
    }

    /// The name of the main module, and its file.
    pub fn main(&self) -> (&str, &Path) {
        match (&self.compiled, self.modules.first()) {
            (Some(compiled), _) => (&compiled.main_module, &compiled.main),
            (None, Some(module)) => (&module.name, &module.path),
            (None, None) => ("", Path::new("")),
        }
    }

    /// Whether a class keeps its objects on disk. Two generations of such a session must never run at once.
    pub fn stores_objects(&self) -> bool {
        let keeps = |compiled: &Arc<Compiled>| compiled.keeps;
        self.compiled.as_ref().is_some_and(keeps)
            || self.classes.iter().any(|class| matches!(class.storage, Storage::Stored { .. }))
    }

    /// Whether a process for `self` has to end before one for `other`, a generation of the same session, can serve: both
    /// store the same objects.
    pub fn excludes(&self, other: &Self) -> bool {
        self.stores_objects() && other.stores_objects()
    }

    /// Whether a process loads the same for `self` and `other`, and so says the same of both. Where links lead is none
    /// of the process's business: it knows only that they exist.
    pub fn loads_like(&self, other: &Self) -> bool {
        let names =
            |spec: &Self| spec.services.iter().map(|link| link.binding.clone()).collect::<BTreeSet<_>>();
        let actors = |spec: &Self| {
            spec.actors.iter().map(|link| (link.binding.clone(), link.storage.clone())).collect::<Vec<_>>()
        };
        let compiled = |spec: &Self| {
            spec.compiled.as_ref().map(|compiled| (compiled.message.clone(), compiled.workerd.clone()))
        };
        self.name == other.name
            && self.modules == other.modules
            && compiled(self) == compiled(other)
            && self.compatibility_date == other.compatibility_date
            && self.compatibility_flags == other.compatibility_flags
            && self.vars == other.vars
            && self.classes == other.classes
            && names(self) == names(other)
            && actors(self) == actors(other)
    }

    /// Whether a process started for `self` does for `wanted` as well. Where the session is reached from outside, and
    /// where its links lead, is none of the process's business.
    pub fn serves_for(&self, wanted: &Self) -> bool {
        self.loads_like(wanted) && wanted.entrypoints.is_subset(&self.entrypoints)
    }
}
