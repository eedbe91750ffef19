//! Where things stand in the text of a project file, for what is found wrong after it was read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::read::RawSession;
use crate::session::name::SessionName;

/// A place in the text: line and column from 1, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// A part of a session's declaration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The session's name.
    Name,
    /// Its main module.
    Script,
    /// Its compatibility date.
    Date,
    /// The address that it listens at.
    Listen,
    /// A compatibility flag.
    Flag(String),
    /// What a service link leads to.
    Target(String),
    /// A Durable Object class.
    Class(String),
}

/// The places of all parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    all: BTreeMap<(SessionName, Part), Position>,
    /// The files of sessions that have one of their own.
    files: BTreeMap<SessionName, PathBuf>,
}

impl Places {
    pub(super) fn of(text: &str, sessions: &[RawSession]) -> Self {
        let mut places = Self::default();
        for raw in sessions {
            let mut put = |part: Part, offset: usize| {
                places.all.insert((raw.name.get_ref().clone(), part), position(text, offset));
            };
            put(Part::Name, raw.name.span().start);
            let ends = [
                (Part::Script, raw.scripts.first().map(|script| script.span().start)),
                (Part::Date, raw.date.as_ref().map(|date| date.span().start)),
                (Part::Listen, raw.listen.as_ref().map(|listen| listen.span().start)),
            ];
            ends.into_iter().for_each(|(part, at)| at.into_iter().for_each(|at| put(part.clone(), at)));
            raw.flags.iter().for_each(|flag| put(Part::Flag(flag.get_ref().clone()), flag.span().start));
            for link in &raw.services {
                let at = link.entrypoint.as_ref().map_or(link.target.span(), |name| name.span());
                put(Part::Target(link.binding.get_ref().clone()), at.start);
            }
            raw.classes
                .iter()
                .for_each(|class| put(Part::Class(class.class.get_ref().clone()), class.class.span().start));
        }
        places
    }

    /// Adds the places of a session that has a file of its own.
    pub(in crate::session) fn add(
        &mut self,
        session: &SessionName,
        file: &Path,
        text: &str,
        parts: Vec<(Part, usize)>,
    ) {
        self.files.insert(session.clone(), file.to_owned());
        let places = parts.into_iter().map(|(part, at)| ((session.clone(), part), position(text, at)));
        self.all.extend(places);
    }

    /// Adds the places of other sessions.
    pub(super) fn extend(&mut self, other: &Self) {
        self.all.extend(other.all.iter().map(|(part, at)| (part.clone(), *at)));
        self.files.extend(other.files.iter().map(|(session, file)| (session.clone(), file.clone())));
    }

    /// The file of a session, if it has one of its own.
    pub fn file(&self, session: &SessionName) -> Option<PathBuf> {
        self.files.get(session).cloned()
    }

    /// Where that part stands; the session's name if the file does not say it in so many words.
    pub fn find(&self, session: &SessionName, part: Part) -> Position {
        let place = |part| self.all.get(&(session.clone(), part)).copied();
        place(part).or_else(|| place(Part::Name)).unwrap_or(Position { line: 1, column: 1 })
    }
}

pub(in crate::session) fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    Position { line, column: before.get(line_start..).unwrap_or("").chars().count() + 1 }
}
