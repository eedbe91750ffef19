//! wrangler's projects, as sessions on bare workerd.
//!
//! A configuration is read (`text`), the fields in force are taken from it (`worker`, with `fields` for what each is to
//! us), and what workerd's own compiler knows of it is compiled (`compile`). The rest we add: links, values for one
//! developer (`vars`), sockets. A field that nobody here can serve is named with its place, never passed over.

mod build;
mod compile;
mod crons;
mod expand;
mod fields;
mod lasting;
mod links;
mod others;
mod queues;
mod request;
mod rules;
mod seen;
mod spec;
mod text;
mod unique;
mod vars;
mod watch;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::name::SessionName;
use super::nearest::Nearest;
use super::output::Level;
use super::project::{Position, Problem, Problems, Project, ProjectError, Var};
use build::{Build, Built};
use compile::{Failed, Output};
pub use lasting::Lasting;
pub use request::{Config, FILE_NAMES, Request, Tools};
use text::{Field, Unreadable, Value};
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
    warnings: Vec<Problem>,
}

/// What came of all configurations.
#[derive(Debug)]
pub struct Loaded {
    /// To run.
    pub project: Project,
    /// What is no reason not to, and was not told before.
    pub warnings: Vec<String>,
}

/// Takes the lines of commands that sources are made with.
pub type Tell<'a> = &'a (dyn Fn(&SessionName, Level, &str) + Sync);

/// Reads all configurations, without looking at the sources.
///
/// # Errors
/// All that is wrong with them, with its place.
pub fn check(request: &Request) -> Result<(), ProjectError> {
    read_all(request).map(drop)
}

/// Reads, builds and compiles all configurations.
///
/// # Errors
/// All that is wrong with them, with its place. Blocks as long as the compiler takes, and `go_on` agrees, which is
/// asked again and again.
pub fn load(
    request: &Request,
    lasting: &mut Lasting,
    tell: Tell<'_>,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Result<Loaded, ProjectError> {
    let (mut problems, mut outputs, mut sources) = (Vec::new(), Vec::new(), true);
    let all = read_all(request)?;
    let file = first(request);
    let mut warnings: BTreeSet<_> =
        all.iter().flat_map(|one| &one.warnings).map(|warning| warning.text(&file)).collect();
    warnings.extend(without_nothing(request, &all));
    for (one, compiled) in all.iter().zip(compile_all(request, &all, lasting, tell, go_on)) {
        match compiled {
            Ok(output) => {
                problems.extend(ignored(one, &output));
                outputs.push(output);
            }
            Err(failed) => {
                sources &= match &failed {
                    Failed::Refused(said) => said.contains(BUNDLER),
                    Failed::Build(_) => true,
                    Failed::Io(_) => false,
                };
                problems.push(blame(one, failed));
            }
        }
    }
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
    Ok(Loaded { project, warnings: lasting.news(warnings) })
}

/// Side by side: each is a process that waits for another.
fn compile_all(
    request: &Request,
    all: &[Read],
    lasting: &mut Lasting,
    tell: Tell<'_>,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Vec<Result<Output, Failed>> {
    let mut builds: Vec<_> =
        all.iter().map(|one| lasting.builds.remove(&one.config.file).unwrap_or_default()).collect();
    let compile = |one: &Read, built: &mut Built| {
        if let Some(build) = &one.worker.build {
            let tell = |level, line: &str| tell(&one.worker.name, level, line);
            built.renew(build, &request.variables, &tell, go_on).map_err(Failed::Build)?;
            main_is_there(one, build)?;
        }
        compile::compile(&request.tools, &one.root, &one.worker, &request.variables, go_on)
    };
    let outputs = std::thread::scope(|scope| {
        let compile = &compile;
        let each = all.iter().zip(&mut builds);
        let threads: Vec<_> = each.map(|(one, built)| scope.spawn(move || compile(one, built))).collect();
        let failed = |_| Err(Failed::Io("the thread that compiles has failed".to_owned()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(failed)).collect()
    });
    let with_builds = all.iter().zip(builds).filter(|(one, _)| one.worker.build.is_some());
    lasting.builds = with_builds.map(|(one, built)| (one.config.file.clone(), built)).collect();
    outputs
}

/// What is to be left out, and stands nowhere.
fn without_nothing(request: &Request, all: &[Read]) -> Vec<String> {
    let tables = all.iter().flat_map(|one| {
        let environments = one.value.get("env").map(Value::fields).unwrap_or_default();
        environments.iter().map(|environment| &environment.value).chain([&one.value])
    });
    let fields: BTreeSet<_> = tables.flat_map(Value::fields).map(|field| field.name.as_str()).collect();
    let missing = request.without.iter().filter(|name| !fields.contains(name.as_str()));
    let warning = |name: &String| {
        format!(
            "`--without {name}` leaves nothing out: no configuration has it{}",
            Nearest::of(name, &fields)
        )
    };
    missing.map(warning).collect()
}

/// What wrangler would not take either.
fn ignored(one: &Read, output: &Output) -> Option<Problem> {
    let file = one.worker.rules.ignored(output.inputs.iter())?;
    let file = file.strip_prefix(&one.root).unwrap_or(file).display();
    Some(Problem {
        file: Some(one.config.file.clone()),
        at: place(one, "rules"),
        what: format!("`{file}` is imported, and the rule for such files is ignored"),
        why: "a rule of the same type before it does not fall through; add \"fallthrough\": true to that"
            .to_owned(),
        nearest: None,
    })
}

/// A build makes it, so it is not asked for before.
fn main_is_there(one: &Read, build: &Build) -> Result<(), Failed> {
    match one.worker.compiled.get("main").and_then(|main| main.as_str()).map(Path::new) {
        Some(main) if !main.is_file() => {
            let why = format!("`{}` has ended, and there is no {}", build.command, main.display());
            Err(Failed::Build(why))
        }
        _ => Ok(()),
    }
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
pub fn sources(request: &Request, lasting: &Lasting, project: Option<&Project>) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for config in &request.configs {
        files.insert(config.file.clone());
        files.extend(vars::files(folder(&config.file), request.environment.as_deref()));
    }
    let compiled =
        project.into_iter().flat_map(|project| &project.sessions).filter_map(|spec| spec.compiled.as_ref());
    files.extend(compiled.flat_map(|compiled| compiled.inputs.iter().cloned()));
    files.extend(lasting.builds.values().flat_map(Built::watched).filter(|path| !path.is_dir()).cloned());
    files
}

/// Folders in which any file counts: those that builds watch; and where sources do not compile those of the
/// configurations, since whatever is missing may come to lie there.
pub fn folders(request: &Request, lasting: &Lasting, failed: bool) -> Vec<PathBuf> {
    let is_built = |config: &&Config| lasting.builds.contains_key(&config.file);
    let roots = request.configs.iter().filter(|config| failed && !is_built(config));
    let watched = lasting.builds.values().flat_map(Built::watched).filter(|path| path.is_dir());
    roots.map(|config| folder(&config.file).to_owned()).chain(watched.cloned()).collect()
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
    let mut value = match if is_toml { Value::toml(&text) } else { Value::json(&text) } {
        Ok(value) => value,
        Err(Unreadable { at, what, why }) => {
            let file = Some(file.to_owned());
            return Ok(Err(vec![Problem { file, at, what: what.to_owned(), why, nearest: None }]));
        }
    };
    let root = folder(file).to_owned();
    let (mut problems, mut warnings) = (Problems::default(), Problems::default());
    for Field { at, name, .. } in value.take_repeated() {
        warnings.add(at..at, format!("`{name}` stands here twice"), "the last one counts, not this");
    }
    let mut reading = Reading {
        root: &root,
        environment: request.environment.as_deref(),
        scope: config.scope.as_deref(),
        without: &request.without,
        problems: &mut problems,
        warnings: &mut warnings,
    };
    let worker = reading.worker(&value);
    let list = problems.into_list(&text);
    let own = |problem| Problem { file: Some(file.to_owned()), ..problem };
    let Some(worker) = worker.filter(|_| list.is_empty()) else {
        return Ok(Err(list.into_iter().map(own).collect()));
    };
    let in_force = worker.secrets.is_some();
    let found = vars::load(&root, request.environment.as_deref(), &request.variables, in_force);
    let found = found.map_err(unreadable)?;
    if let Some(missing) = missing_secrets(&worker, &found) {
        let at = value.find("secrets").unwrap_or(value.at);
        warnings.add(at..at, missing, MISSING);
    }
    let vars = local_vars(&worker, found);
    let warnings = warnings.into_list(&text).into_iter().map(own).collect();
    Ok(Ok(Read { config: config.clone(), root, text, value, worker, vars, warnings }))
}

/// What to do where secrets are missing.
const MISSING: &str =
    "write them into .dev.vars or .env, or set them in the environment; until then `env` is without them";

fn missing_secrets(worker: &Worker, found: &BTreeMap<String, String>) -> Option<String> {
    let wanted = worker.secrets.iter().flatten().filter(|name| !found.contains_key(*name));
    let missing: Vec<_> = wanted.map(|name| format!("`{name}`")).collect();
    (!missing.is_empty())
        .then(|| format!("{} has no value for the secrets {}", worker.name, missing.join(", ")))
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
        Failed::Build(why) => problem("build", format!("`{}` cannot be built", one.worker.name), why),
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
