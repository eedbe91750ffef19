//! All that a daemon runs: its own project, and those of guests, each as long as somebody keeps it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::control::told::Teller;
use crate::router::Snapshot;
use crate::session::project::{Part, Problem};
use crate::session::{Project, ProjectError, SessionName, SessionSpec, SessionState};

/// Where a session keeps what it stores, if wrangler's configuration says so.
fn state(spec: &SessionSpec) -> Option<&Path> {
    spec.compiled.as_ref().filter(|compiled| compiled.keeps).map(|compiled| compiled.state.as_path())
}

/// Surveyed projects, no two of which have a session of one name.
#[derive(Clone)]
pub(super) struct Projects {
    pub(super) own: Project,
    guests: BTreeMap<u64, Guest>,
}

#[derive(Clone)]
struct Guest {
    project: Project,
    teller: Teller,
}

impl Projects {
    pub(super) fn new(own: Project) -> Self {
        Self { own, guests: BTreeMap::new() }
    }

    /// The project of a guest, if it runs.
    pub(super) fn guest(&self, number: u64) -> Option<&Project> {
        self.guests.get(&number).map(|guest| &guest.project)
    }

    /// The same with another own project.
    pub(super) fn with_own(&self, own: Project) -> Self {
        Self { own, guests: self.guests.clone() }
    }

    /// The same with what a guest runs now.
    pub(super) fn with_guest(&self, number: u64, project: Project, teller: Teller) -> Self {
        let mut guests = self.guests.clone();
        guests.insert(number, Guest { project, teller });
        Self { own: self.own.clone(), guests }
    }

    /// The same without a guest.
    pub(super) fn without_guest(&self, number: u64) -> Self {
        let mut guests = self.guests.clone();
        guests.remove(&number);
        Self { own: self.own.clone(), guests }
    }

    /// All of them as one.
    pub(super) fn all(&self) -> Project {
        let mut all = self.own.clone();
        self.guests.values().for_each(|guest| all.extend(&guest.project));
        all
    }

    /// Who hears of which session.
    pub(super) fn tellers(&self) -> HashMap<SessionName, Teller> {
        let of_guest = |guest: &Guest| {
            let teller = guest.teller.clone();
            let names: Vec<_> = guest.project.sessions.iter().map(|spec| spec.name.clone()).collect();
            names.into_iter().map(move |name| (name, teller.clone()))
        };
        self.guests.values().flat_map(of_guest).collect()
    }

    /// Refuses names that others have: another guest, the own project, or a session that runs by itself and does not
    /// give way, as it does to the own project. `None` is that.
    ///
    /// # Errors
    /// Each name, with its place.
    pub(super) fn admit(
        &self,
        number: Option<u64>,
        project: &Project,
        now: &Snapshot,
    ) -> Result<(), ProjectError> {
        let guests = self.guests.iter().filter(|(other, _)| Some(**other) != number);
        let own = number.is_some().then_some(&self.own);
        let others: Vec<_> =
            guests.map(|(_, guest)| &guest.project).chain(own).flat_map(|all| &all.sessions).collect();
        let mut problems = Vec::new();
        for name in project.sessions.iter().map(|spec| &spec.name) {
            let joined = number.and_then(|_| now.session(name)).is_some_and(|session| {
                session.origin.is_joined() && matches!(session.state, SessionState::Up(_))
            });
            if joined || others.iter().any(|spec| spec.name == *name) {
                problems.push(Problem {
                    file: project.places.file(name),
                    at: project.places.find(name, Part::Name),
                    what: format!("session `{name}` runs already"),
                    why: "end that one, or tell the two apart with --scope".to_owned(),
                    nearest: None,
                });
            }
        }
        let mut kept: BTreeMap<_, _> =
            others.iter().filter_map(|spec| Some((state(spec)?, &spec.name))).collect();
        for spec in &project.sessions {
            let Some(folder) = state(spec) else { continue };
            if let Some(other) = kept.insert(folder, &spec.name).filter(|other| **other != spec.name) {
                problems.push(Problem {
                    file: project.places.file(&spec.name),
                    at: project.places.find(&spec.name, Part::Name),
                    what: format!("session `{}` would keep its state where `{other}` does", spec.name),
                    why: format!(
                        "one workerd at a time can use {}; put the two configurations into different folders",
                        folder.display()
                    ),
                    nearest: None,
                });
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(ProjectError::Invalid { file: project.file.clone(), problems }),
        }
    }
}
