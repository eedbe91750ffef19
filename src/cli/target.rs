//! Whom a command speaks to, as it is typed: `SERVICE`, `SERVICE#ENTRYPOINT` or `SERVICE#CLASS/name:ROOM`.

use std::fmt;
use std::str::FromStr;

use super::failure::Failure;
use crate::wire::actor_id::{ActorId, ActorIdError};

/// Something on which an event starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// A service of a debug port, or a session of the running router.
    pub(super) service: String,
    pub(super) export: Export,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Export {
    Default,
    Entrypoint(String),
    Actor { class: String, id: Id },
}

/// Which object of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// As `idFromName` takes it: becomes an id by the unique key of its class.
    Name(String),
    /// As `idFromString` takes it.
    Hex(ActorId),
    /// Of an ephemeral class.
    Plain(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetError {
    #[error("`{0}` names no service")]
    NoService(String),
    #[error("`{0}` names nothing behind its `#`")]
    NoExport(String),
    #[error("`{0}` does not say which object: `{1}` begins with neither `name:`, `id:` nor `str:`")]
    NoObject(String, String),
    #[error(transparent)]
    Id(#[from] ActorIdError),
}

impl Target {
    /// As [`FromStr`], for what somebody typed.
    pub(super) fn typed(text: &str) -> Result<Self, Failure> {
        text.parse().map_err(|error: TargetError| {
            let hint = match &error {
                TargetError::Id(_) => {
                    "give all that `ctx.id.toString()` says in the worker, or a name, as `name:`"
                }
                TargetError::NoObject(..) => {
                    "write it as SERVICE#CLASS/name:ROOM, .../id:HEX or .../str:PLAIN"
                }
                _ => "write it as SERVICE, SERVICE#ENTRYPOINT or SERVICE#CLASS/name:ROOM",
            };
            Failure::usage(error).hint(hint)
        })
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (service, export) = match text.split_once('#') {
            None => (text, None),
            Some((service, export)) => (service, Some(export)),
        };
        if service.is_empty() {
            return Err(TargetError::NoService(text.to_owned()));
        }
        let export = match export {
            None => Export::Default,
            Some(export) => match export.split_once('/') {
                Some(("", _)) => return Err(TargetError::NoExport(text.to_owned())),
                Some((class, id)) => Export::Actor { class: class.to_owned(), id: object(text, id)? },
                None if export == "default" => Export::Default,
                None if export.is_empty() => return Err(TargetError::NoExport(text.to_owned())),
                None => Export::Entrypoint(export.to_owned()),
            },
        };
        Ok(Target { service: service.to_owned(), export })
    }
}

/// Names may contain anything, another `/` or `:` too.
fn object(text: &str, id: &str) -> Result<Id, TargetError> {
    let no_object = || TargetError::NoObject(text.to_owned(), id.to_owned());
    match id.split_once(':').ok_or_else(no_object)? {
        ("name", name) => Ok(Id::Name(name.to_owned())),
        ("id", hex) => Ok(Id::Hex(ActorId::from_hex(hex)?)),
        ("str", plain) => Ok(Id::Plain(plain.to_owned())),
        _ => Err(no_object()),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.service)?;
        match &self.export {
            Export::Default => Ok(()),
            Export::Entrypoint(name) => write!(f, "#{name}"),
            Export::Actor { class, id: Id::Name(name) } => write!(f, "#{class}/name:{name}"),
            Export::Actor { class, id: Id::Hex(id) } => write!(f, "#{class}/id:{id}"),
            Export::Actor { class, id: Id::Plain(plain) } => write!(f, "#{class}/str:{plain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_comes_out_again() {
        let hex = "0123456789abcdef".repeat(4);
        let actor = format!("api#Room/id:{hex}");
        for text in [
            "api",
            "api@green",
            "core:user:api",
            "api#Admin",
            "api@green#Room/name:a/b:c#d",
            "api#Room/str:",
            &actor,
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for text in [
            "",
            "#Admin",
            "api#",
            "api#/name:x",
            "api#Room/",
            "api#Room/lobby",
            "api#Room/id:12",
            "api#Room/key:x",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
