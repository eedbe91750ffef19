//! `jackfield demo`: the whole idea in seconds, on a project of its own.

mod http;
mod load;
mod report;
mod story;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::progress::FetchBar;
use crate::control::shape::{ChangeRequest, Move};
use crate::control::{Daemon, Operator, Parts, Worker};
use crate::router::switch::{Settings, TraceFile};
use crate::router::{Aim, LinkName, Links, Router};
use crate::session::{
    Level, OutputSink, Project, RuntimeDir, SessionName, SessionSink, SessionState, Times, workerd,
};
use report::Report;

/// The link that is moved.
const LINK: &str = "web/API";
/// Its two targets.
const TARGETS: [&str; 2] = ["api@blue", "api@green"];

const PROJECT: &str = r#"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
services = { API = "api@blue" }

[sessions."api@blue"]
script = "api.js"
compatibility_date = "2026-11-01"
vars = { NAME = "api@blue" }

[sessions."api@green"]
script = "api.js"
compatibility_date = "2026-11-01"
vars = { NAME = "api@green" }
"#;

/// Calls that are under way when the demo stops have a second; there should be none.
const GRACE: Duration = Duration::from_secs(1);

/// What sessions of the demo write concerns nobody: it shows what it checks.
struct Silent;

impl OutputSink for Silent {
    fn line(&self, session: &SessionName, _: Level, line: &str) {
        tracing::debug!(%session, "{line}");
    }
}

impl SessionSink for Silent {
    fn publish(&self, _: &SessionName, _: SessionState) {}
}

/// A folder that goes when the demo does.
struct Folder(PathBuf);

impl Folder {
    fn create() -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = std::env::temp_dir().join(format!("jackfield-demo-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let folder = Folder(folder);
        std::fs::write(folder.0.join("jackfield.toml"), PROJECT)?;
        std::fs::write(folder.0.join("web.js"), include_str!("../../../workers/demo-web/index.js"))?;
        std::fs::write(folder.0.join("api.js"), include_str!("../../../workers/demo-api/index.js"))?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The running sessions, as the demo drives them.
struct Stage {
    daemon: Arc<Daemon>,
    router: Arc<Router>,
    link: LinkName,
}

impl Stage {
    /// Points the link at the other target. Ready when every event that begins from now on goes there.
    async fn point(&self, to: &str) -> Result<(), Failure> {
        let target: Aim = to.parse().map_err(Failure::failed)?;
        let link = self.link.clone();
        let changes = vec![Move { link, target, props: None }];
        let request = ChangeRequest { changes, expected_revision: None, cut: false, wait: false };
        self.daemon.change(request).await?;
        Ok(())
    }

    /// The HTTP socket of a session's newest generation.
    fn socket(&self, session: &str) -> Result<PathBuf, Failure> {
        let name: SessionName = session.parse().map_err(Failure::failed)?;
        let snapshot = self.router.links().snapshot();
        match snapshot.session(&name).map(|session| &session.state) {
            Some(SessionState::Up(generation)) => generation
                .http_sockets
                .get(&None)
                .cloned()
                .ok_or_else(|| Failure::failed(format!("session {session} has no HTTP socket"))),
            _ => Err(Failure::failed(format!("session {session} is not up"))),
        }
    }

    /// The process of a session.
    fn pid(&self, session: &str) -> Option<u32> {
        let rows = self.daemon.sessions().sessions;
        rows.into_iter().find(|row| row.session.to_string() == session)?.pid
    }
}

/// Blocks until the demo is over.
pub(super) fn run(trace_frames: Option<&Path>, as_json: bool) -> Result<(), Failure> {
    let folder = Folder::create().map_err(|error| {
        Failure::failed(format!("no folder for the demo's project can be made: {error}"))
            .hint("set TMPDIR to a folder that can be written")
    })?;
    let here = std::env::current_dir().unwrap_or_else(|_| folder.0.clone());
    let options = workerd::Options::from_env(&here).map_err(Failure::failed)?;
    let found = workerd::locate(&options, &mut FetchBar::default()).map_err(Failure::failed)?;
    story::opening(&found);
    let report = super::runtime()?.block_on(play(&folder, found.path, trace_frames))?;
    story::ending(&report);
    if as_json {
        super::screen::json(&report)?;
    }
    match report.is_good() {
        true => Ok(()),
        false => Err(Failure::failed("the demo did not show what it should; the lines above say what")),
    }
}

async fn play(folder: &Folder, workerd: PathBuf, trace_frames: Option<&Path>) -> Result<Report, Failure> {
    let began = Instant::now();
    let (stage, worker) = start(folder, workerd, trace_frames).await?;
    story::started(began.elapsed());
    let mut work = std::pin::pin!(worker.run());
    let report = tokio::select! {
        () = &mut work => Err(Failure::failed("the sessions stopped")),
        // Ctrl-C takes the way of every other end: sessions stop, files go.
        _ = tokio::signal::ctrl_c() => Err(Failure::failed("interrupted")),
        report = acts(&stage, began) => report,
    };
    let down = stage.daemon.down();
    tokio::select! {
        _ = async { tokio::join!(down, &mut work) } => {}
        () = tokio::time::sleep(GRACE * 10) => {}
    }
    report
}

async fn start(
    folder: &Folder,
    workerd: PathBuf,
    trace_frames: Option<&Path>,
) -> Result<(Stage, Worker), Failure> {
    let project = Project::load(&folder.0.join("jackfield.toml")).map_err(Failure::project)?;
    let runtime = RuntimeDir::claim(&project.file).map_err(Failure::failed)?;
    let trace = trace_frames.map(TraceFile::create).transpose();
    let trace = trace.map_err(|error| Failure::usage(format!("the frames cannot be written: {error}")))?;
    let settings = Settings { trace, ..Settings::default() };
    let router = Router::start(Arc::new(Links::new()), settings)
        .map_err(|error| Failure::failed(format!("cannot start the threads of the router: {error}")))?;
    let parts = Parts {
        project,
        workerd,
        times: Times { drain: GRACE, ..Times::default() },
        runtime,
        router: router.clone(),
        output: Arc::new(Silent),
        watcher: Arc::new(Silent),
        registries: Vec::new(),
        ingress: None,
    };
    let (daemon, worker) = Daemon::start(parts).await?;
    let link = LINK.parse().map_err(Failure::failed)?;
    Ok((Stage { daemon, router, link }, worker))
}

async fn acts(stage: &Stage, began: Instant) -> Result<Report, Failure> {
    let mut report = Report::default();
    load::while_it_moves(stage, &mut report).await?;
    story::moved(&report);
    load::hold_across(stage, &mut report).await?;
    story::held(&report);
    load::throw(stage, &mut report).await?;
    story::thrown(&report);
    load::kill(stage, &mut report).await?;
    story::killed(&report);
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}
