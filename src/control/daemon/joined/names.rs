//! What a worker that joined is called as a session.

use crate::router::{Origin, Snapshot};
use crate::session::name::MAX_PART;
use crate::session::{NameError, SessionName};

/// The name itself, unless a session that lives has it: then with a number behind its scope.
pub(super) fn free(
    table: &Snapshot,
    name: &str,
    scope: Option<&str>,
    lives: impl Fn(&SessionName) -> bool,
) -> Result<SessionName, NameError> {
    let mut free = SessionName::scoped(name, scope)?;
    let mut number = 1;
    while free.is_of_fake() || lives(&free) || is_of_another_kind(table, &free) {
        number += 1;
        let scope = scope.map_or_else(|| number.to_string(), |scope| numbered(scope, number));
        free = SessionName::scoped(name, Some(&scope))?;
    }
    Ok(free)
}

/// Whether the name belongs to a session that did not join. What a guest has left behind is anybody's.
pub(super) fn is_of_another_kind(table: &Snapshot, name: &SessionName) -> bool {
    table.session(name).is_some_and(|session| !session.origin.is_joined() && session.origin != Origin::Left)
}

/// A scope with a number behind it, which is no longer than a scope may be.
fn numbered(scope: &str, number: u32) -> String {
    let end = format!("-{number}");
    let kept: String = scope.chars().take(MAX_PART.saturating_sub(end.len())).collect();
    kept + &end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::{Change, Links};

    #[test]
    fn a_number_tells_those_apart_who_would_have_the_same_name() {
        let links = Links::new();
        let name = |text: &str| text.parse::<SessionName>().unwrap();
        let define =
            |text: &str| Change::DefineSession { session: name(text), classes: Vec::new(), exports: None };
        links.change(vec![define("api"), define("api@x-2")], None).unwrap();
        links.change(vec![Change::JoinSession(name("db"), Origin::Run)], None).unwrap();
        let free = |text: &str, scope: Option<&str>, living: &[&str]| {
            let lives = |found: &SessionName| living.contains(&found.to_string().as_str());
            free(&links.load(), text, scope, lives).unwrap().to_string()
        };
        assert_eq!(free("web", None, &[]), "web");
        assert_eq!(free("api", None, &[]), "api@2", "the project's name");
        assert_eq!(free("api", Some("x"), &["api@x"]), "api@x-3");
        assert_eq!(free("db", None, &[]), "db", "its predecessor has ended");
        assert_eq!(free("db", None, &["db"]), "db@2");
        assert_eq!(free("fake", Some("7"), &[]), "fake@7-2", "what fakes are called");
        let long = "b".repeat(MAX_PART);
        let taken = format!("db@{long}");
        assert_eq!(free("db", Some(&long), &[&taken]), format!("db@{}-2", "b".repeat(MAX_PART - 2)));
    }
}
