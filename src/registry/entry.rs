//! One entry: what it says, and what is not believed.

use serde_json::{Map, Value, json};

use crate::net::{Endpoint, EndpointError};
use crate::session::Services;

/// Entries are a few hundred bytes long. A worker that consumes hundreds of queues stays below this.
pub const MAX_BYTES: usize = 64 * 1024;

/// Worker names are DNS labels of at most 63 bytes; wrangler's tests use longer ones.
const MAX_NAME: usize = 128;

/// A service's name is made from the worker's.
const MAX_SERVICE: usize = 512;

/// More queues than that consumes nobody.
const MAX_QUEUES: usize = 1_000;

/// Where Miniflare takes schedules that other sessions fire.
const ENTRY_SERVICE: &str = "core:entry";

/// What a worker of another session says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where its workerd's debug port listens.
    pub debug_port: Endpoint,
    /// What its worker is called there.
    pub services: Services,
    /// The queues that it consumes.
    pub queues: Vec<String>,
    /// Made anew by each run of the tool; sessions hold a connection for as long as it stays.
    pub instance: Option<String>,
}

/// Why an entry is passed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The file's name is no worker's.
    #[error(
        "its name is no worker's: use letters, digits, `-`, `_` and `.`, at most {MAX_NAME}, and none of JavaScript's own like `constructor`"
    )]
    Name,
    /// It is no regular file of this user, or too large.
    #[error("{0}")]
    File(String),
    /// It is not the JSON object that it should be.
    #[error("it is not what a registry entry looks like: {0}")]
    Shape(String),
    /// Written by a tool that has no debug port.
    #[error("it was written by a version without a debug port; use wrangler 4.84 or newer")]
    TooOld,
    /// What we publish ourselves, or somebody who tries to reach what only we may.
    #[error("its debug port is a socket of jackfield's own")]
    Ours,
    /// The address leads elsewhere.
    #[error("its debug port is not to be trusted: {0}")]
    Address(#[from] EndpointError),
}

/// Checks a worker's name, which is a file's name too.
pub fn check_worker_name(name: &str) -> Result<(), EntryError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // Names of Object.prototype are fine as files, and to us; but what a JavaScript tool makes of them is not known.
    let prototype = matches!(name, "__proto__" | "constructor" | "prototype");
    let head = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    match head && name.len() <= MAX_NAME && name.chars().all(good) && !prototype {
        true => Ok(()),
        false => Err(EntryError::Name),
    }
}

impl Entry {
    /// Reads an entry, and believes only what it could mean.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let shape = |why: &str| EntryError::Shape(why.to_owned());
        if bytes.len() > MAX_BYTES {
            return Err(shape("it is too long"));
        }
        let value: Value =
            serde_json::from_slice(bytes).map_err(|error| EntryError::Shape(error.to_string()))?;
        let Value::Object(fields) = value else { return Err(shape("it is no object")) };
        let Some(address) = fields.get("debugPortAddress") else {
            let old = fields.contains_key("entrypointAddresses") || fields.contains_key("protocol");
            return Err(if old { EntryError::TooOld } else { shape("`debugPortAddress` is missing") });
        };
        let address = address.as_str().ok_or_else(|| shape("`debugPortAddress` is no text"))?;
        let default = service(&fields, "defaultEntrypointService")?;
        let named = service(&fields, "userWorkerService")?;
        let queues = queues(&fields)?;
        let instance = match fields.get("instanceId") {
            None => None,
            Some(Value::String(text)) if is_plain(text) => Some(text.clone()),
            Some(_) => return Err(shape("`instanceId` is no plain text")),
        };
        let others = queues.iter().map(|queue| Services::of_queue(queue));
        let others = others.chain([ENTRY_SERVICE.to_owned()]).collect();
        let services = Services { default, named, others };
        Ok(Self { debug_port: address.parse()?, services, queues, instance })
    }

    /// The text of the file, with all fields that any version reads.
    pub fn to_json(&self) -> String {
        let mut fields = json!({
            "debugPortAddress": self.debug_port.to_string(),
            "defaultEntrypointService": self.services.default,
            "userWorkerService": self.services.named,
        });
        if !self.queues.is_empty() {
            fields["queueConsumers"] = json!(self.queues);
        }
        if let Some(instance) = &self.instance {
            fields["instanceId"] = json!(instance);
        }
        fields.to_string()
    }
}

fn service(fields: &Map<String, Value>, key: &str) -> Result<String, EntryError> {
    match fields.get(key) {
        Some(Value::String(text)) if is_plain(text) && !text.is_empty() => Ok(text.clone()),
        Some(_) => Err(EntryError::Shape(format!("`{key}` is no plain text"))),
        None => Err(EntryError::Shape(format!("`{key}` is missing"))),
    }
}

fn queues(fields: &Map<String, Value>) -> Result<Vec<String>, EntryError> {
    let Some(value) = fields.get("queueConsumers") else { return Ok(Vec::new()) };
    let refused = || EntryError::Shape("`queueConsumers` is no list of queues".to_owned());
    let all = value.as_array().filter(|all| all.len() <= MAX_QUEUES).ok_or_else(refused)?;
    let name = |value: &Value| value.as_str().filter(|name| is_plain(name)).map(str::to_owned);
    all.iter().map(|value| name(value).ok_or_else(refused)).collect()
}

/// What may be shown on a terminal and passed on.
fn is_plain(text: &str) -> bool {
    text.len() <= MAX_SERVICE && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"{"debugPortAddress":"127.0.0.1:44861","defaultEntrypointService":"core:user:api",
        "userWorkerService":"core:user:api","instanceId":"a-b","queueConsumers":["jobs"],"more":[1]}"#;

    #[test]
    fn what_wrangler_writes_is_read_and_written_again() {
        let entry = Entry::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(entry.debug_port.to_string(), "127.0.0.1:44861");
        assert_eq!(entry.services.default, "core:user:api");
        assert!(entry.services.has("queues:queue:jobs") && entry.services.has("core:entry"));
        assert!(!entry.services.has("loopback"));
        assert_eq!(Entry::parse(entry.to_json().as_bytes()).unwrap(), entry);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_reason() {
        let with = |key: &str, value: Value| {
            let mut entry: Value = serde_json::from_str(GOOD).unwrap();
            entry[key] = value;
            Entry::parse(entry.to_string().as_bytes()).unwrap_err().to_string()
        };
        assert!(with("debugPortAddress", json!("10.0.0.1:80")).contains("not on loopback"));
        assert!(with("debugPortAddress", json!(5)).contains("no text"));
        assert!(with("userWorkerService", json!("a\u{1b}[31m")).contains("no plain text"));
        assert!(with("userWorkerService", json!("x".repeat(600))).contains("no plain text"));
        assert!(with("queueConsumers", json!("jobs")).contains("queueConsumers"));
        assert!(with("queueConsumers", json!(vec!["q"; 1_001])).contains("queueConsumers"));
        let parse = |text: &str| Entry::parse(text.as_bytes()).unwrap_err();
        assert_eq!(parse(r#"{"protocol":"http","host":"localhost","port":1}"#), EntryError::TooOld);
        for text in ["", "[]", "null", "{", "{}", &" ".repeat(MAX_BYTES + 1)] {
            assert!(matches!(parse(text), EntryError::Shape(_)), "{text:?}");
        }
    }

    #[test]
    fn names_are_no_paths() {
        for name in ["api", "my-api", "a.b_c", "_x", "0"] {
            assert_eq!(check_worker_name(name), Ok(()));
        }
        for name in
            ["", ".", "..", "a/b", "-x", "__proto__", "constructor", "a b", "é", "a\0", &"x".repeat(129)]
        {
            assert_eq!(check_worker_name(name), Err(EntryError::Name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Entry::parse(&bytes);
        }
    }
}
