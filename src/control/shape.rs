//! The JSON of the control API. Stable: fields are added, never renamed or taken away.
//!
//! Times are milliseconds since the Unix epoch.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::router::{Aim, Choice, Kind, LinkName, Origin, Revision};
use crate::session::SessionName;

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// The `jackfield.toml` it runs.
    pub project: PathBuf,
    /// A debug port for the user's own tools: its services are the sessions.
    pub port: PathBuf,
    /// The ingress, where browsers find a list of the sessions; `null` if it could not listen.
    #[serde(default)]
    pub ingress: Option<String>,
    /// When it started.
    pub since_ms: u64,
    /// Of the table at this moment.
    pub revision: Revision,
    /// How many sessions there are.
    pub sessions: usize,
    /// How many of them take events.
    pub sessions_up: usize,
    /// How many links there are.
    pub links: usize,
    /// What went over all links since the daemon started.
    pub events: Events,
}

/// Counts of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// All that began.
    pub began: u64,
    /// Of those, the ones that had to wait for their target.
    pub parked: u64,
    /// Those that were not served: no target in time, or no such link.
    pub failed: u64,
    /// Those that were delivered and failed as retryable, since their target's process ended.
    pub broken: u64,
    /// Those that `--cut` broke, and WebSockets whose target had to end before its successor.
    pub cut: u64,
}

/// `GET /v1/sessions`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    /// Of the table that this was read from.
    pub revision: Revision,
    /// By name.
    pub sessions: Vec<SessionRow>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRow {
    /// `name` or `name@scope`.
    pub session: SessionName,
    /// The generation that listens; `null` while none does.
    pub generation: Option<u64>,
    /// Whether it takes events.
    pub state: State,
    /// Why it does not.
    pub why: Option<String>,
    /// When it entered this state.
    pub since_ms: u64,
    /// The workerd that listens.
    pub pid: Option<u32>,
    /// Entrypoints that links may lead to; `default` is the default export.
    pub entrypoints: Vec<String>,
    /// Durable Object classes.
    pub classes: Vec<String>,
    /// Of the classes whose objects are stored: what ids are made from.
    pub unique_keys: BTreeMap<String, String>,
    /// The file that it answers by, if it is a fake: those take every entrypoint's name.
    #[serde(default)]
    pub fake: Option<PathBuf>,
    /// Whether it was not started by jackfield.
    #[serde(default)]
    pub joined: bool,
    /// Where it comes from.
    #[serde(default)]
    pub origin: Origin,
    /// What its worker is called at its debug port.
    #[serde(default)]
    pub services: Vec<String>,
    /// What it runs on, such as `workerd 1.20261117.1`, where that is known.
    #[serde(default)]
    pub workerd: Option<String>,
    /// The tool that has started it, such as `wrangler 4.164.0`, where others have.
    #[serde(default)]
    pub tool: Option<String>,
    /// Resident memory of its workerd, where the system tells.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Where a browser or curl reaches the default entrypoint: where the project says, else through the daemon's
    /// ingress.
    pub url: Option<String>,
    /// Where each entrypoint is reached through the daemon's ingress, `default` among them.
    #[serde(default)]
    pub urls: BTreeMap<String, String>,
}

/// Whether a session takes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Events wait for it.
    Starting,
    /// It takes events.
    Up,
    /// Its process is stopped: it takes events, which wait in it until the process goes on.
    Stopped,
    /// Events wait for a restart, for a time.
    Down,
}

/// `GET /v1/links`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Links {
    /// Of the table that this was read from; good as `expected_revision`.
    pub revision: Revision,
    /// By name.
    pub links: Vec<LinkRow>,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkRow {
    /// `session/BINDING`.
    pub link: LinkName,
    /// What the binding is.
    pub kind: Kind,
    /// The rule that chooses its target; `null` where the project file or an operator did.
    #[serde(default)]
    pub rule: Option<Rule>,
    /// `session` or `session#Export`.
    pub target: Aim,
    /// What the link adds to the target's `ctx.props`.
    pub props: Option<Value>,
    /// Whether callers may add props of their own.
    #[serde(default)]
    pub accepts_props: bool,
    /// The revision that set the target.
    pub revision: Revision,
    /// The target session's.
    pub state: State,
    /// Why the target takes no events.
    pub why: Option<String>,
    /// The file of the fake that the target is.
    #[serde(default)]
    pub fake: Option<PathBuf>,
    /// Who holds its targets: HTTP events, and callers' connections to targets, which are kept between RPC events.
    pub leases: usize,
}

/// `GET /v1/explain?link=NAME`: what becomes of the events of a link, or of a session, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Of the table that this was read from.
    pub revision: Revision,
    /// The link that was asked about; `null` where it was a session.
    pub link: Option<LinkName>,
    /// What chooses the target; `null` for a session.
    pub rule: Option<Rule>,
    /// The rule in words.
    pub because: Option<String>,
    /// Where events go; `null` if nothing fits.
    pub target: Option<Aim>,
    /// The target's session, or the one that was asked about.
    pub session: Option<SessionRow>,
    /// All sessions that could be meant, by name.
    pub candidates: Vec<Candidate>,
    /// Why the caller cannot call methods of the target although both are up: their versions do not fit.
    #[serde(default)]
    pub misfit: Option<String>,
    /// Events that wait at this moment.
    pub waiting: usize,
    /// Why an event was last not served. Not what a worker threw.
    pub last_error: Option<LastError>,
    /// The likest name, where nothing fits.
    pub nearest: Option<String>,
    /// The links that lead there, for a session.
    pub callers: Vec<LinkName>,
    /// What to do, most useful first; empty if all is well.
    pub next: Vec<String>,
}

/// What chooses the target of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The project names it.
    Project,
    /// An operator moved the link.
    Operator,
    /// It is the session of that name in the caller's own scope.
    SameScope,
    /// It is the only session of that name.
    OnlyOne,
    /// Nothing does: several have the name, and none is in the caller's scope.
    Ambiguous,
    /// Nothing does: no session has the name.
    Missing,
}

impl From<&Choice> for Rule {
    fn from(choice: &Choice) -> Self {
        match choice {
            Choice::SameScope(_) => Self::SameScope,
            Choice::Only(_) => Self::OnlyOne,
            Choice::Ambiguous(_) => Self::Ambiguous,
            Choice::Missing { .. } => Self::Missing,
        }
    }
}

/// A session that a link could lead to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Which; what stands in a registry and cannot be a session has the name of its file.
    pub session: String,
    /// Whether it is the target.
    pub taken: bool,
    /// Whether it takes events; `null` if it is no session.
    pub state: Option<State>,
    /// Why it is not the target.
    pub why_not: Option<String>,
}

/// Why an event was not served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// What its caller was told.
    pub message: String,
    /// When.
    pub at_ms: u64,
}

/// `POST /v1/links`: all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    /// Each link at most once.
    pub changes: Vec<Move>,
    /// Refuse if a link has changed after this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_revision: Option<Revision>,
    /// Break what began before the change instead of letting it end.
    #[serde(default)]
    pub cut: bool,
    /// Answer only when all that began before the change has ended.
    #[serde(default)]
    pub wait: bool,
}

/// Moves one link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// Which one.
    pub link: LinkName,
    /// Where to.
    pub target: Aim,
    /// Its props from now on; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub props: Option<Value>,
}

/// `POST /v1/fakes`: leads links to a fake; all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FakeRequest {
    /// Each link at most once.
    pub links: Vec<LinkName>,
    /// Where the fake came from, for messages and lists.
    pub file: PathBuf,
    /// What is in that file.
    pub fake: Value,
    /// Refuse if a link has changed after this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_revision: Option<Revision>,
    /// Break what began before the change instead of letting it end.
    #[serde(default)]
    pub cut: bool,
    /// Answer only when all that began before the change has ended.
    #[serde(default)]
    pub wait: bool,
}

/// The answer to `POST /v1/links` and `POST /v1/fakes`, given once every event that begins goes by the new table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// The revision from which on the changes hold.
    pub revision: Revision,
    /// The links that were asked for, as they are now.
    pub links: Vec<LinkRow>,
}

/// `POST /v1/runs`: gives a command a registry of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The process at whose end the run is over.
    pub pid: i32,
    /// What its session is called, instead of what its worker is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The scope of its sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The folder that the command takes for the registry already: it was told so by a daemon that was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<PathBuf>,
}

/// The answer to `POST /v1/runs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The folder that the command shall take for the registry.
    pub registry: PathBuf,
}

/// `POST /v1/attached`: makes a session of a debug port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// Where it listens, on this machine.
    pub address: String,
    /// What the session is called.
    pub name: String,
    /// Its scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The service of its worker; like the session if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// The answer to `POST /v1/attached`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The session.
    pub session: SessionName,
}

/// `POST /v1/places`: leads places in what was bundled back to the sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Places {
    /// Whose places.
    pub session: SessionName,
    /// Stack traces, or any other texts that name places.
    pub texts: Vec<String>,
}

/// The answer to `POST /v1/places`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The same texts, unchanged where no sources are known.
    pub texts: Vec<String>,
}

/// The answer to `POST /v1/reload`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The revision from which on the project's new state holds.
    pub revision: Revision,
    /// Sessions that the file had not named before.
    pub added: Vec<SessionName>,
    /// Sessions that run as a new generation.
    pub restarted: Vec<SessionName>,
    /// Sessions that the file no longer names.
    pub removed: Vec<SessionName>,
    /// Links that the file made, moved or took away.
    pub relinked: Vec<LinkName>,
}

/// The answer to `GET /v1/end`, given when the daemon begins to stop, and to `POST /v1/dev/end`. One that is killed gives
/// none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The daemon.
    pub pid: u32,
}

/// `POST /v1/dev/end`: ends what a `POST /v1/dev` began, once its calls have. What is told goes on to the last; whoever
/// stops listening then ends the calls too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndDev {
    /// The number that the answer's header [`GUEST`] says.
    pub guest: u64,
}

/// The header of the answer to `POST /v1/dev` by which it can be ended.
pub const GUEST: &str = "jackfield-guest";

/// The answer to `POST /v1/down`, given when every session has stopped and the folder is free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stopped {
    /// The daemon, which ends after this answer.
    pub pid: u32,
    /// The sessions that were stopped.
    pub sessions: Vec<SessionName>,
}

/// A time as the API writes it.
pub fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
