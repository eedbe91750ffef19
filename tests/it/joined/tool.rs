//! A dev command of node's under `jackfield run`, and all that it starts.

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
pub const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// One `wrangler dev` under `jackfield run`. Dropping it ends both.
pub struct Dev {
    pub child: Child,
    port: u16,
}

impl Dev {
    pub async fn start(
        stage: &Stage,
        version: &str,
        scope: &str,
        config: &str,
        script: (&str, &str),
    ) -> Self {
        let folder = stage.folder.path().join(format!("{}-{scope}-{version}", script.0));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("wrangler.jsonc"), config).unwrap();
        std::fs::write(folder.join(script.0), script.1).unwrap();
        let wrangler = tools().module(version).join("bin/wrangler.js");
        let words = [wrangler.to_str().unwrap(), "dev", "--port", "0", "--inspector-port", "0"];
        Self::listening(stage, scope, &folder, &words, "Ready on http://localhost:").await
    }

    /// Starts a script of node's, and waits until it tells its port.
    pub async fn listening(
        stage: &Stage,
        scope: &str,
        folder: &Path,
        words: &[&str],
        before_port: &str,
    ) -> Self {
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
            // What stands behind the number says that all of it has been written.
            let number = |rest: &str| rest.split_once(|c: char| !c.is_ascii_digit())?.0.parse().ok();
            if let Some(port) = said.split_once(before_port).and_then(|(_, rest)| number(rest)) {
                return Self { child, port };
            }
            assert!(tokio::time::Instant::now() < deadline, "{words:?} does not start:\n{said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The body of an answer.
    pub async fn get(&self, path: &str) -> std::io::Result<String> {
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
    pub async fn until(&self, path: &str, wanted: &str) {
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

/// Kills the processes that a process has started, and those that they have, at once.
pub fn kill_below(pid: u32) {
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
