//! A calling and a called worker in two workerd processes, and what may stand between them.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::http;
use super::running::{Running, folder, modules};

/// The header that carries `request.cf` between the processes of a test.
pub const CF_HEADER: &str = "x-test-cf";

/// The name in CONNECT that asks for Cap'n Proto; it has no port, so no worker's own `connect()` can say it.
pub const CONNECT_HOST: &str = "link";

/// What the caller can reach by link: the name of the link and the entrypoint of the target behind it.
pub const LINKS: [(&str, Option<&str>); 4] =
    [("api", None), ("admin", Some("Admin")), ("broken", Some("Broken")), ("plain", Some("plain"))];

/// The props with which the target's `Admin` entrypoint is reached, however it is reached.
pub fn admin_props() -> Value {
    json!({ "tier": "gold", "limits": { "seats": [1, 2, null] } })
}

/// The two ways from the caller to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// An `external` service with `capnpConnectHost`.
    Link,
    /// A `workerdDebugPort` binding.
    Debug,
}

impl Via {
    /// The word that the calling worker knows it by.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Debug => "debug",
        }
    }
}

/// The called process. One socket per link, named like it, and the debug port.
pub struct Target(pub Running);

impl Target {
    pub fn start() -> Self {
        let sockets: Vec<_> =
            LINKS.iter().map(|(name, entrypoint)| target_socket(name, *entrypoint)).collect();
        let config = format!(
            r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "target", worker = (
    modules = [{}],
    compatibilityDate = "2026-11-01", compatibilityFlags = ["experimental", "enable_request_signal"],
    durableObjectNamespaces = [(className = "Room", uniqueKey = "room"), (className = "Ephemeral", ephemeralLocal = void)],
    durableObjectStorage = (inMemory = void)))],
  sockets = [{}]);
"#,
            modules("target/main.js"),
            sockets.join(", "),
        );
        Self(Running::start(folder(), &config, &LINKS.map(|(name, _)| name)))
    }

    /// The socket of the entrypoint that the link `name` leads to.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }
}

/// Where the calling process finds things: the target itself, or whatever stands in between.
pub struct Reach {
    /// For each of [`LINKS`] the unix socket that an `external` service is given.
    pub links: BTreeMap<&'static str, PathBuf>,
    /// The unix socket that a `workerdDebugPort` binding connects to.
    pub debug: PathBuf,
    /// For each name that cases use, the arguments of getEntrypoint, or those of getActor but for the id.
    pub names: Value,
}

/// Something between caller and target, alive for as long as this is.
pub struct Middle {
    pub reach: Reach,
    /// Whatever has to live: listeners, tasks, folders.
    pub _keeps: Box<dyn Any + Send + Sync>,
}

/// Nothing in between: what every middle is measured against.
pub fn direct(target: &Target) -> Middle {
    let links = LINKS.map(|(name, _)| (name, target.socket(name))).into();
    let reach = Reach { links, debug: target.0.debug_socket(), names: debug_names() };
    Middle { reach, _keeps: Box::new(()) }
}

/// The names as the target's own debug port knows them.
pub fn debug_names() -> Value {
    json!({
        "api": ["target"],
        "admin": ["target", "Admin", admin_props()],
        "broken": ["target", "Broken"],
        "plain": ["target", "plain"],
        "room": ["target", "Room"],
        "ephemeral": ["target", "Ephemeral"],
    })
}

/// The calling process.
pub struct Caller(Running);

impl Caller {
    pub fn start(reach: &Reach) -> Self {
        let externals: Vec<_> = reach.links.iter().map(|(name, socket)| external(name, socket)).collect();
        let bindings: Vec<_> = reach
            .links
            .keys()
            .map(|name| format!(r#"(name = "{}", service = "{name}")"#, name.to_uppercase()))
            .collect();
        let config = format!(
            r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "caller", worker = (
    modules = [{}],
    compatibilityDate = "2026-11-01", compatibilityFlags = ["experimental"],
    bindings = [{},
      (name = "SELF", service = "caller"), (name = "DEBUG", workerdDebugPort = void),
      (name = "DEBUG_ADDRESS", text = {}), (name = "NAMES", json = {})])),
    {}],
  sockets = [(name = "in", address = {}, http = (), service = "caller")]);
"#,
            modules("caller/main.js"),
            bindings.join(", "),
            text(&format!("unix:{}", reach.debug.display())),
            text(&reach.names.to_string()),
            externals.join(", "),
            text("unix:in"),
        );
        Self(Running::start(folder(), &config, &["in"]))
    }

    /// The names of all cases that can be run by this way.
    pub async fn cases(&self, via: Via) -> Vec<String> {
        let list = self.get(&format!("/cases?via={}", via.word())).await.expect("the list of cases");
        serde_json::from_str(&list).expect("a list of names")
    }

    /// Runs one case and gives what the worker observed, as indented JSON.
    pub async fn run(&self, via: Via, case: &str) -> Result<String, String> {
        // The same key in every process: what a case tells may contain it.
        let key = format!("{}:{case}", via.word());
        self.get(&format!("/case/{}?via={}&key={}", escape(case), via.word(), escape(&key))).await
    }

    async fn get(&self, path: &str) -> Result<String, String> {
        http::get(&self.0.path("in"), path).await
    }

    /// What the calling process wrote on its standard error so far.
    pub fn said(&self) -> String {
        self.0.said()
    }
}

fn target_socket(name: &str, entrypoint: Option<&str>) -> String {
    let service = match entrypoint {
        None => r#""target""#.to_owned(),
        Some(class @ "Admin") => {
            let props = text(&admin_props().to_string());
            format!(r#"(name = "target", entrypoint = "{class}", props = (json = {props}))"#)
        }
        Some(other) => format!(r#"(name = "target", entrypoint = "{other}")"#),
    };
    format!(r#"(name = "{name}", address = "unix:{name}", http = {}, service = {service})"#, http_options())
}

fn external(name: &str, socket: &Path) -> String {
    let address = text(&format!("unix:{}", socket.display()));
    format!(r#"(name = "{name}", external = (address = {address}, http = {}))"#, http_options())
}

fn http_options() -> String {
    format!(r#"(style = proxy, cfBlobHeader = "{CF_HEADER}", capnpConnectHost = "{CONNECT_HOST}")"#)
}

/// A text literal of the config language, which escapes as JSON does for everything that occurs here.
fn text(value: &str) -> String {
    Value::from(value).to_string()
}

fn escape(value: &str) -> String {
    let mut escaped = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => escaped.push(char::from(byte)),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}
