//! From one project to the next: what changes in the table and among the faces, and in which order.
//!
//! New sessions and links are put in before any process is started, since a process may call as soon as it is up;
//! what is no longer declared is taken out after the processes that used it have been replaced.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::faces::Face;
use crate::router::{Change, Class, Link, LinkName, Origin, Snapshot, Target};
use crate::session::{Project, SessionName, SessionSpec};

/// The steps around the start of new processes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Faces that must listen before a process starts.
    pub(super) open: Vec<Face>,
    /// What the table must know before a process starts.
    pub(super) before: Vec<Change>,
    /// Takes [`before`](Self::before) back, if processes do not start.
    pub(super) undo: Vec<Change>,
    /// What holds once the new processes run.
    pub(super) after: Vec<Change>,
    /// Faces that nobody calls any more.
    pub(super) close: Vec<Face>,
}

/// What leads from `old` to `new`, where `now` is how operators have changed the table since `old`.
///
/// A link that an operator moved stays where it is, unless the file says something new about it or its target is gone.
/// A fake is no session of a project, and goes only when no link leads to it.
pub(super) fn plan(old: Option<&Project>, new: &Project, now: &Snapshot) -> Plan {
    let mut plan = Plan::default();
    let (was, wanted) = (old.map(declared).unwrap_or_default(), declared(new));
    for spec in &new.sessions {
        plan.session(spec, now);
    }
    for (name, link) in &wanted {
        plan.link(name, link, was.get(name), new, now);
    }
    let is_gone = |link: &&&Link| !wanted.contains_key(&link.name);
    let links = now.links();
    let gone = links.iter().map(AsRef::as_ref).filter(|link| is_gone(&link));
    for name in gone.map(|link| &link.name).filter(|name| new.session(&name.session).is_some()) {
        plan.after.push(Change::DropLink(name.clone()));
    }
    // Those that joined by themselves go by themselves, and so do fakes; guests are remembered for a while.
    let sessions = now.sessions();
    let declared = sessions.iter().filter(|session| session.origin == Origin::Project);
    let gone = declared.map(|session| &session.name).filter(|name| new.session(name).is_none());
    plan.after.extend(gone.cloned().map(Change::DropSession));
    let (had, has) = (old.map(faces).unwrap_or_default(), faces(new));
    plan.open = has.difference(&had).cloned().collect();
    plan.close = had.difference(&has).cloned().collect();
    plan
}

impl Plan {
    fn session(&mut self, spec: &SessionSpec, now: &Snapshot) {
        let session = spec.name.clone();
        let define = |classes, exports| Change::DefineSession { session: session.clone(), classes, exports };
        let develop = spec.compiled.is_some().then(|| Change::Originate(spec.name.clone(), Origin::Dev));
        let wanted = classes(spec);
        let Some(known) = now.session(&spec.name) else {
            self.before.push(define(wanted, spec.exports.clone()));
            self.before.extend(develop);
            // Sessions are taken back after the links that point at them.
            self.undo.push(Change::DropSession(session));
            return;
        };
        // Until the new process runs, both what it offers and what the old one does are valid targets.
        let mut both = known.classes.to_vec();
        both.extend(wanted.iter().filter(|class| known.class(&class.name).is_none()).cloned());
        let exports =
            known.exports.as_ref().zip(spec.exports.as_ref()).map(|(old, new)| old.union(new).into());
        if both.len() > known.classes.len() || exports != known.exports {
            self.before.push(define(both, exports));
            self.undo.push(define(known.classes.to_vec(), known.exports.clone()));
        }
        self.after.push(define(wanted, spec.exports.clone()));
        self.after.extend(develop);
    }

    fn link(
        &mut self,
        name: &LinkName,
        wanted: &Declared,
        was: Option<&Declared>,
        new: &Project,
        now: &Snapshot,
    ) {
        let Declared { target, accepts_props, is_sought } = wanted;
        let define = |target: &Target| {
            let (link, target) = (name.clone(), target.clone());
            match is_sought {
                false => Change::DefineLink { link, target, accepts_props: *accepts_props },
                true => Change::Seek { link, target },
            }
        };
        let Some(link) = now.link(name) else {
            self.before.push(define(target));
            self.undo.insert(0, Change::DropLink(name.clone()));
            return;
        };
        if link.target.kind() != target.kind() {
            self.after.push(Change::DropLink(name.clone()));
            self.after.push(define(target));
        } else if was.is_none() && *is_sought && link.rule.is_none() {
            // A guest that comes again finds what an operator has chosen for it.
        } else if was.map(|was| &was.target) != Some(target) {
            self.after.push(define(target));
        } else if link.rule.is_some() {
            // The rules follow whoever comes and goes.
        } else if !is_offered(&link.target, new, now) {
            self.after.push(define(target));
        } else if link.accepts_props != *accepts_props {
            self.after.push(define(&link.target));
        }
    }
}

fn is_offered(target: &Target, project: &Project, now: &Snapshot) -> bool {
    let origin = now.session(target.session()).map(|session| session.origin);
    if origin.is_some_and(|origin| !origin.is_declared()) {
        return true;
    }
    let Some(spec) = project.session(target.session()) else { return origin == Some(Origin::Dev) };
    match target {
        Target::Entrypoint { entrypoint, .. } => {
            spec.exports.as_ref().is_none_or(|exports| exports.has_entrypoint(entrypoint.as_deref()))
        }
        Target::ActorClass { class, .. } => spec.classes.iter().any(|known| known.class == *class),
    }
}

fn classes(spec: &SessionSpec) -> Vec<Class> {
    let class = |class: &crate::session::project::ClassSpec| Class {
        name: class.class.clone(),
        storage: class.storage.clone(),
    };
    spec.classes.iter().map(class).collect()
}

/// A link as the file has it.
struct Declared {
    target: Target,
    accepts_props: bool,
    /// Whether it names a worker, which anybody may run, now or later, and no session.
    is_sought: bool,
}

/// Whether the file leads the link where it leads.
pub(super) fn is_declared(project: &Project, link: &Link) -> bool {
    declared(project).get(&link.name).is_some_and(|declared| declared.target == link.target)
}

fn declared(project: &Project) -> BTreeMap<LinkName, Declared> {
    let mut links = BTreeMap::new();
    for SessionSpec { name, services, actors, compiled, .. } in &project.sessions {
        let is_sought = compiled.is_some();
        for link in services {
            let target = Target::Entrypoint {
                session: link.target.clone(),
                entrypoint: link.entrypoint.clone(),
                props: link.props.clone().map(Value::Object),
            };
            let declared = Declared { target, accepts_props: link.accepts_props, is_sought };
            links.insert(LinkName::new(name.clone(), &link.binding), declared);
        }
        for link in actors {
            let target = Target::ActorClass { session: link.target.clone(), class: link.class.clone() };
            let declared = Declared { target, accepts_props: false, is_sought };
            links.insert(LinkName::new(name.clone(), &link.binding), declared);
        }
    }
    links
}

/// One face for each service link, and a debug port for each session: whoever it is given to reaches the links of that
/// session, actor links above all.
fn faces(project: &Project) -> HashSet<Face> {
    let links = |spec: &SessionSpec| -> Vec<Face> {
        let face = |binding: &String| Face::Link(LinkName::new(spec.name.clone(), binding));
        spec.services.iter().map(|link| face(&link.binding)).collect()
    };
    let ports = project.sessions.iter().map(|spec| Face::DebugPort(spec.name.clone()));
    project.sessions.iter().flat_map(links).chain(ports).collect()
}

/// The links that a batch touches, each once; dropped sessions take theirs along.
pub(super) fn relinked(changes: &[Change], now: &Snapshot) -> Vec<LinkName> {
    let mut names = Vec::new();
    for change in changes {
        match change {
            Change::Retarget { link, .. }
            | Change::DefineLink { link, .. }
            | Change::Seek { link, .. }
            | Change::DropLink(link) => {
                names.push(link.clone());
            }
            Change::DropSession(session) => names.extend(links_of(session, now)),
            Change::DefineSession { .. }
            | Change::Originate(..)
            | Change::DefineFake { .. }
            | Change::JoinSession(..)
            | Change::Adopt(_) => {}
        }
    }
    names.sort();
    names.dedup();
    names
}

fn links_of(session: &SessionName, now: &Snapshot) -> Vec<LinkName> {
    let all = now.links().into_iter().map(|link| &link.name);
    all.filter(|name| name.session == *session).cloned().collect()
}
