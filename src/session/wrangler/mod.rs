//! wrangler's projects, as sessions on bare workerd.
//!
//! A configuration is read (`text`), the fields in force are taken from it (`worker`, with `fields` for what each is to
//! us), and what workerd's own compiler knows of it is compiled (`compile`). The rest we add: links, values for one
//! developer (`vars`), sockets. A field that nobody here can serve is named with its place, never passed over.

mod compile;
mod fields;
mod text;
mod vars;
mod watch;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::name::SessionName;
use super::project::{
    ActorLink, ClassSpec, Compiled, Origin, Part, Places, Problem, Problems, Project, ProjectError,
    ServiceLink, SessionSpec, Storage, Var,
};
use super::source_map::SourceMap;
use crate::schema::workerd_config_capnp::{config, service, worker as config_worker};
pub use compile::Tools;
use compile::{Failed, Output};
use text::{Unreadable, Value};
pub use watch::Watch;
use worker::{Reading, Worker};

/// Names that a configuration has if none is given, the first that is there.
pub const FILE_NAMES: [&str; 3] = ["wrangler.jsonc", "wrangler.json", "wrangler.toml"];

/// What to make a project of.
#[derive(Debug)]
pub struct Request {
    /// The file that names the project; it need not be there.
    pub project: PathBuf,
    /// The configurations, absolute, each a session.
    pub configs: Vec<PathBuf>,
    /// The environment, wrangler's `--env`.
    pub environment: Option<String>,
    /// The scope of all sessions.
    pub scope: Option<String>,
    /// Where the first session listens, if its configuration does not count.
    pub listen: Option<SocketAddr>,
    /// Fields that are left out though they mean something.
    pub without: BTreeSet<String>,
    /// What compiles.
    pub tools: Tools,
    /// The ports that were chosen, so that a session keeps its own through reloads.
    pub ports: Mutex<BTreeMap<PathBuf, SocketAddr>>,
}

impl PartialEq for Request {
    /// What was chosen on the way is no part of what was asked for.
    fn eq(&self, other: &Self) -> bool {
        self.configs == other.configs && self.environment == other.environment && self.scope == other.scope
    }
}

/// One configuration, read.
struct Read {
    file: PathBuf,
    root: PathBuf,
    text: String,
    value: Value,
    worker: Worker,
    vars: Vec<(String, Var)>,
}

/// Reads and compiles all configurations.
///
/// # Errors
/// All that is wrong with them, with its place. Blocks as long as the compiler takes.
pub fn load(request: &Arc<Request>) -> Result<Project, ProjectError> {
    let (mut problems, mut all) = (Vec::new(), Vec::new());
    for file in &request.configs {
        match read(request, file)? {
            Ok(one) => all.push(one),
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(twice(&all));
    let mut outputs = Vec::new();
    if problems.is_empty() {
        for one in &all {
            let worker = &one.worker;
            match compile::compile(&request.tools, &one.root, &worker.compiled, &worker.esbuild) {
                Ok(output) => outputs.push(output),
                Err(failed) => problems.push(blame(one, failed)),
            }
        }
    }
    if !problems.is_empty() {
        return Err(ProjectError::Invalid { file: request.project.clone(), problems });
    }
    let root = request.project.parent().unwrap_or(Path::new("/")).to_owned();
    let mut project = Project {
        file: request.project.clone(),
        root,
        origin: Origin::Wrangler(request.clone()),
        ..Project::default()
    };
    for (index, (one, output)) in all.into_iter().zip(outputs).enumerate() {
        let spec = session(request, one, output, index == 0, &mut project.places)?;
        project.sessions.push(spec);
    }
    key_actors(&mut project.sessions);
    Ok(project)
}

/// All files that a project is made of, there or not: a change of one is a reason to make it again.
pub fn sources(request: &Request, project: Option<&Project>) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for config in &request.configs {
        files.insert(config.clone());
        files.extend(vars::files(folder(config), request.environment.as_deref()));
    }
    let compiled =
        project.into_iter().flat_map(|project| &project.sessions).filter_map(|spec| spec.compiled.as_ref());
    files.extend(compiled.flat_map(|compiled| compiled.inputs.iter().chain([&compiled.main]).cloned()));
    files
}

fn folder(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

/// What is wrong with the text is told together; a file that cannot be read ends it.
fn read(request: &Request, file: &Path) -> Result<Result<Read, Vec<Problem>>, ProjectError> {
    let unreadable = |source| ProjectError::Unreadable { file: file.to_owned(), source };
    let text = fs::read_to_string(file).map_err(unreadable)?;
    let is_toml = file.extension().is_some_and(|extension| extension == "toml");
    let value = match if is_toml { Value::toml(&text) } else { Value::json(&text) } {
        Ok(value) => value,
        Err(Unreadable { at, what, why }) => {
            let file = Some(file.to_owned());
            return Ok(Err(vec![Problem { file, at, what: what.to_owned(), why, nearest: None }]));
        }
    };
    let root = folder(file).to_owned();
    let mut problems = Problems::default();
    let mut reading = Reading {
        root: &root,
        environment: request.environment.as_deref(),
        scope: request.scope.as_deref(),
        without: &request.without,
        problems: &mut problems,
    };
    let worker = reading.worker(&value);
    let list = problems.into_list(&text);
    let Some(worker) = worker.filter(|_| list.is_empty()) else {
        let own = |problem| Problem { file: Some(file.to_owned()), ..problem };
        return Ok(Err(list.into_iter().map(own).collect()));
    };
    let found = vars::load(&root, request.environment.as_deref()).map_err(unreadable)?;
    let vars = local_vars(&worker, found.values);
    Ok(Ok(Read { file: file.to_owned(), root, text, value, worker, vars }))
}

/// With `secrets` in its configuration a worker gets those and no others, from the process too.
fn local_vars(worker: &Worker, mut values: BTreeMap<String, String>) -> Vec<(String, Var)> {
    if let Some(wanted) = &worker.secrets {
        for name in wanted {
            if let (false, Ok(value)) = (values.contains_key(name), std::env::var(name)) {
                values.insert(name.clone(), value);
            }
        }
        values.retain(|name, _| wanted.contains(name) || worker.vars.contains(name));
    }
    values.into_iter().map(|(name, value)| (name, Var::Text(value))).collect()
}

fn twice(all: &[Read]) -> Vec<Problem> {
    let mut seen = BTreeMap::new();
    let mut problems = Vec::new();
    for one in all {
        if let Some(other) = seen.insert(&one.worker.name, &one.file) {
            problems.push(Problem {
                file: Some(one.file.clone()),
                at: place(one, "name"),
                what: format!("there are two workers of the name `{}`", one.worker.name),
                why: format!("the other is in {}; rename one of them", other.display()),
                nearest: None,
            });
        }
    }
    problems
}

fn place(one: &Read, field: &str) -> super::project::Position {
    super::project::position(&one.text, one.value.find(field).unwrap_or(one.value.at))
}

/// The compiler's words name no place in the file that it did not see; the field that they are about does.
fn blame(one: &Read, failed: Failed) -> Problem {
    let problem = |field: &str, what: String, why: String| Problem {
        file: Some(one.file.clone()),
        at: place(one, field),
        what,
        why,
        nearest: None,
    };
    match failed {
        Failed::Io(why) => problem("main", format!("`{}` cannot be compiled", one.worker.name), why),
        Failed::Refused(said) => {
            if let Some((field, rest)) =
                said.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'))
            {
                let why = rest.trim_start_matches(", ").split(" at line ").next().unwrap_or_default();
                return problem(
                    field,
                    format!("workerd's compiler does not know the field `{field}`"),
                    why.to_owned(),
                );
            }
            match said.split_once("esbuild failed:") {
                Some((_, said)) => problem(
                    "main",
                    format!("`{}` cannot be bundled", one.worker.name),
                    said.trim().to_owned(),
                ),
                None => problem("name", format!("`{}` cannot be compiled", one.worker.name), said),
            }
        }
    }
}

fn session(
    request: &Request,
    one: Read,
    output: Output,
    is_first: bool,
    places: &mut Places,
) -> Result<SessionSpec, ProjectError> {
    let Read { file, root, text, value: _, worker, vars } = one;
    let state = root.join(".wrangler/state/workerd");
    let service = worker.name.name().to_owned();
    let seen = look(&output.message, &service).map_err(|error| ProjectError::Unreadable {
        file: file.clone(),
        source: std::io::Error::other(format!("workerd's compiler wrote what cannot be used: {error}")),
    })?;
    let listen = listen(request, &file, worker.port, is_first)
        .map_err(|source| ProjectError::Unreadable { file: file.clone(), source })?;
    let main = worker.compiled.get("main").and_then(|main| main.as_str()).map(PathBuf::from);
    let main_module = seen.main_module;
    let compiled = Compiled {
        service,
        front: seen.front,
        message: output.message,
        main_module: main_module.clone(),
        main: main.unwrap_or_default(),
        inputs: output.inputs,
        source_map: output.source_map.as_ref().and_then(|text| source_map(&main_module, text, &root)),
        state,
        keeps: seen.keeps,
    };
    let mut parts = worker.places;
    if !parts.iter().any(|(part, _)| *part == Part::Name) {
        parts.push((Part::Name, 0));
    }
    places.add(&worker.name, &file, &text, parts);
    let scope = request.scope.as_deref();
    let named = |worker: &str| {
        SessionName::scoped(worker, scope).map_err(|error| ProjectError::Unreadable {
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
            is_tail: link.is_tail,
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

/// Sources are called as seen from the project's folder. The map has them as seen from the folder of the bundle, of which
/// only the depth is known any more: what it goes up is cut off where it meets the project.
fn source_map(module: &str, text: &[u8], root: &Path) -> Option<SourceMap> {
    SourceMap::read(module, text, |source| {
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

/// A class of a session that is compiled too says itself how its objects are named.
fn key_actors(sessions: &mut [SessionSpec]) {
    let classes: BTreeMap<_, _> =
        sessions.iter().map(|spec| (spec.name.clone(), spec.classes.clone())).collect();
    for link in sessions.iter_mut().flat_map(|spec| &mut spec.actors) {
        let class = classes.get(&link.target).and_then(|all| all.iter().find(|one| one.class == link.class));
        if let Some(class) = class {
            link.storage = class.storage.clone();
        }
    }
}

/// Where people reach a session. A port that was chosen once stays, so that a page that is open finds it again.
fn listen(request: &Request, file: &Path, port: Option<u16>, is_first: bool) -> std::io::Result<SocketAddr> {
    let mut ports = request.ports.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = ports.get(file) {
        return Ok(*known);
    }
    let localhost = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let wanted = request.listen.filter(|_| is_first).or(port.map(localhost));
    let address = match wanted {
        Some(address) if address.port() > 0 => address,
        // Free now, and ours in a moment: the system gives the same port again only after all others.
        other => TcpListener::bind(other.unwrap_or(localhost(0)))?.local_addr()?,
    };
    ports.insert(file.to_owned(), address);
    Ok(address)
}

/// What there is to know of a compiled configuration.
struct Seen {
    main_module: String,
    front: String,
    classes: Vec<ClassSpec>,
    keeps: bool,
}

fn look(message: &[u8], name: &str) -> capnp::Result<Seen> {
    let limits = capnp::message::ReaderOptions { traversal_limit_in_words: None, ..Default::default() };
    let reader = capnp::serialize::read_message_from_flat_slice(&mut &*message, limits)?;
    let root = reader.get_root::<config::Reader<'_>>()?;
    let front = match root.get_sockets()?.iter().next() {
        Some(socket) => socket.get_service()?.get_name()?.to_str()?.to_owned(),
        None => name.to_owned(),
    };
    let mut seen = Seen { main_module: String::new(), front, classes: Vec::new(), keeps: false };
    let mut found = false;
    for one in root.get_services()? {
        found |= one.get_name()?.to_str()? == seen.front;
        match one.which() {
            Ok(service::Disk(disk)) => seen.keeps |= disk?.get_writable(),
            Ok(service::Worker(worker)) if one.get_name()?.to_str()? == name => {
                look_at_worker(worker?, &mut seen)?;
            }
            _ => {}
        }
    }
    match found {
        true => Ok(seen),
        false => Err(capnp::Error::failed(format!("there is no service `{name}` in it"))),
    }
}

fn look_at_worker(worker: config_worker::Reader<'_>, seen: &mut Seen) -> capnp::Result<()> {
    if let Ok(config_worker::Modules(modules)) = worker.which()
        && let Some(first) = modules?.iter().next()
    {
        seen.main_module = first.get_name()?.to_str()?.to_owned();
    }
    for namespace in worker.get_durable_object_namespaces()? {
        use config_worker::durable_object_namespace::{EphemeralLocal, UniqueKey};
        let storage = match namespace.which() {
            Ok(UniqueKey(key)) => Storage::Stored { unique_key: key?.to_str()?.to_owned() },
            Ok(EphemeralLocal(())) => Storage::Ephemeral,
            Err(_) => continue,
        };
        let class = namespace.get_class_name()?.to_str()?.to_owned();
        seen.classes.push(ClassSpec { class, storage, binding: None });
    }
    Ok(())
}
