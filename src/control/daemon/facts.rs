//! What explanations need and the table does not know.

use std::path::PathBuf;
use std::sync::Arc;

use super::plan;
use crate::control::explain::Facts;
use crate::control::rows::Addresses;
use crate::registry::{self, Entry};
use crate::router::{Failure, Link, LinkName, Origin, Router};
use crate::session::{Listener, Project, SessionName};

/// The daemon at one moment.
pub(super) struct Known {
    pub router: Arc<Router>,
    pub project: Arc<Project>,
    pub registries: Arc<[PathBuf]>,
    pub urls: Option<Urls>,
}

/// Where the ingress has the entrypoints of sessions.
pub(super) type Urls = Box<dyn Fn(&SessionName, Option<&str>) -> Option<String> + Send>;

impl Addresses for Known {
    fn listen(&self, session: &SessionName) -> Option<String> {
        let listen = self.project.session(session)?.listen?;
        Some(format!("http://{listen}"))
    }

    fn url(&self, session: &SessionName, entrypoint: Option<&str>) -> Option<String> {
        self.urls.as_ref()?(session, entrypoint)
    }
}

impl Facts for Known {
    fn is_declared(&self, link: &Link) -> bool {
        plan::is_declared(&self.project, link)
    }

    fn waiting_on(&self, link: &LinkName) -> usize {
        self.router.shared().waiting_on(link)
    }

    fn waiting_outside(&self, session: &SessionName) -> usize {
        self.router.shared().waiting_outside(session)
    }

    fn last_failure(&self, link: &LinkName) -> Option<Failure> {
        self.router.shared().last_failure(link)
    }

    fn last_failure_outside(&self, session: &SessionName) -> Option<Failure> {
        self.router.shared().last_failure_outside(session)
    }

    fn refused(&self, worker: &str) -> Vec<(String, String)> {
        let now = self.router.links().snapshot();
        // What has been a session says itself how it is.
        let is_session = now
            .sessions()
            .iter()
            .any(|session| session.origin == Origin::Registry && session.name.name() == worker);
        let listings =
            self.registries.iter().filter_map(|folder| Some((folder, registry::list(folder).ok()?)));
        let refused = listings.filter_map(|(folder, mut listing)| {
            let entry = listing.entries.remove(worker).filter(|_| !is_session);
            let error = listing.refused.into_iter().find(|(file, _)| file == worker);
            let why = error.map(|(_, error)| error.to_string()).or_else(|| no_session(worker, &entry?))?;
            Some((folder.join(worker).display().to_string(), why))
        });
        refused.collect()
    }
}

/// Why an entry has not become a session.
fn no_session(worker: &str, entry: &Entry) -> Option<String> {
    if let Err(error) = worker.parse::<SessionName>() {
        return Some(error.to_string());
    }
    let port = &entry.debug_port;
    if let Err(error) = port.connect() {
        return Some(format!("nobody listens at {port}: {error}"));
    }
    match Listener::of(port).is_some_and(|listener| listener.is_orphan()) {
        true => Some("its tool has ended and left it behind, so it serves old code".to_owned()),
        // Whatever answers as one is a session.
        false => {
            let service = &entry.services.default;
            Some(format!(
                "{port} listens, but does not answer as a debug port that has the service `{service}`"
            ))
        }
    }
}
