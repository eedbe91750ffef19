//! The real wranglers, linked with each other by us.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;

use super::stage::Stage;
use crate::support::npm::tools;

/// A wrangler needs a second or two; several at once on a busy machine need more.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

const NEWEST: &str = "wrangler";
const OLDEST: &str = "wrangler-4-84";

const WEB: &str = include_str!("workers/web.js");
const API: &str = include_str!("workers/api.js");

const WEB_CONFIG: &str = r#"{ "name": "web", "main": "web.js", "compatibility_date": "2026-03-01",
  "services": [ { "binding": "API", "service": "api" },
                { "binding": "ADMIN", "service": "api", "entrypoint": "Admin", "props": { "tenant": 7 } } ],
  "tail_consumers": [ { "service": "api" } ],
  "queues": { "producers": [ { "binding": "JOBS", "queue": "jobs" } ] },
  "durable_objects": { "bindings": [ { "name": "ROOMS", "class_name": "Room", "script_name": "api" } ] } }"#;

const API_CONFIG: &str = r#"{ "name": "api", "main": "api.js", "compatibility_date": "2026-03-01",
  "queues": { "consumers": [ { "queue": "jobs", "max_batch_timeout": 0 } ] },
  "durable_objects": { "bindings": [ { "name": "ROOMS", "class_name": "Room" } ] },
  "migrations": [ { "tag": "v1", "new_sqlite_classes": [ "Room" ] } ] }"#;

/// One `wrangler dev` under `jackfield run`. Dropping it ends both.
struct Dev {
    child: Child,
    port: u16,
}

impl Dev {
    async fn start(stage: &Stage, version: &str, scope: &str, config: &str, script: (&str, &str)) -> Self {
        let folder = stage.folder.path().join(format!("{}-{scope}-{version}", script.0));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("wrangler.jsonc"), config).unwrap();
        std::fs::write(folder.join(script.0), script.1).unwrap();
        let wrangler = tools().module(version).join("bin/wrangler.js");
        let words = [wrangler.to_str().unwrap(), "dev", "--port", "0", "--inspector-port", "0"];
        Self::listening(stage, scope, &folder, &words, "Ready on http://localhost:").await
    }

    /// Starts a script of node's, and waits until it tells its port.
    async fn listening(stage: &Stage, scope: &str, folder: &Path, words: &[&str], before_port: &str) -> Self {
        let mut command = stage.command(&["run", "--scope", scope, "--", tools().node.to_str().unwrap()]);
        command
            .args(words)
            .envs([("WRANGLER_SEND_METRICS", "false"), ("CI", "1"), ("WRANGLER_HIDE_BANNER", "true")])
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("WRANGLER_LOG_PATH", folder.join("logs"))
            .env("NO_COLOR", "1")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log(folder))
            .stderr(log(folder));
        let child = command.spawn().unwrap();
        let log = folder.join("log");
        let deadline = tokio::time::Instant::now() + STARTS_WITHIN;
        loop {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let ready = said.split_once(before_port);
            if let Some(port) =
                ready.and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
            {
                return Self { child, port };
            }
            assert!(tokio::time::Instant::now() < deadline, "{words:?} does not start:\n{said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The body of an answer.
    async fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: localhost:{}\r\nconnection: close\r\n\r\n", self.port);
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
        // Short bodies are one chunk.
        let body = match head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            true => body.split("\r\n").nth(1).unwrap_or_default(),
            false => body,
        };
        Ok(body.to_owned())
    }

    /// Asks until the answer is that one: a tool that starts listens before it knows its registry.
    async fn until(&self, path: &str, wanted: &str) {
        let deadline = tokio::time::Instant::now() + STARTS_WITHIN;
        loop {
            let got = self.get(path).await;
            if got.as_ref().is_ok_and(|got| got.contains(wanted)) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{path}: {got:?}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn log(folder: &Path) -> std::fs::File {
    std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap()
}

impl Drop for Dev {
    /// The tool starts processes that outlive it, so all of them are ended here.
    fn drop(&mut self) {
        if let Some(pid) = self.child.id() {
            kill_below(pid);
        }
    }
}

/// Starts a caller and a target, in this order: the caller learns of the target while it runs.
async fn pair(stage: &Stage, caller: &str, target: &str) -> (Dev, Dev) {
    let web = Dev::start(stage, caller, "x", WEB_CONFIG, ("web.js", WEB));
    let api = Dev::start(stage, target, "x", API_CONFIG, ("api.js", API));
    let (web, api) = tokio::join!(web, api);
    web.until("/fetch", "api /x").await;
    (web, api)
}

/// Every kind of call that goes between two sessions of one version.
async fn calls(version: &str, admin: &str) {
    let stage = Stage::new();
    let (web, api) = pair(&stage, version, version).await;
    assert_eq!(web.get("/rpc").await.unwrap(), "3");
    assert_eq!(web.get("/admin").await.unwrap(), admin);
    assert_eq!(web.get("/object").await.unwrap(), r#"[1,"room 1"]"#);
    assert_eq!(web.get("/object").await.unwrap(), r#"[2,"room 2"]"#);
    assert_eq!(web.get("/socket").await.unwrap(), "echo hello");
    assert_eq!(web.get("/error").await.unwrap(), r#"[true,"bad"]"#);
    web.until("/tailed", "GET /marked").await;
    let (_, links, _) = stage.ask(&["links", "--json"]).await;
    assert_eq!(links["links"][0]["link"], "web@x/api", "{links}");
    if version == NEWEST {
        web.get("/send").await.unwrap();
        web.until("/received", "from web").await;
    }
    drop((web, api));
    stage.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_call_between_two_of_the_newest() {
    calls(NEWEST, r#"["admin",{"tenant":7}]"#).await;
}

/// Before the newest, props were not sent, and queues ended at the session.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_call_between_two_of_the_oldest() {
    calls(OLDEST, r#"["admin",{}]"#).await;
}

/// Values of one workerd's RPC cannot be read by the other, with us or without; requests and sockets can.
#[tokio::test(flavor = "multi_thread")]
async fn requests_and_sockets_between_the_oldest_and_the_newest() {
    for (caller, target) in [(NEWEST, OLDEST), (OLDEST, NEWEST)] {
        let stage = Stage::new();
        let (web, api) = pair(&stage, caller, target).await;
        assert_eq!(web.get("/socket").await.unwrap(), "echo hello");
        drop((web, api));
        stage.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vite_project_calls_a_wrangler() {
    let stage = Stage::new();
    let folder = stage.folder.path().join("vite");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(tools().module(""), folder.join("node_modules")).unwrap();
    std::fs::write(folder.join("vite.config.mjs"), include_str!("workers/vite.config.mjs")).unwrap();
    let config = r#"{ "name": "web", "main": "web.js", "compatibility_date": "2026-03-01",
      "services": [ { "binding": "API", "service": "api" } ] }"#;
    std::fs::write(folder.join("wrangler.jsonc"), config).unwrap();
    std::fs::write(folder.join("web.js"), WEB).unwrap();
    let vite = tools().module("vite/bin/vite.js");
    let words = [vite.to_str().unwrap(), "--host", "127.0.0.1"];
    let web = Dev::listening(&stage, "x", &folder, &words, "http://127.0.0.1:");
    let api = Dev::start(&stage, NEWEST, "x", API_CONFIG, ("api.js", API));
    let (web, api) = tokio::join!(web, api);
    web.until("/fetch", "api /x").await;
    assert_eq!(web.get("/rpc").await.unwrap(), "3");
    assert_eq!(web.get("/socket").await.unwrap(), "echo hello");
    drop((web, api));
    stage.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn miniflares_of_both_generations_call_a_wrangler() {
    let stage = Stage::new();
    let api = Dev::start(&stage, NEWEST, "x", API_CONFIG, ("api.js", API)).await;
    let script = stage.folder.path().join("miniflare.mjs");
    std::fs::write(&script, include_str!("workers/miniflare.mjs")).unwrap();
    for (wrangler, version) in [(OLDEST, "4"), (NEWEST, "5")] {
        let beside = tools().module(wrangler).join("package.json");
        let node = tools().node.to_str().unwrap();
        let words = ["run", "--", node, script.to_str().unwrap(), beside.to_str().unwrap(), version];
        let output =
            tokio::time::timeout(STARTS_WITHIN, stage.command(&words).output()).await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "api /x\n", "Miniflare {version}");
    }
    drop(api);
    stage.down().await;
}

/// What takes 88 seconds without us: the caller finds the successor of a session that was killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrangler_that_is_killed_is_missed_only_until_its_successor_listens() {
    let stage = Stage::new();
    let (web, api) = pair(&stage, NEWEST, NEWEST).await;
    assert_eq!(web.get("/rpc").await.unwrap(), "3");
    kill_below(api.child.id().unwrap());
    stage.until(&[("api@x", "down"), ("web@x", "up")]).await;
    let (config, script) = (API_CONFIG.replace("api.js", "again.js"), API.replace("a + b", "a * b"));
    let again = Dev::start(&stage, NEWEST, "x", &config, ("again.js", &script)).await;
    web.until("/rpc", "2").await;
    drop((web, api, again));
    stage.down().await;
}

/// Kills the processes that a process has started, and those that they have, at once.
fn kill_below(pid: u32) {
    // All of them first: one that has lost its parent is found no more.
    for pid in below(pid) {
        if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

fn below(pid: u32) -> Vec<u32> {
    let Ok(output) = std::process::Command::new("pgrep").args(["-P", &pid.to_string()]).output() else {
        return Vec::new();
    };
    let children: Vec<u32> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.parse().ok()).collect();
    let deeper: Vec<u32> = children.iter().copied().flat_map(below).collect();
    children.into_iter().chain(deeper).collect()
}
