//! Text to raw sessions: shape, types, keys and the form of names. Nothing here looks at another session or a file.

use std::net::SocketAddr;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Var;
use super::problem::Problems;
use super::reader::{Reader, Value};
use crate::session::name::SessionName;
use crate::session::nearest::Nearest;

/// A session as it is written.
#[derive(Debug)]
pub(super) struct RawSession {
    pub name: Spanned<SessionName>,
    pub scripts: Vec<Spanned<String>>,
    pub date: Option<Spanned<String>>,
    pub listen: Option<Spanned<SocketAddr>>,
    pub flags: Vec<Spanned<String>>,
    pub vars: Vec<(Spanned<String>, Var)>,
    pub services: Vec<RawService>,
    pub actors: Vec<RawActor>,
    pub classes: Vec<RawClass>,
}

#[derive(Debug)]
pub(super) struct RawService {
    pub binding: Spanned<String>,
    pub target: Spanned<SessionName>,
    pub entrypoint: Option<Spanned<String>>,
    pub props: Option<serde_json::Map<String, serde_json::Value>>,
    pub accept_props: bool,
}

#[derive(Debug)]
pub(super) struct RawActor {
    pub binding: Spanned<String>,
    pub target: Spanned<SessionName>,
    pub class: Spanned<String>,
}

#[derive(Debug)]
pub(super) struct RawClass {
    pub class: Spanned<String>,
    pub stored: bool,
    pub unique_key: Option<Spanned<String>>,
    pub binding: Option<Spanned<String>>,
}

const SESSION_KEYS: &[&str] = &[
    "script",
    "modules",
    "compatibility_date",
    "compatibility_flags",
    "listen",
    "vars",
    "services",
    "actors",
    "durable_objects",
];
const SERVICE_KEYS: &[&str] = &["target", "entrypoint", "props", "accept_props"];
const CLASS_KEYS: &[&str] = &["storage", "unique_key", "binding"];
const STORAGES: &[&str] = &["stored", "ephemeral"];

/// Reads as much as can be read and says what cannot.
pub(super) fn read(text: &str) -> (Vec<RawSession>, Problems) {
    let mut reader = Reader::default();
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().unwrap_or(0..0);
        reader.problems.add(at, "this is not TOML", error.message().replace('\n', ", "));
    }
    // What recovery made of broken text would only add problems that are none.
    if !reader.problems.is_empty() {
        return (Vec::new(), reader.problems);
    }
    let sessions = reader.document(document.get_ref());
    (sessions, reader.problems)
}

impl Reader {
    fn document(&mut self, document: &DeTable<'_>) -> Vec<RawSession> {
        self.keys(document, "a project", &["sessions"]);
        let Some(sessions) = document.get("sessions") else {
            self.problems.add(
                0..0,
                "no session is declared",
                "declare at least one: `[sessions.web]` with a `script` and a `compatibility_date`",
            );
            return Vec::new();
        };
        let Some(table) = self.table(sessions, "`sessions`") else { return Vec::new() };
        if table.is_empty() {
            self.problems.add(sessions.span(), "no session is declared", "declare one: `[sessions.web]`");
        }
        let mut read: Vec<_> = table
            .iter()
            .filter_map(|(name, value)| self.session(name.span(), name.get_ref(), value))
            .collect();
        read.sort_by_key(|session| session.name.span().start);
        read
    }

    fn session(&mut self, at: Range<usize>, name: &str, value: &Value<'_>) -> Option<RawSession> {
        let name = self.session_name(at, name);
        let table = self.table(value, "a session")?;
        self.keys(table, "a session", SESSION_KEYS);
        let name = name?;
        Some(RawSession {
            scripts: self.scripts(&name, table),
            date: table.get("compatibility_date").and_then(|value| self.date(value)),
            listen: table.get("listen").and_then(|value| self.listen(value)),
            flags: self.flags(table.get("compatibility_flags")),
            vars: self.vars(table.get("vars")),
            services: self.entries(table.get("services"), "`services`", Self::service),
            actors: self.entries(table.get("actors"), "`actors`", Self::actor),
            classes: self.entries(table.get("durable_objects"), "`durable_objects`", Self::class),
            name,
        })
    }

    fn scripts(&mut self, name: &Spanned<SessionName>, table: &DeTable<'_>) -> Vec<Spanned<String>> {
        match (table.get("script"), table.get("modules")) {
            (Some(script), None) => self.text(script, "`script`").into_iter().collect(),
            (None, Some(modules)) => {
                let list = self.spanned_texts(modules, "`modules`");
                if list.is_empty() {
                    self.problems.add(
                        modules.span(),
                        "`modules` names no file",
                        "name the main module first",
                    );
                }
                list
            }
            (Some(_), Some(modules)) => {
                self.problems.add(
                    modules.span(),
                    format!("session `{}` has both `script` and `modules`", name.get_ref()),
                    "write `script` for one file, or `modules` for several, the main one first",
                );
                Vec::new()
            }
            (None, None) => {
                self.problems.add(
                    name.span(),
                    format!("session `{}` has no script", name.get_ref()),
                    "add `script = \"file.js\"`, or `modules = [\"main.js\", …]`",
                );
                Vec::new()
            }
        }
    }

    fn date(&mut self, value: &Value<'_>) -> Option<Spanned<String>> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(date) => date.to_string(),
            _ => String::new(),
        };
        let digits = |range: Range<usize>| {
            text.get(range).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let dashes = [4, 7].iter().all(|&at| text.as_bytes().get(at) == Some(&b'-'));
        if text.len() == 10 && dashes && digits(0..4) && digits(5..7) && digits(8..10) && is_day(&text) {
            return Some(Spanned::new(value.span(), text));
        }
        self.problems.add(value.span(), "this is not a date", "write it as `\"YYYY-MM-DD\"`");
        None
    }

    /// Which ones there are is for workerd to say.
    fn flags(&mut self, value: Option<&Value<'_>>) -> Vec<Spanned<String>> {
        value.map(|value| self.spanned_texts(value, "`compatibility_flags`")).unwrap_or_default()
    }

    /// A worker under development is nobody else's business, so other machines are kept out whatever the file says.
    fn listen(&mut self, value: &Value<'_>) -> Option<Spanned<SocketAddr>> {
        let text = self.text(value, "`listen`")?;
        let why = "write an address of this machine with a port: `\"127.0.0.1:8787\"` or `\"[::1]:8787\"`";
        match text.get_ref().parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() && address.port() > 0 => {
                return Some(Spanned::new(value.span(), address));
            }
            Ok(address) if address.ip().is_loopback() => {
                self.problems.add(value.span(), format!("`{address}` has no port"), why);
            }
            Ok(address) => {
                let what = format!("`{}` could be reached from other machines", address.ip());
                self.problems.add(value.span(), what, why);
            }
            Err(_) => self.problems.add(value.span(), format!("`{}` is no address", text.get_ref()), why),
        }
        None
    }

    fn vars(&mut self, value: Option<&Value<'_>>) -> Vec<(Spanned<String>, Var)> {
        let Some(table) = value.and_then(|value| self.table(value, "`vars`")) else { return Vec::new() };
        let mut vars = Vec::new();
        for (key, value) in table {
            let name = self.identifier(key.span(), key.get_ref(), "binding");
            let var = match value.get_ref() {
                DeValue::String(text) => Some(Var::Text(text.to_string())),
                other => self.json(value.span(), other).map(Var::Json),
            };
            vars.extend(name.zip(var));
        }
        vars
    }

    fn service(&mut self, binding: Spanned<String>, value: &Value<'_>) -> Option<RawService> {
        if let DeValue::String(text) = value.get_ref() {
            let (target, entrypoint) = self.target(value.span(), text)?;
            return Some(RawService { binding, target, entrypoint, props: None, accept_props: false });
        }
        let table = self.table(value, "a service link")?;
        self.keys(table, "a service link", SERVICE_KEYS);
        let entrypoint = table.get("entrypoint").and_then(|value| {
            let text = self.text(value, "`entrypoint`")?;
            self.identifier(text.span(), text.get_ref(), "entrypoint")
        });
        let props = table.get("props").and_then(|value| {
            self.table(value, "`props`")?;
            match self.json(value.span(), value.get_ref())? {
                serde_json::Value::Object(map) => Some(map),
                _ => None,
            }
        });
        let accept_props = table.get("accept_props").and_then(|value| self.flag(value, "`accept_props`"));
        let Some(target) = table.get("target") else {
            self.problems.add(
                value.span(),
                format!("the link `{}` has no target", binding.get_ref()),
                "add `target = \"session\"`",
            );
            return None;
        };
        let text = self.text(target, "`target`")?;
        let (target, in_target) = self.target(text.span(), text.get_ref())?;
        if let (Some(_), Some(second)) = (&in_target, &entrypoint) {
            self.problems.add(
                second.span(),
                "the entrypoint is named twice",
                "write it once: `target = \"session#Entrypoint\"`, or as `entrypoint`",
            );
        }
        let entrypoint = in_target.or(entrypoint);
        let accept_props = accept_props.unwrap_or_default();
        Some(RawService { binding, target, entrypoint, props, accept_props })
    }

    fn actor(&mut self, binding: Spanned<String>, value: &Value<'_>) -> Option<RawActor> {
        let text = self.text(value, "an actor link")?;
        match self.target(text.span(), text.get_ref())? {
            (target, Some(class)) => Some(RawActor { binding, target, class }),
            (target, None) => {
                self.problems.add(
                    text.span(),
                    format!("the actor link `{}` names no class", binding.get_ref()),
                    format!("write `\"{}#Class\"`", target.get_ref()),
                );
                None
            }
        }
    }

    fn class(&mut self, class: Spanned<String>, value: &Value<'_>) -> Option<RawClass> {
        if let DeValue::String(text) = value.get_ref() {
            let stored = self.storage(value.span(), text)?;
            return Some(RawClass { class, stored, unique_key: None, binding: None });
        }
        let table = self.table(value, "a Durable Object class")?;
        self.keys(table, "a Durable Object class", CLASS_KEYS);
        let unique_key = table.get("unique_key").and_then(|value| self.text(value, "`unique_key`"));
        let binding = table.get("binding").and_then(|value| {
            let text = self.text(value, "`binding`")?;
            self.identifier(text.span(), text.get_ref(), "binding")
        });
        let Some(storage) = table.get("storage") else {
            self.problems.add(
                value.span(),
                format!("the class `{}` does not say how its objects are kept", class.get_ref()),
                "add `storage = \"stored\"` or `storage = \"ephemeral\"`",
            );
            return None;
        };
        let text = self.text(storage, "`storage`")?;
        let stored = self.storage(text.span(), text.get_ref())?;
        if let (false, Some(key)) = (stored, &unique_key) {
            self.problems.add(
                key.span(),
                "an ephemeral class has no unique key",
                "its ids are plain strings; remove `unique_key`, or write `storage = \"stored\"`",
            );
        }
        Some(RawClass { class, stored, unique_key, binding })
    }

    fn storage(&mut self, at: Range<usize>, text: &str) -> Option<bool> {
        if STORAGES.contains(&text) {
            return Some(text == "stored");
        }
        self.problems.add_near(
            at,
            format!("`{text}` is no way to keep objects"),
            "use \"stored\" (on disk) or \"ephemeral\" (in memory)",
            Nearest::of(text, STORAGES).0,
        );
        None
    }
}

/// Whether the calendar has the day `YYYY-MM-DD`. Some versions of workerd take `2026-02-31`, and none says what it
/// means.
fn is_day(text: &str) -> bool {
    let part = |range: Range<usize>| text.get(range).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}
