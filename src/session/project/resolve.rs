//! Raw sessions to a project: what needs a look at the other sessions or at the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use toml::Spanned;

use super::places::Places;
use super::problem::Problems;
use super::read::{RawActor, RawClass, RawService, RawSession};
use super::script;
use super::{ActorLink, ClassSpec, Project, ProjectError, ServiceLink, SessionSpec, Storage};
use crate::session::name::SessionName;
use crate::session::nearest::Nearest;

/// The service that workerd has in every process for the public network. A session's worker is the service named like
/// the session, so none can have this name.
const INTERNET: &str = "internet";

pub(super) fn resolve(
    text: &str,
    file: &Path,
    root: &Path,
    raw: Vec<RawSession>,
    mut problems: Problems,
) -> Result<Project, ProjectError> {
    let classes: BTreeMap<SessionName, Vec<ClassSpec>> = raw
        .iter()
        .map(|session| {
            let classes = session.classes.iter().map(|class| resolve_class(session.name.get_ref(), class));
            (session.name.get_ref().clone(), classes.collect())
        })
        .collect();
    check_case(&raw, &mut problems);
    let places = Places::of(text, &raw);
    let mut resolver = Resolver {
        root,
        classes,
        wanted: BTreeMap::new(),
        listens: BTreeMap::new(),
        problems: &mut problems,
    };
    let mut sessions: Vec<_> = raw.into_iter().filter_map(|session| resolver.session(session)).collect();
    let mut wanted = resolver.wanted;
    for session in &mut sessions {
        session.entrypoints = wanted.remove(&session.name).unwrap_or_default();
    }
    if problems.is_empty() {
        Ok(Project { file: file.to_owned(), root: root.to_owned(), sessions, places })
    } else {
        Err(ProjectError::Invalid { file: file.to_owned(), problems: problems.into_list(text) })
    }
}

/// Without a key of its own a class gets one from the worker's name and not from the scope: `api@blue` and
/// `api@green` are versions of one worker, and an id made for one must name the same object in the other.
fn resolve_class(session: &SessionName, raw: &RawClass) -> ClassSpec {
    let class = raw.class.get_ref().clone();
    let storage = if raw.stored {
        let key = raw.unique_key.as_ref().map(|key| key.get_ref().clone());
        Storage::Stored { unique_key: key.unwrap_or_else(|| format!("{}-{class}", session.name())) }
    } else {
        Storage::Ephemeral
    };
    ClassSpec { class, storage, binding: raw.binding.as_ref().map(|binding| binding.get_ref().clone()) }
}

/// State lies in a folder named like the session, and some file systems take `Api` and `api` for one.
fn check_case(raw: &[RawSession], problems: &mut Problems) {
    let mut seen = BTreeMap::new();
    for session in raw {
        let name = session.name.get_ref().to_string();
        if let Some(other) = seen.insert(name.to_lowercase(), name.clone()) {
            problems.add(
                session.name.span(),
                format!("the sessions `{other}` and `{name}` differ only in case"),
                "their folders would be the same on some systems; rename one of them",
            );
        }
    }
}

struct Resolver<'a> {
    root: &'a Path,
    classes: BTreeMap<SessionName, Vec<ClassSpec>>,
    /// Named entrypoints by the session that must serve them.
    wanted: BTreeMap<SessionName, BTreeSet<String>>,
    /// Who listens where.
    listens: BTreeMap<SocketAddr, SessionName>,
    problems: &'a mut Problems,
}

impl Resolver<'_> {
    fn session(&mut self, raw: RawSession) -> Option<SessionSpec> {
        let name = raw.name.get_ref().clone();
        if name.to_string() == INTERNET {
            self.problems.add(
                raw.name.span(),
                "`internet` cannot be the name of a session",
                "workerd calls the public network so; use another name, or a scope: \"internet@dev\"",
            );
        }
        self.check_bindings(&raw);
        self.check_keys(&raw);
        self.check_listen(&raw);
        if raw.date.is_none() {
            self.problems.add(
                raw.name.span(),
                format!("session `{name}` has no valid compatibility date"),
                "add `compatibility_date = \"YYYY-MM-DD\"`: it decides how workerd behaves, so it is never guessed",
            );
        }
        let modules = script::load(self.root, &raw.scripts, self.problems);
        let services = raw.services.into_iter().filter_map(|link| self.service(link)).collect();
        let actors = raw.actors.into_iter().filter_map(|link| self.actor(link)).collect();
        Some(SessionSpec {
            modules,
            compiled: None,
            compatibility_date: raw.date?.into_inner(),
            listen: raw.listen.map(Spanned::into_inner),
            compatibility_flags: raw.flags.into_iter().map(Spanned::into_inner).collect(),
            vars: raw.vars.into_iter().map(|(name, var)| (name.into_inner(), var)).collect(),
            classes: self.classes.get(&name).cloned().unwrap_or_default(),
            services,
            actors,
            entrypoints: BTreeSet::new(),
            exports: None,
            name,
        })
    }

    fn check_listen(&mut self, raw: &RawSession) {
        if let Some(listen) = &raw.listen
            && let Some(other) = self.listens.insert(*listen.get_ref(), raw.name.get_ref().clone())
        {
            self.problems.add(
                listen.span(),
                format!("session `{other}` listens at {} already", listen.get_ref()),
                "give each session a port of its own",
            );
        }
    }

    /// All kinds of bindings meet in one `env`.
    fn check_bindings(&mut self, raw: &RawSession) {
        let vars = raw.vars.iter().map(|(name, _)| name);
        let services = raw.services.iter().map(|link| &link.binding);
        let actors = raw.actors.iter().map(|link| &link.binding);
        let classes = raw.classes.iter().filter_map(|class| class.binding.as_ref());
        let mut seen = BTreeSet::new();
        for binding in vars.chain(services).chain(actors).chain(classes) {
            if !seen.insert(binding.get_ref()) {
                self.problems.add(
                    binding.span(),
                    format!(
                        "the binding `{}` of session `{}` is declared twice",
                        binding.get_ref(),
                        raw.name.get_ref()
                    ),
                    "vars, services, actors and bindings of own classes share one `env`; rename one of them",
                );
            }
        }
    }

    /// workerd keeps the objects of a class in a folder named like its key.
    fn check_keys(&mut self, raw: &RawSession) {
        let mut seen = BTreeSet::new();
        for class in raw.classes.iter().filter(|class| class.stored) {
            let at = class.unique_key.as_ref().unwrap_or(&class.class).span();
            let Storage::Stored { unique_key } = resolve_class(raw.name.get_ref(), class).storage else {
                continue;
            };
            let is_file_name = !unique_key.is_empty()
                && !unique_key.starts_with('.')
                && !unique_key.contains(['/', '\\', '\0'])
                && unique_key.len() <= 200;
            if !is_file_name {
                self.problems.add(
                    at,
                    format!("`{unique_key}` cannot be a unique key"),
                    "it becomes the name of a folder: at most 200 bytes, no slash, no dot at the start",
                );
            } else if !seen.insert(unique_key.to_lowercase()) {
                self.problems.add(
                    at,
                    format!(
                        "the unique key `{unique_key}` is used by two classes of `{}`",
                        raw.name.get_ref()
                    ),
                    "their objects would share one folder; give one of them another `unique_key`",
                );
            }
        }
    }

    fn service(&mut self, raw: RawService) -> Option<ServiceLink> {
        self.known(&raw.target)?;
        let target = raw.target.into_inner();
        // To workerd the default export has no name.
        let entrypoint = raw.entrypoint.map(Spanned::into_inner).filter(|entrypoint| entrypoint != "default");
        if let Some(entrypoint) = &entrypoint {
            self.wanted.entry(target.clone()).or_default().insert(entrypoint.clone());
        }
        Some(ServiceLink {
            binding: raw.binding.into_inner(),
            target,
            entrypoint,
            props: raw.props,
            accepts_props: raw.accept_props,
            ear: None,
        })
    }

    fn actor(&mut self, raw: RawActor) -> Option<ActorLink> {
        self.known(&raw.target)?;
        let classes = self.classes.get(raw.target.get_ref()).map(Vec::as_slice).unwrap_or_default();
        let found = classes.iter().find(|class| class.class == *raw.class.get_ref());
        let Some(found) = found else {
            let names: Vec<_> = classes.iter().map(|class| class.class.as_str()).collect();
            let why = if names.is_empty() {
                format!("it declares none; add `[sessions.\"{}\".durable_objects]`", raw.target.get_ref())
            } else {
                format!("its classes: {}", names.join(", "))
            };
            self.problems.add_near(
                raw.class.span(),
                format!("session `{}` has no class `{}`", raw.target.get_ref(), raw.class.get_ref()),
                why,
                Nearest::of(raw.class.get_ref(), names).0,
            );
            return None;
        };
        Some(ActorLink {
            binding: raw.binding.into_inner(),
            target: raw.target.into_inner(),
            class: found.class.clone(),
            storage: found.storage.clone(),
        })
    }

    fn known(&mut self, target: &Spanned<SessionName>) -> Option<()> {
        if self.classes.contains_key(target.get_ref()) {
            return Some(());
        }
        let names: Vec<_> = self.classes.keys().map(SessionName::to_string).collect();
        self.problems.add_near(
            target.span(),
            format!("there is no session `{}`", target.get_ref()),
            format!("sessions of this file: {}", names.join(", ")),
            Nearest::of(target.get_ref(), names).0,
        );
        None
    }
}
