//! Commands under `jackfield run`, in a folder of their own with a daemon of their own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield::client::{Entrypoint, Session};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::running::{Running, folder};
use crate::support::up;

/// What a target answers: whose it is.
const WORKER: &str = r#"
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
export class Admin extends WorkerEntrypoint { fetch() { return Response.json(["NAME", this.ctx.props]); } }
export class Room extends DurableObject { fetch() { return new Response("room of NAME"); } }
export default { fetch() { return new Response("NAME"); } };
"#;

/// A folder in which everything of a test lies. No daemon runs there at first.
pub struct Stage {
    pub folder: tempfile::TempDir,
}

/// A command that runs, and its registry.
pub struct Run {
    pub child: Child,
    pub registry: PathBuf,
    lines: Lines<BufReader<ChildStdout>>,
    /// What jackfield has written to standard error.
    said: Arc<Mutex<String>>,
}

impl Stage {
    pub fn new() -> Self {
        Self { folder: tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap() }
    }

    pub fn command(&self, words: &[&str]) -> Command {
        up::command(&self.folder, words)
    }

    /// Starts a command that tells its registry and waits to be ended.
    pub async fn run(&self, options: &[&str]) -> Run {
        let script = r#"echo "$CLOUDFLARE_DEV_REGISTRY_PATH"; test "$WRANGLER_REGISTRY_PATH" = "$MINIFLARE_REGISTRY_PATH" && exec cat"#;
        let words: Vec<_> =
            ["run"].iter().chain(options).chain(&["--", "sh", "-c", script]).copied().collect();
        let mut command = self.command(&words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (said, mut errors) =
            (Arc::<Mutex<String>>::default(), BufReader::new(child.stderr.take().unwrap()).lines());
        let tell = said.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = errors.next_line().await {
                eprintln!("{line}");
                *tell.lock().unwrap() += &format!("{line}\n");
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = tokio::time::timeout(up::DEADLINE, lines.next_line()).await.expect("no registry in time");
        let registry = PathBuf::from(told.unwrap().expect("a registry is told"));
        Run { child, registry, lines, said }
    }

    pub async fn ask(&self, words: &[&str]) -> (i32, Value, String) {
        let output = tokio::time::timeout(up::DEADLINE, self.command(words).output()).await.unwrap().unwrap();
        let told = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), told, String::from_utf8(output.stderr).unwrap())
    }

    /// The sessions and their states, by name.
    pub async fn sessions(&self) -> Vec<(String, String)> {
        let (_, told, _) = self.ask(&["ls", "--json"]).await;
        let rows = told["sessions"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        rows.iter().map(|row| (text(&row["session"]), text(&row["state"]))).collect()
    }

    /// A command of the scope `x`, where a worker has registered that says what it is called.
    pub async fn joined(&self, worker: &str, says: &str) -> (Run, Running) {
        let (run, target) = (self.run(&["--scope", "x"]).await, target(says));
        run.register(worker, &entry(&target));
        (run, target)
    }

    /// Waits until the sessions are these.
    pub async fn until(&self, wanted: &[(&str, &str)]) {
        let same = |now: &[(String, String)]| {
            now.iter().map(|(name, state)| (name.as_str(), state.as_str())).collect::<Vec<_>>() == wanted
        };
        let deadline = tokio::time::Instant::now() + up::DEADLINE;
        loop {
            let now = self.sessions().await;
            if same(&now) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{now:?}, not {wanted:?}");
        }
    }

    /// Ends the daemon, which may have ended by itself.
    pub async fn down(&self) {
        self.ask(&["down"]).await;
    }
}

impl Run {
    /// Writes an entry, as a tool would.
    pub fn register(&self, worker: &str, entry: &str) {
        register(&self.registry, worker, entry);
    }

    /// What is published for this caller under a name.
    pub async fn published(&self, worker: &str) -> Value {
        let path = self.registry.join(worker);
        until(|| serde_json::from_slice(&std::fs::read(&path).ok()?).ok()).await
    }

    /// Calls a worker as the session would: over what its registry says.
    pub async fn fetch(&self, worker: &str, entrypoint: Option<&str>) -> Result<String, String> {
        let entry = self.published(worker).await;
        let session = Session::connect(&entry["debugPortAddress"].as_str().unwrap().parse().unwrap()).await;
        let session = session.map_err(|error| error.to_string())?;
        let service = if entrypoint.is_none() { "defaultEntrypointService" } else { "userWorkerService" };
        let service = entry[service].as_str().unwrap();
        let props = entrypoint.map(|_| json!({ "tenant": 7 }));
        text(&session.entrypoint(service, entrypoint, props)).await
    }

    /// Waits until it has said that so many times.
    pub async fn says(&self, text: &str, times: usize) {
        until(|| (self.said.lock().unwrap().matches(text).count() == times).then_some(())).await;
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Ends the command as the end of its input does, and waits for both.
    pub async fn end(mut self) -> i32 {
        drop(self.child.stdin.take());
        self.ended().await
    }

    /// Waits for the end. The input stays open: its end would be another reason.
    pub async fn ended(mut self) -> i32 {
        // Waiting for a child closes its input.
        let _input = self.child.stdin.take();
        let ended = tokio::time::timeout(up::DEADLINE, self.child.wait()).await.expect("it does not end");
        while self.lines.next_line().await.unwrap().is_some() {}
        ended.unwrap().code().unwrap()
    }
}

pub async fn text(entrypoint: &Entrypoint) -> Result<String, String> {
    let request = http::Request::get("https://test/x").body("".into()).unwrap();
    let answer = entrypoint.fetch(request).await.map_err(|error| error.to_string())?;
    answer.into_body().text().await.map_err(|error| error.to_string())
}

pub fn register(registry: &Path, worker: &str, entry: &str) {
    let new = registry.with_extension("test");
    std::fs::write(&new, entry).unwrap();
    std::fs::rename(new, registry.join(worker)).unwrap();
}

/// A workerd with a debug port, whose services have the names that Miniflare gives.
pub fn target(name: &str) -> Running {
    serve(&WORKER.replace("NAME", name))
}

/// The same with a worker that a test brings.
pub fn serve(worker: &str) -> Running {
    let folder = folder();
    std::fs::write(folder.path().join("worker.js"), worker).unwrap();
    let config = r#"
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "core:user:api", worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-11-01",
  durableObjectNamespaces = [CLASSES],
  durableObjectStorage = (inMemory = void),
))]);
"#;
    let class = r#"(className = "Room", ephemeralLocal = void)"#;
    let classes = if worker.contains("class Room ") { class } else { "" };
    Running::start(folder, &config.replace("CLASSES", classes), &[])
}

/// The entry of such a target.
pub fn entry(target: &Running) -> String {
    json!({
        "debugPortAddress": format!("unix:{}", target.debug_socket().display()),
        "defaultEntrypointService": "core:user:api",
        "userWorkerService": "core:user:api",
        "instanceId": "one",
    })
    .to_string()
}

/// Waits for something that no handle tells of.
pub async fn until<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + up::DEADLINE;
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "it does not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
