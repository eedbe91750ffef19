//! Names of sessions: `name` or `name@scope`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name or scope, in bytes. Names become parts of file names and of the control API's paths; 63 is what
/// a DNS label allows, so a later URL per session needs no second rule.
pub const MAX_PART: usize = 63;

/// Before the `@` of a fake's name.
const FAKE: &str = "fake";

/// The name of a session. The scope tells two worktrees or branches of one worker apart.
///
/// Both parts are ASCII letters, digits, `.`, `_` and `-`, and begin with a letter or a digit. So a name is never
/// a path, never empty, and never contains the separators of links and targets (`/`, `@`, `#`) or a port's colon.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionName {
    name: String,
    scope: Option<String>,
}

impl SessionName {
    /// A name in a scope.
    ///
    /// # Errors
    /// One of them cannot be a part of a session's name.
    pub fn scoped(name: &str, scope: Option<&str>) -> Result<Self, NameError> {
        match scope {
            Some(scope) => format!("{name}@{scope}").parse(),
            None => name.parse(),
        }
    }

    /// The worker's name, without the scope.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name under which a fake is a session. No project may use it.
    pub fn of_fake(number: u64) -> Self {
        Self { name: FAKE.to_owned(), scope: Some(number.to_string()) }
    }

    /// Whether it is of the form that fakes have.
    pub fn is_of_fake(&self) -> bool {
        let numbered = |scope: &str| scope.bytes().all(|byte| byte.is_ascii_digit());
        self.name == FAKE && self.scope().is_some_and(numbered)
    }

    /// The session that an operator means by this name: that very one, or the only one of that name in any scope.
    #[must_use]
    pub fn meant_among<'a>(self, mut known: impl Iterator<Item = &'a Self> + Clone) -> Self {
        if self.scope.is_some() || known.clone().any(|known| *known == self) {
            return self;
        }
        let mut alike = known.by_ref().filter(|known| known.name == self.name);
        match (alike.next(), alike.next()) {
            (Some(only), None) => only.clone(),
            _ => self,
        }
    }

    /// What stands after the `@`.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Some(scope) => write!(f, "{}@{scope}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl FromStr for SessionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, scope) = match text.split_once('@') {
            Some((name, scope)) => (name, Some(scope)),
            None => (text, None),
        };
        check_part("name", name)?;
        if let Some(scope) = scope {
            check_part("scope", scope)?;
        }
        Ok(Self { name: name.to_owned(), scope: scope.map(str::to_owned) })
    }
}

impl TryFrom<String> for SessionName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<SessionName> for String {
    fn from(name: SessionName) -> Self {
        name.to_string()
    }
}

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing stands where the part should be.
    #[error("the {part} of a session is empty; write `name` or `name@scope`")]
    Empty {
        /// "name" or "scope".
        part: &'static str,
    },
    /// Longer than [`MAX_PART`].
    #[error("the {part} of a session has {length} bytes; at most {MAX_PART} are allowed")]
    TooLong {
        /// "name" or "scope".
        part: &'static str,
        /// What was found.
        length: usize,
    },
    /// A character that is not allowed at that place.
    #[error(
        "`{found}` cannot stand here in the {part} of a session; use ASCII letters, digits, `.`, `_` and `-`, beginning with a letter or a digit"
    )]
    BadCharacter {
        /// "name" or "scope".
        part: &'static str,
        /// The first offender.
        found: char,
    },
    /// A binding that cannot be one.
    #[error(
        "`{found}` cannot be a binding; use a JavaScript identifier of ASCII letters, digits, `_` and `$`, at most {MAX_PART} long"
    )]
    BadBinding {
        /// The whole text.
        found: String,
    },
}

fn check_part(part: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { part });
    }
    if text.len() > MAX_PART {
        return Err(NameError::TooLong { part, length: text.len() });
    }
    let bad = text
        .char_indices()
        .find(|&(at, c)| !(c.is_ascii_alphanumeric() || (at > 0 && matches!(c, '.' | '_' | '-'))));
    match bad {
        Some((_, found)) => Err(NameError::BadCharacter { part, found }),
        None => Ok(()),
    }
}

/// Checks a binding's name, or the name of an entrypoint or class: a JavaScript identifier in ASCII.
///
/// A worker could be given any property name in `env`; an identifier keeps links (`session/BINDING`) and targets
/// (`session#Entrypoint`) unambiguous on the command line, in URLs and in file names.
pub fn check_identifier(text: &str) -> Result<(), NameError> {
    let mut bytes = text.bytes();
    let head = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'$'));
    let tail = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'));
    if head && tail && text.len() <= MAX_PART {
        Ok(())
    } else {
        Err(NameError::BadBinding { found: text.to_owned() })
    }
}

/// Checks what stands behind the `/` of a link: a binding, or where a session calls others by their names, a name.
pub fn check_callee(text: &str) -> Result<(), NameError> {
    check_identifier(text).or_else(|error| check_part("name", text).map_err(|_| error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for text in ["web", "api@green", "a.b-c_d@x.y", "0"] {
            assert_eq!(text.parse::<SessionName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_would_be_a_path_or_a_separator_is_no_name() {
        for text in ["", "@green", "api@", ".", "..", "a/b", "a#B", "a:1", "-x", "a@b@c", "é", "a b"] {
            assert!(text.parse::<SessionName>().is_err(), "{text:?}");
        }
        assert!("x".repeat(MAX_PART + 1).parse::<SessionName>().is_err());
    }

    #[test]
    fn identifiers() {
        for text in ["API", "_a", "$x1"] {
            assert_eq!(check_identifier(text), Ok(()));
        }
        for text in ["", "1a", "a-b", "a/b", "a b"] {
            assert!(check_identifier(text).is_err(), "{text:?}");
        }
    }
}
