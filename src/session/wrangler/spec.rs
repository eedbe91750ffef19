//! From a configuration and what the compiler made of it to a session.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::compile::{self, Output};
use super::lasting::Lasting;
use super::seen::Seen;
use super::{Config, Read, Request};
use crate::session::exports::Exports;
use crate::session::name::SessionName;
use crate::session::project::{
    ActorLink, ClassSpec, Compiled, Part, Places, ProjectError, ServiceLink, SessionSpec, Storage, Var,
};
use crate::session::source_map::SourceMap;

/// The session that a compiled configuration becomes.
pub(super) fn session(
    request: &Request,
    one: Read,
    output: Output,
    is_first: bool,
    lasting: &mut Lasting,
    places: &mut Places,
) -> Result<SessionSpec, ProjectError> {
    let Read { config: Config { file, scope }, root, text, worker, mut vars, .. } = one;
    let state = root.join(".wrangler/state/workerd");
    let service = worker.name.name().to_owned();
    let seen = Seen::look(&output.message, &service).map_err(|error| ProjectError::Unreadable {
        file: file.clone(),
        source: std::io::Error::other(format!("workerd's compiler wrote what cannot be used: {error}")),
    })?;
    let wanted = request.listen.filter(|_| is_first);
    let listen = lasting
        .listen(&file, wanted, worker.port)
        .map_err(|source| ProjectError::Unreadable { file: file.clone(), source })?;
    let main = worker.compiled.get("main").and_then(|main| main.as_str()).map(PathBuf::from);
    let main_module = seen.main_module;
    let mut inputs = output.inputs;
    if let Some(folder) = main.as_ref().and_then(|main| main.parent()) {
        // Without a bundle the modules are files beside the main one.
        inputs.extend(seen.modules.iter().map(|name| folder.join(name)).filter(|file| file.is_file()));
    }
    // What a command has made, it makes again when its own sources change.
    if worker.build.is_some() {
        inputs.clear();
    } else {
        inputs.extend(main.clone());
    }
    inputs.extend(worker.assets.iter().flat_map(|folder| ASSET_RULES.map(|name| folder.join(name))));
    let workflows = worker.compiled.get("workflows").and_then(Json::as_array).into_iter().flatten();
    let workflows = workflows.filter_map(|one| one.get("class_name")?.as_str()).collect();
    let exports = output.exports.and_then(|names| known(names, &seen.classes, &workflows)).map(Arc::new);
    let compiled = Compiled {
        workerd: request.tools.workerd.clone(),
        service,
        front: seen.front,
        message: output.message,
        main_module: main_module.clone(),
        main: main.unwrap_or_default(),
        inputs,
        exports,
        crons: worker.crons,
        queues: seen.queues,
        source_map: output.source_map.as_ref().and_then(|text| source_map(&main_module, text, &root)),
        state,
        keeps: seen.keeps,
    };
    if let Some(binding) = worker.version {
        let version = lasting.version();
        let version = version.map_err(|source| ProjectError::Unreadable { file: file.clone(), source })?;
        vars.push((binding, Var::Json(version)));
    }
    let mut parts = worker.places;
    if !parts.iter().any(|(part, _)| *part == Part::Name) {
        parts.push((Part::Name, 0));
    }
    places.add(&worker.name, &file, &text, parts);
    let named = |worker: &str| {
        SessionName::scoped(worker, scope.as_deref()).map_err(|error| ProjectError::Unreadable {
            file: file.clone(),
            source: std::io::Error::other(format!("`{worker}` cannot be the name of a worker: {error}")),
        })
    };
    let mut services = Vec::new();
    for link in worker.services {
        services.push(ServiceLink {
            target: named(&link.worker)?,
            binding: link.binding,
            entrypoint: link.entrypoint,
            props: link.props,
            accepts_props: false,
            ear: link.ear,
        });
    }
    let mut actors = Vec::new();
    for link in worker.actors {
        let unique_key = format!("{}-{}", link.worker, link.class);
        let target = named(&link.worker)?;
        let storage = Storage::Stored { unique_key };
        actors.push(ActorLink { binding: link.binding, target, class: link.class, storage });
    }
    Ok(SessionSpec {
        name: worker.name,
        modules: Vec::new(),
        compiled: Some(Arc::new(compiled)),
        compatibility_date: worker.date,
        listen: Some(listen),
        compatibility_flags: worker.flags,
        vars,
        classes: seen.classes,
        services,
        actors,
        entrypoints: BTreeSet::new(),
        exports: None,
    })
}

/// What a bundle exports, if that is a default export and classes that the configuration names. Of other names only
/// workerd knows what they stand for.
fn known(mut names: BTreeSet<String>, classes: &[ClassSpec], workflows: &BTreeSet<&str>) -> Option<Exports> {
    let default = names.remove("default");
    let declared = classes.iter().map(|class| class.class.clone()).collect::<BTreeSet<_>>();
    let (classes, entrypoints): (BTreeSet<_>, _) =
        names.into_iter().partition(|name| declared.contains(name));
    let is_known = default
        && classes == declared
        && entrypoints.iter().map(String::as_str).eq(workflows.iter().copied());
    is_known.then_some(Exports { default, entrypoints, classes, handlers: None })
}

/// Sources are called as seen from the project's folder. The map has them as seen from the folder of the bundle, of which
/// only the depth is known any more: what it goes up is cut off where it meets the project.
fn source_map(module: &str, text: &[u8], root: &Path) -> Option<SourceMap> {
    SourceMap::read(module, text, |source| {
        let source = unescaped(source);
        let below = source.trim_start_matches("../");
        let levels = (source.len() - below.len()) / "../".len();
        match levels.checked_sub(compile::BUNDLE_DEPTH) {
            None | Some(0) => below.to_owned(),
            // Beside the project.
            Some(up) => root
                .ancestors()
                .nth(up)
                .map_or(below.into(), |folder| folder.join(below))
                .display()
                .to_string(),
        }
    })
}

/// esbuild writes what is not ASCII as URLs have it.
fn unescaped(source: &str) -> String {
    let mut parts = source.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(part.bytes().skip(2));
            }
            None => {
                bytes.push(b'%');
                bytes.extend(part.bytes());
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| source.to_owned())
}

/// A class of a session that is compiled too says itself how its objects are named.
pub(super) fn key_actors(sessions: &mut [SessionSpec]) {
    let classes: BTreeMap<_, _> =
        sessions.iter().map(|spec| (spec.name.clone(), spec.classes.clone())).collect();
    for link in sessions.iter_mut().flat_map(|spec| &mut spec.actors) {
        let class = classes.get(&link.target).and_then(|all| all.iter().find(|one| one.class == link.class));
        if let Some(class) = class {
            link.storage = class.storage.clone();
        }
    }
}

/// Files among the static ones that the compiler reads.
const ASSET_RULES: [&str; 3] = [".assetsignore", "_headers", "_redirects"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sources_are_those_of_the_files() {
        for (escaped, name) in [
            ("../src/%C3%AFn dex.js", "../src/ïn dex.js"),
            ("a%20b", "a b"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%ff", "%ff"),
            ("", ""),
        ] {
            assert_eq!(unescaped(escaped), name);
        }
    }
}
