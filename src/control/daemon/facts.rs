//! What explanations need and the table does not know.

use std::path::PathBuf;
use std::sync::Arc;

use super::plan;
use crate::control::explain::Facts;
use crate::control::rows::Addresses;
use crate::registry;
use crate::router::{Failure, Link, LinkName, Router};
use crate::session::{Project, SessionName};

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
        let listings =
            self.registries.iter().filter_map(|folder| Some((folder, registry::list(folder).ok()?)));
        let refused = listings.flat_map(|(folder, listing)| {
            let named = listing.refused.into_iter().filter(|(file, _)| file == worker);
            named
                .map(|(file, error)| (folder.join(file).display().to_string(), error.to_string()))
                .collect::<Vec<_>>()
        });
        refused.collect()
    }
}
