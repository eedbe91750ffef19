//! What each caller sees of the others.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::registry::{Entry, View, check_worker_name};
use crate::router::switch::{DEFAULT_SERVICE, NAMED_SERVICE};
use crate::router::{self, Choice, LinkName, Router, Snapshot};
use crate::session::{RuntimeDir, Services, SessionName};

/// The faces that stand for workers in registries: one for each caller and each name that it may call.
pub(super) struct Faces {
    router: Arc<Router>,
    runtime: Arc<RuntimeDir>,
    open: HashMap<LinkName, router::Face>,
    /// What could not be opened when it was last tried; it is said once.
    closed: HashSet<LinkName>,
}

impl Faces {
    pub fn new(router: Arc<Router>, runtime: Arc<RuntimeDir>) -> Self {
        Self { router, runtime, open: HashMap::new(), closed: HashSet::new() }
    }

    /// Writes every name that there is, or is expected, into the registry of a caller, but those of its own workers.
    pub fn publish<'a>(
        &mut self,
        caller: &SessionName,
        is_own: impl Fn(&str) -> bool,
        expected: impl Iterator<Item = &'a str>,
        table: &'a Snapshot,
        view: &mut View,
    ) -> io::Result<()> {
        let mut wanted = BTreeMap::new();
        let sessions = table.sessions();
        for name in sessions.iter().map(|session| session.name.name()).chain(expected) {
            if is_own(name) || wanted.contains_key(name) || check_worker_name(name).is_err() {
                continue;
            }
            let link = LinkName::new(caller.clone(), name);
            let path = self.runtime.entry_face(caller, name);
            if !self.open(&link, &path) {
                continue;
            }
            let target = target(table, &link).and_then(|target| table.session(&target).cloned());
            let queues = target.map(|target| target.queues.to_vec()).unwrap_or_default();
            let services = Services {
                default: DEFAULT_SERVICE.to_owned(),
                named: NAMED_SERVICE.to_owned(),
                others: Vec::new(),
            };
            let entry = Entry { debug_port: path.into(), services, queues, instance: None };
            wanted.insert(name.to_owned(), entry);
        }
        self.open.retain(|link, _| link.session != *caller || wanted.contains_key(&link.binding));
        view.publish(wanted)
    }

    /// Whether the face is open now. Where there are no descriptors left, callers have at least the others.
    fn open(&mut self, link: &LinkName, path: &Path) -> bool {
        if self.open.contains_key(link) {
            return true;
        }
        match self.router.serve_entry(path, link.clone()) {
            Ok(face) => {
                self.closed.remove(link);
                self.open.insert(link.clone(), face);
                true
            }
            Err(error) => {
                if self.closed.insert(link.clone()) {
                    tracing::warn!(%link, %error, "a worker cannot be offered to a caller");
                }
                false
            }
        }
    }

    /// Closes the faces of callers that have gone.
    pub fn keep(&mut self, is_caller: impl Fn(&SessionName) -> bool) {
        self.open.retain(|link, _| is_caller(&link.session));
        self.closed.retain(|link| is_caller(&link.session));
    }
}

/// The session behind a name: as its link says, or would say.
fn target(table: &Snapshot, link: &LinkName) -> Option<SessionName> {
    if let Some(link) = table.link(link) {
        return Some(link.target.session().clone());
    }
    let all = table.sessions();
    Choice::of(&link.session, &link.binding, all.iter().map(|session| &session.name)).session().cloned()
}
