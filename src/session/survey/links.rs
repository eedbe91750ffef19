//! Whether links and classes name what scripts export.

use super::super::exports::Exports;
use super::super::nearest::Nearest;
use super::super::project::{ClassSpec, Part, Problem, Project, ServiceLink, SessionSpec};

/// What links and classes name and no script exports.
pub(super) fn check(project: &Project) -> Vec<Problem> {
    let mut problems = Vec::new();
    for spec in &project.sessions {
        problems.extend(spec.services.iter().filter_map(|link| service(project, spec, link)));
        if let Some(exports) = &spec.exports {
            problems.extend(spec.classes.iter().filter_map(|one| class(project, spec, one, exports)));
        }
    }
    problems
}

fn service(project: &Project, spec: &SessionSpec, link: &ServiceLink) -> Option<Problem> {
    let exports = project.session(&link.target)?.exports.as_ref()?;
    if exports.has_entrypoint(link.entrypoint.as_deref()) {
        return None;
    }
    let at = project.places.find(&spec.name, Part::Target(link.binding.clone()));
    let target = &link.target;
    let known = listed(exports.entrypoint_names());
    let Some(name) = &link.entrypoint else {
        let what = format!("session `{target}` has no default export to call");
        let why = format!("name another of its entrypoints, like `{target}#Name`; there are: {known}");
        return Some(Problem { file: project.places.file(&spec.name), at, what, why, nearest: None });
    };
    let what = format!("session `{target}` exports no entrypoint `{name}`");
    if exports.classes.contains(name) {
        let why = format!(
            "`{name}` is a Durable Object class: link it under `actors`, or let it extend WorkerEntrypoint"
        );
        return Some(Problem { file: project.places.file(&spec.name), at, what, why, nearest: None });
    }
    let nearest = Nearest::of(name, exports.entrypoint_names()).0.map(|name| format!("{target}#{name}"));
    Some(Problem {
        file: project.places.file(&spec.name),
        at,
        what,
        why: format!("its entrypoints: {known}"),
        nearest,
    })
}

fn class(project: &Project, spec: &SessionSpec, class: &ClassSpec, exports: &Exports) -> Option<Problem> {
    let name = &class.class;
    if exports.classes.contains(name) {
        return None;
    }
    let at = project.places.find(&spec.name, Part::Class(name.clone()));
    let what = format!("session `{}` exports no Durable Object class `{name}`", spec.name);
    let why = match exports.entrypoints.contains(name) {
        true => format!("`{name}` does not extend DurableObject"),
        false => format!("classes that its main module exports: {}", listed(exports.classes.iter())),
    };
    Some(Problem {
        file: project.places.file(&spec.name),
        at,
        what,
        why,
        nearest: Nearest::of(name, &exports.classes).0,
    })
}

fn listed<T: AsRef<str>>(names: impl Iterator<Item = T>) -> String {
    let names: Vec<_> = names.map(|name| name.as_ref().to_owned()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
