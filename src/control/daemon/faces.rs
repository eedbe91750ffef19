//! Which faces are open, and where they listen.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::HeaderName;

use crate::router::{self, LinkName, Router};
use crate::session::{RuntimeDir, SessionName, config};

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
}

impl Faces {
    pub(super) fn new(router: Arc<Router>, runtime: Arc<RuntimeDir>) -> Self {
        Self { router, runtime, open: HashMap::new() }
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
}
