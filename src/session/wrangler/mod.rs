//! wrangler's projects, as sessions on bare workerd.
//!
//! A configuration is read (`text`), the fields in force are taken from it (`worker`, with `fields` for what each is to
//! us), and what workerd's own compiler knows of it is compiled (`compile`). The rest we add: links, values for one
//! developer (`vars`), sockets. A field that nobody here can serve is named with its place, never passed over.

mod compile;
mod expand;
mod fields;
mod lasting;
mod links;
mod request;
mod seen;
mod spec;
mod text;
mod vars;
mod watch;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::project::{Position, Problem, Problems, Project, ProjectError, Var};
use compile::{Failed, Output};
pub use lasting::Lasting;
pub use request::{Config, FILE_NAMES, Request, Tools};
use text::{Unreadable, Value};
pub use watch::Watch;
use worker::{Reading, Worker};

/// Before what the bundler says, in the compiler's words.
const BUNDLER: &str = "esbuild failed:";

/// One configuration, read.
struct Read {
    config: Config,
    root: PathBuf,
    text: String,
    value: Value,
    worker: Worker,
    vars: Vec<(String, Var)>,
}

/// Reads all configurations, without looking at the sources.
///
/// # Errors
/// All that is wrong with them, with its place.
pub fn check(request: &Request) -> Result<(), ProjectError> {
    read_all(request).map(drop)
}

/// Reads and compiles all configurations.
///
/// # Errors
/// All that is wrong with them, with its place. Blocks as long as the compiler takes, and `go_on` agrees, which is
/// asked again and again.
pub fn load(
    request: &Request,
    lasting: &mut Lasting,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Result<Project, ProjectError> {
    let (mut problems, mut outputs, mut sources) = (Vec::new(), Vec::new(), true);
    let all = read_all(request)?;
    for (one, compiled) in all.iter().zip(compile_all(request, &all, go_on)) {
        match compiled {
            Ok(output) => outputs.push(output),
            Err(failed) => {
                sources &= matches!(&failed, Failed::Refused(said) if said.contains(BUNDLER));
                problems.push(blame(one, failed));
            }
        }
    }
    let file = first(request);
    match (problems.is_empty(), sources) {
        (true, _) => {}
        (false, true) => return Err(ProjectError::Sources { file, problems }),
        (false, false) => return Err(ProjectError::Invalid { file, problems }),
    }
    let root = folder(&file).to_owned();
    let mut project = Project { file, root, ..Project::default() };
    for (index, (one, output)) in all.into_iter().zip(outputs).enumerate() {
        let spec = spec::session(request, one, output, index == 0, lasting, &mut project.places)?;
        project.sessions.push(spec);
    }
    spec::key_actors(&mut project.sessions);
    Ok(project)
}

/// Side by side: each is a process that waits for another.
fn compile_all(
    request: &Request,
    all: &[Read],
    go_on: &(dyn Fn() -> bool + Sync),
) -> Vec<Result<Output, Failed>> {
    let compile = |one: &Read| {
        let Worker { compiled, esbuild, .. } = &one.worker;
        compile::compile(&request.tools, &one.root, compiled, esbuild, &request.variables, go_on)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = all.iter().map(|one| scope.spawn(|| compile(one))).collect();
        let failed = |_| Err(Failed::Io("the thread that compiles has failed".to_owned()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(failed)).collect()
    })
}

fn read_all(request: &Request) -> Result<Vec<Read>, ProjectError> {
    let (mut problems, mut all) = (Vec::new(), Vec::new());
    for config in &request.configs {
        match read(request, config)? {
            Ok(one) => all.push(one),
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(twice(&all));
    match problems.is_empty() {
        true => Ok(all),
        false => Err(ProjectError::Invalid { file: first(request), problems }),
    }
}

fn first(request: &Request) -> PathBuf {
    request.configs.first().map(|config| config.file.clone()).unwrap_or_default()
}

/// All files that a project is made of, there or not: a change of one is a reason to make it again.
pub fn sources(request: &Request, project: Option<&Project>) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for config in &request.configs {
        files.insert(config.file.clone());
        files.extend(vars::files(folder(&config.file), request.environment.as_deref()));
    }
    let compiled =
        project.into_iter().flat_map(|project| &project.sessions).filter_map(|spec| spec.compiled.as_ref());
    files.extend(compiled.flat_map(|compiled| compiled.inputs.iter().chain([&compiled.main]).cloned()));
    files
}

/// The folders of the configurations: whatever a source lacks that does not compile may come to lie there.
pub fn roots(request: &Request) -> Vec<PathBuf> {
    request.configs.iter().map(|config| folder(&config.file).to_owned()).collect()
}

fn folder(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

/// What is wrong with the text is told together; a file that cannot be read ends it.
fn read(request: &Request, config: &Config) -> Result<Result<Read, Vec<Problem>>, ProjectError> {
    let file = config.file.as_path();
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
        scope: config.scope.as_deref(),
        without: &request.without,
        problems: &mut problems,
    };
    let worker = reading.worker(&value);
    let list = problems.into_list(&text);
    let Some(worker) = worker.filter(|_| list.is_empty()) else {
        let own = |problem| Problem { file: Some(file.to_owned()), ..problem };
        return Ok(Err(list.into_iter().map(own).collect()));
    };
    let in_force = worker.secrets.is_some();
    let found = vars::load(&root, request.environment.as_deref(), &request.variables, in_force);
    let vars = local_vars(&worker, found.map_err(unreadable)?);
    Ok(Ok(Read { config: config.clone(), root, text, value, worker, vars }))
}

/// With `secrets` in its configuration a worker gets those and no others.
fn local_vars(worker: &Worker, mut values: BTreeMap<String, String>) -> Vec<(String, Var)> {
    if let Some(wanted) = &worker.secrets {
        values.retain(|name, _| wanted.contains(name) || worker.vars.contains(name));
    }
    // Only values take the place of values.
    let is_link = |name: &String| {
        worker.services.iter().any(|link| link.ear.is_none() && link.binding == *name)
            || worker.actors.iter().any(|link| link.binding == *name)
    };
    values.retain(|name, _| !is_link(name));
    values.into_iter().map(|(name, value)| (name, Var::Text(value))).collect()
}

fn twice(all: &[Read]) -> Vec<Problem> {
    let mut seen = BTreeMap::new();
    let mut problems = Vec::new();
    for one in all {
        if let Some(other) = seen.insert(&one.worker.name, &one.config.file) {
            problems.push(Problem {
                file: Some(one.config.file.clone()),
                at: place(one, "name"),
                what: format!("there are two workers of the name `{}`", one.worker.name),
                why: format!("the other is in {}; rename one of them", other.display()),
                nearest: None,
            });
        }
    }
    problems
}

fn place(one: &Read, field: &str) -> Position {
    super::project::position(&one.text, one.value.find(field).unwrap_or(one.value.at))
}

/// The compiler's words name no place in the file that it did not see; the field that they are about does.
fn blame(one: &Read, failed: Failed) -> Problem {
    let problem = |field: &str, what: String, why: String| Problem {
        file: Some(one.config.file.clone()),
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
            match said.split_once(BUNDLER) {
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
