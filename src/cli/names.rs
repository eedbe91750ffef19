//! Names as people read them: the scope stands only where a name is not unique.

use std::collections::HashMap;

use super::failure::Failure;
use super::place::Place;
use crate::control::shape::SessionRow;
use crate::router::{Aim, LinkName};
use crate::session::SessionName;

/// The sessions there are, by their names without a scope.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, usize>);

impl Names {
    pub(super) fn of(sessions: &[SessionRow]) -> Self {
        Self::among(sessions.iter().map(|row| &row.session))
    }

    /// As a daemon knows them.
    pub(super) async fn at(place: &Place) -> Result<Self, Failure> {
        Ok(Self::of(&place.client().sessions().await?.sessions))
    }

    /// As long as there are no others.
    pub(super) fn among<'a>(sessions: impl Iterator<Item = &'a SessionName>) -> Self {
        let mut counts = HashMap::new();
        for session in sessions {
            *counts.entry(session.name().to_owned()).or_default() += 1;
        }
        Self(counts)
    }

    /// Good to type again: a name without a scope means the only one of that name. A fake's number is all of its name.
    pub(super) fn session(&self, session: &SessionName) -> String {
        match self.0.get(session.name()) {
            Some(1) if !session.is_of_fake() => session.name().to_owned(),
            _ => session.to_string(),
        }
    }

    pub(super) fn link(&self, LinkName { session, binding }: &LinkName) -> String {
        format!("{}/{binding}", self.session(session))
    }

    pub(super) fn aim(&self, Aim { session, export }: &Aim) -> String {
        match export {
            Some(export) => format!("{}#{export}", self.session(session)),
            None => self.session(session),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_stands_where_a_name_is_not_unique() {
        let all: Vec<SessionName> =
            ["web@main", "api", "api@x", "fake@1"].iter().map(|name| name.parse().unwrap()).collect();
        let names = Names::among(all.iter());
        let shown: Vec<_> = all.iter().map(|name| names.session(name)).collect();
        assert_eq!(shown, ["web", "api", "api@x", "fake@1"]);
        assert_eq!(names.link(&"web@main/API".parse().unwrap()), "web/API");
        assert_eq!(names.aim(&"web@main#Admin".parse().unwrap()), "web#Admin");
        assert_eq!(names.session(&"gone@x".parse().unwrap()), "gone@x");
    }
}
