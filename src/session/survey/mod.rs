//! A look at sessions before any of them is started.
//!
//! What workerd takes (compatibility dates and flags, the scripts themselves) and what scripts export is known to
//! workerd alone, and differs from version to version. So sessions are first loaded into one process of it that listens
//! nowhere, with a module of ours before each main module that says what that exports. The process loads them, says what
//! it finds, and ends: nothing of the user's is served by it. Those whose exports somebody else has told are left out.

mod blame;
mod flags;
mod links;
mod process;
mod said;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::config::{self, Wiring};
use super::exports::Exports;
use super::host::Host;
use super::name::SessionName;
use super::process::Ended;
use super::project::{Module, ModuleKind, Problem, Project, ProjectError, SessionSpec};
use super::runtime_dir::{self, RuntimeDir, RuntimeDirError};
use process::Outcome;
use said::{Complaint, Said};

/// The modules of ours, as they are named beside the user's.
const SURVEY: (&str, &str) = ("jackfield-survey/index.js", include_str!("../../../workers/survey/index.js"));
const SAY: (&str, &str) = ("jackfield-survey/say.js", include_str!("../../../workers/survey/say.js"));

/// Why nothing is started.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The project is wrong, or a script that it names.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// There is no process to look with.
    #[error("cannot start {workerd}: {source}")]
    Spawn {
        /// The executable.
        workerd: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A script does not come to an end.
    #[error(
        "the script of session `{session}` is not loaded after {waited:?}; look for a loop, or a promise that is \
         awaited for ever, outside of its handlers"
    )]
    Late {
        /// The first whose script was not loaded.
        session: SessionName,
        /// How long all had.
        waited: Duration,
    },
    /// workerd itself fails.
    #[error("workerd cannot load the sessions: it {ended}{}", super::process::quoted(said))]
    Broken {
        /// How it ended.
        ended: Ended,
        /// What it wrote.
        said: Vec<String>,
    },
    /// Its configuration cannot be written.
    #[error("cannot configure the sessions: {0}")]
    Config(#[from] capnp::Error),
    /// The private folder refuses.
    #[error(transparent)]
    Runtime(#[from] RuntimeDirError),
}

/// Completes a project with what its sessions export, or says what is wrong with it. Sessions that are as they were in
/// `before`, which was surveyed, are not looked at again, nor those whose exports are known.
///
/// # Cancellation
/// Dropping the future kills the process.
pub async fn survey(
    host: &Arc<Host>,
    mut project: Project,
    before: Option<&Project>,
) -> Result<Project, SurveyError> {
    for spec in &mut project.sessions {
        let same = before.and_then(|before| before.session(&spec.name)).filter(|old| old.loads_like(spec));
        let files = || Arc::new(Exports { default: true, ..Exports::default() });
        spec.exports = match spec.has_script() {
            true => same.and_then(|old| old.exports.clone()).or_else(|| spec.exports.take()),
            false => Some(files()),
        };
    }
    let unknown: Vec<_> = project.sessions.iter().filter(|spec| spec.exports.is_none()).collect();
    if !unknown.is_empty() {
        let said = load(host, &unknown).await?;
        if !said.complaints.is_empty() {
            return Err(accuse(host, &project, said.complaints).await.into());
        }
        let mut exports = said.exports;
        for spec in &mut project.sessions {
            if let Some(exports) = exports.remove(&spec.name) {
                spec.exports = Some(Arc::new(exports));
            }
        }
    }
    for spec in &mut project.sessions {
        if let Some(exports) = &spec.exports {
            spec.entrypoints.extend(exports.entrypoints.iter().cloned());
        }
    }
    let problems = links::check(&project);
    if problems.is_empty() { Ok(project) } else { Err(invalid(&project, problems).into()) }
}

/// Loads sessions and returns what is said of them. Those that were compiled bring services of their own, whose names may
/// be the same in two of them: each has a process for itself.
async fn load(host: &Arc<Host>, specs: &[&SessionSpec]) -> Result<Said, SurveyError> {
    let (alone, together): (Vec<_>, Vec<_>) = specs.iter().copied().partition(|spec| spec.compiled.is_some());
    let groups = alone.into_iter().map(|spec| vec![spec]).chain([together]).filter(|group| !group.is_empty());
    let loads = groups.map(|group| async move { load_together(host, &group).await });
    let mut all = Said::default();
    for said in futures::future::join_all(loads).await {
        let said = said?;
        all.complaints.extend(said.complaints);
        all.exports.extend(said.exports);
    }
    Ok(all)
}

async fn load_together(host: &Arc<Host>, specs: &[&SessionSpec]) -> Result<Said, SurveyError> {
    // Those of one process have one workerd: the run's, or that of the only one.
    let Some(workerd) = specs.first().map(|spec| host.workerd_of(spec)) else { return Ok(Said::default()) };
    let trial = TrialFolder::new(&host.runtime)?;
    let wiring = |spec| Wiring { trial_folder: Some(trial.0.clone()), ..host.deaf_wiring(spec) };
    let asked: Vec<_> = specs.iter().map(|spec| (ask(spec), wiring(spec))).collect();
    let sessions: Vec<_> = asked.iter().map(|(spec, wiring)| (spec, wiring)).collect();
    let message = match sessions.as_slice() {
        [(spec, wiring)] => config::build(spec, wiring)?,
        sessions => config::build_all(sessions)?,
    };
    drop(asked);
    let Outcome { ended, out, err } = process::run(host, workerd, message).await?;
    let names: Vec<_> = specs.iter().map(|spec| &spec.name).collect();
    let mut err = err;
    if let [spec] = specs {
        let (service, name) = (format!("service {}: ", spec.service()), format!("service {}: ", spec.name));
        let sources = spec.compiled.as_ref().and_then(|compiled| compiled.source_map.as_ref());
        for line in &mut err {
            if let Some(text) = line.strip_prefix(&service) {
                *line = format!("{name}{text}");
            }
            if let Some(sources) = sources {
                *line = sources.back(line);
            }
        }
    }
    let said = Said::read(&names, &out, &err);
    match ended {
        Some(ended) if ended.is_success() => Ok(Said { complaints: Vec::new(), ..said }),
        Some(_) if !said.complaints.is_empty() => Ok(said),
        Some(ended) => Err(SurveyError::Broken { ended, said: err }),
        None => {
            // They are loaded one after the other.
            let first = names.into_iter().find(|name| !said.exports.contains_key(*name)).cloned();
            let waited = host.times.start;
            Err(first.map_or(SurveyError::Broken { ended: Ended::default(), said: err }, |session| {
                SurveyError::Late { session, waited }
            }))
        }
    }
}

/// Where nothing is kept. It lies in the private folder, which goes with the run at the latest.
struct TrialFolder(PathBuf);

impl TrialFolder {
    fn new(runtime: &RuntimeDir) -> Result<Self, RuntimeDirError> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let path = runtime.trial(LAST.fetch_add(1, Relaxed));
        std::fs::create_dir(&path).map_err(runtime_dir::failed("create", &path))?;
        Ok(Self(path))
    }
}

impl Drop for TrialFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The session with the question before its main module.
fn ask(spec: &SessionSpec) -> SessionSpec {
    let mut asked = spec.clone();
    let main = format!("../{}", spec.main().0);
    let literal = |text: &str| serde_json::Value::from(text).to_string();
    let question = SURVEY.1.replace("\"./main.js\"", &literal(&main));
    let question = question.replace("\"SESSION\"", &literal(&spec.name.to_string()));
    let module = |name: &str, content: &str| Module {
        name: name.to_owned(),
        kind: ModuleKind::EsModule,
        path: name.into(),
        content: content.as_bytes().to_vec(),
    };
    asked.modules.splice(0..0, [module(SURVEY.0, &question), module(SAY.0, SAY.1)]);
    asked
}

/// Turns complaints into problems of the project file.
async fn accuse(host: &Arc<Host>, project: &Project, complaints: Vec<Complaint>) -> ProjectError {
    let (mut problems, mut sources): (BTreeMap<_, Problem>, _) = (BTreeMap::new(), true);
    for complaint in complaints {
        let Some(spec) = project.session(&complaint.session) else { continue };
        let mut problem = blame::problem(project, spec, complaint.text);
        if let Some(flag) = problem.unknown_flag {
            problem.problem.nearest = flags::nearest(host, host.workerd_of(spec), &flag).await;
        }
        sources &= problem.is_source;
        let problem = problem.problem;
        // workerd may say two things about one date.
        match problems.get_mut(&(problem.at, problem.what.clone())) {
            Some(first) => first.why = format!("{}\n{}", first.why, problem.why),
            None => drop(problems.insert((problem.at, problem.what.clone()), problem)),
        }
    }
    match invalid(project, problems.into_values().collect()) {
        ProjectError::Invalid { file, problems } if sources => ProjectError::Sources { file, problems },
        error => error,
    }
}

fn invalid(project: &Project, mut problems: Vec<Problem>) -> ProjectError {
    problems.sort_by_key(|problem| problem.at);
    ProjectError::Invalid { file: project.file.clone(), problems }
}
