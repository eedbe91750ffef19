//! Which faces are open, and where they listen.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::HeaderName;

use crate::router::{self, Ingress, LinkName, Router};
use crate::session::project::{self, Part};
use crate::session::{Project, ProjectError, RuntimeDir, SessionName, config};

/// A listener that a calling session connects to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Face {
    /// Behind one service binding.
    Link(LinkName),
    /// The debug port that one session sees: its links as services.
    DebugPort(SessionName),
}

impl fmt::Display for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => write!(f, "the face of link {link}"),
            Self::DebugPort(session) => write!(f, "the debug-port face of session {session}"),
        }
    }
}

/// The open faces of a daemon. Dropping one takes no more callers; those that are there go on until they end.
pub(super) struct Faces {
    router: Arc<Router>,
    runtime: Arc<RuntimeDir>,
    open: HashMap<Face, router::Face>,
    ingresses: HashMap<SocketAddr, Ingress>,
}

impl Faces {
    pub(super) fn new(router: Arc<Router>, runtime: Arc<RuntimeDir>) -> Self {
        Self { router, runtime, open: HashMap::new(), ingresses: HashMap::new() }
    }

    /// Listens where the sessions are told to look for it. A face outlives generations of its caller.
    pub(super) fn open(&mut self, face: &Face) -> io::Result<()> {
        let served = match face {
            Face::Link(link) => {
                let LinkName { session, binding } = link;
                let path = self.runtime.link_face(session, binding);
                let cf_header = HeaderName::try_from(self.runtime.cf_header()).map_err(io::Error::other)?;
                self.router.serve_link(
                    &path,
                    link.clone(),
                    config::connect_host(session, binding),
                    cf_header,
                )?
            }
            Face::DebugPort(session) => {
                let path: PathBuf = self.runtime.debug_face(session);
                self.router.serve_port(&path, session.clone())?
            }
        };
        self.open.insert(face.clone(), served);
        Ok(())
    }

    pub(super) fn close(&mut self, face: &Face) {
        self.open.remove(face);
    }

    /// Listens at all addresses that a project names; those that are new lead to their sessions at once.
    ///
    /// # Errors
    /// What is wrong with the addresses. Those that were free are listened at: [`Faces::settle`] tells which stay.
    pub(super) fn bind(&mut self, project: &Project) -> Result<(), ProjectError> {
        let mut problems = Vec::new();
        let mut seen = HashMap::new();
        for (address, session) in addresses(project) {
            let why = match (seen.insert(address, session), self.ingresses.entry(address)) {
                (Some(other), _) => format!("session `{other}` listens there; choose another port"),
                (None, Entry::Occupied(_)) => continue,
                (None, Entry::Vacant(vacant)) => match self.router.serve_ingress(address, session.clone()) {
                    Ok(ingress) => {
                        vacant.insert(ingress);
                        continue;
                    }
                    Err(error) => taken(&error),
                },
            };
            problems.push(project::Problem {
                file: project.places.file(session),
                at: project.places.find(session, Part::Listen),
                what: format!("session `{session}` cannot be reached at {address}"),
                why,
                nearest: None,
            });
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(ProjectError::Invalid { file: project.file.clone(), problems }),
        }
    }

    /// Leads the addresses of a project to its sessions, and closes all others.
    pub(super) fn settle(&mut self, project: &Project) {
        let wanted: HashMap<_, _> = addresses(project).collect();
        self.ingresses.retain(|address, _| wanted.contains_key(address));
        for (address, session) in wanted {
            if let Some(ingress) = self.ingresses.get(&address) {
                ingress.lead(session.clone());
            }
        }
    }
}

fn addresses(project: &Project) -> impl Iterator<Item = (SocketAddr, &SessionName)> {
    project.sessions.iter().filter_map(|spec| Some((spec.listen?, &spec.name)))
}

fn taken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; end it, or choose another port".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; use 127.0.0.1".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "only root may listen there; choose a port from 1024 on".to_owned()
        }
        _ => error.to_string(),
    }
}
