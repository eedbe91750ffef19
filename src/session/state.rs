//! What is known of a session at one moment, and how the floors above learn of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::leaving::InFlight;
use super::name::SessionName;
use super::release::Release;
use crate::net::Endpoint;

/// One start of a session's workerd. A restart or a reload is a new generation, with a new number and new sockets, so
/// that nobody who holds an old one can reach a new process by accident, or dial a dying one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Whose generation it is.
    pub session: SessionName,
    /// Counts from 1 within a run of jackfield; never reused.
    pub number: u64,
    /// Its process, for people: it may have ended.
    pub pid: u32,
    /// The workerd that it runs, where that is known.
    pub release: Option<Release>,
    /// The debug port. Total power over the session: never handed to another process.
    pub debug_port: Endpoint,
    /// What its worker is called there.
    pub services: Services,
    /// Where plain HTTP for each entrypoint goes; `None` is the default export. An entrypoint that no link named when
    /// this generation was started is missing here.
    pub http_sockets: HashMap<Option<String>, PathBuf>,
    /// Where ordinary HTTP for the default export goes, of browsers and curl. Without one it goes to the debug port.
    pub front_socket: Option<PathBuf>,
    /// The header that carries `request.cf` on the HTTP sockets. Random per run: a worker that knew it could forge
    /// its caller's `cf`.
    pub cf_header: String,
}

impl Generation {
    /// All socket files of the process.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &Path> {
        let http = self.http_sockets.values().chain(&self.front_socket).map(PathBuf::as_path);
        http.chain(self.debug_port.path())
    }
}

/// What the service is called that takes the messages of a queue, before the queue's name: as Miniflare has it.
const QUEUE: &str = "queues:queue:";

/// The names of a worker among the services of its process. Other tools put services of their own before the default
/// export: for static assets, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// Where the default export is reached.
    pub default: String,
    /// Where its other exports are: named entrypoints, and Durable Object classes.
    pub named: String,
    /// What else of its process workers of other sessions may call: the services through which the tool that runs it
    /// takes queue messages and schedules.
    pub others: Vec<String>,
}

impl Services {
    /// One service for everything.
    pub fn alike(name: String) -> Self {
        Self { default: name.clone(), named: name, others: Vec::new() }
    }

    /// The service for an entrypoint; `None` is the default export.
    pub fn of(&self, entrypoint: Option<&str>) -> &str {
        match entrypoint {
            None | Some("default") => &self.default,
            Some(_) => &self.named,
        }
    }

    /// The service that takes the messages of a queue.
    pub fn of_queue(queue: &str) -> String {
        format!("{QUEUE}{queue}")
    }

    /// The queue whose messages a service takes.
    pub fn queue_of(service: &str) -> Option<&str> {
        service.strip_prefix(QUEUE)
    }

    /// The queues that are consumed there.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        self.others.iter().filter_map(|service| Self::queue_of(service))
    }

    /// Whether workers of other sessions may call that service by its own name.
    pub fn has(&self, service: &str) -> bool {
        self.others.iter().any(|other| other == service)
    }
}

/// Whether a session can take events.
#[derive(Clone, Debug)]
pub enum SessionState {
    /// A process is on its way; events wait.
    Starting,
    /// This generation listens on all its sockets.
    Up(Arc<Generation>),
    /// Nothing listens. A restart may be planned; `why` says so, and `Starting` follows when it begins.
    Down {
        /// What happened and what comes next, for people.
        why: String,
    },
}

/// Where states are published. Called from the supervisor's task, in order for one session; it must not block.
pub trait SessionSink: Send + Sync + 'static {
    /// `session` is in `state` from now on.
    fn publish(&self, session: &SessionName, state: SessionState);

    /// `session` cannot start before its old process has ended, which may take so long.
    fn waiting(&self, _session: &SessionName, _in_flight: InFlight, _at_most: Duration) {}
}
