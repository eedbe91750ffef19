//! `jackfield up` in a folder of its own, driven from outside.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

use super::workerd::workerd_path;

pub const DEADLINE: Duration = Duration::from_secs(60);

/// A command that keeps sessions, and what it tells.
pub struct Kept {
    pub child: Child,
    events: Lines<BufReader<ChildStdout>>,
}

impl Kept {
    pub fn start(folder: &tempfile::TempDir, words: &[&str]) -> Self {
        let mut child = command(folder, words).stdout(Stdio::piped()).spawn().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, events }
    }

    /// The next event of that name.
    pub async fn event(&mut self, name: &str) -> Value {
        let next = async {
            while let Some(line) = self.events.next_line().await.unwrap() {
                let event: Value = serde_json::from_str(&line).unwrap();
                if event["event"] == name {
                    return event;
                }
            }
            panic!("it ended before {name}");
        };
        tokio::time::timeout(DEADLINE, next).await.unwrap_or_else(|_| panic!("no {name} in time"))
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end.
    pub async fn code(mut self) -> i32 {
        let status = tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("it does not end");
        status.unwrap().code().unwrap()
    }
}

/// A project that is up.
pub struct Up {
    pub folder: tempfile::TempDir,
    kept: Kept,
    pub port: u16,
}

impl Up {
    /// Starts a project, whose text has `PORT` where a free port is to stand.
    pub async fn start(project: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
        // Free when it is asked for; nobody else takes it in the moment until we do, or the test says so.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let project = project.replace("PORT", &port.to_string());
        for (name, text) in files.iter().chain([&("jackfield.toml", project.as_str())]) {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self::run(folder, &["up", "--json"], port).await
    }

    /// The same with any command that keeps sessions.
    pub async fn run(folder: tempfile::TempDir, words: &[&str], port: u16) -> Self {
        let mut up = Self { kept: Kept::start(&folder, words), folder, port };
        up.event("ready").await;
        up
    }

    /// What was started otherwise, and is up.
    pub fn kept(folder: tempfile::TempDir, kept: Kept, port: u16) -> Self {
        Self { folder, kept, port }
    }

    pub async fn event(&mut self, name: &str) -> Value {
        self.kept.event(name).await
    }

    pub async fn ask(&self, words: &[&str]) -> (i32, Value, String) {
        let output =
            tokio::time::timeout(DEADLINE, command(&self.folder, words).output()).await.unwrap().unwrap();
        let told = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), told, String::from_utf8(output.stderr).unwrap())
    }

    pub async fn fetch(&self) -> String {
        let fetched = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.split_once("\r\n\r\n").unwrap().1.to_owned()
        };
        tokio::time::timeout(DEADLINE, fetched).await.expect("no answer")
    }

    pub fn signal(&self, signal: Signal) {
        self.kept.signal(signal);
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Waits for the end; nothing may be left.
    pub async fn ended(self) -> i32 {
        let code = self.kept.code().await;
        let left: Vec<PathBuf> =
            self.folder.path().join("run").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
        code
    }
}

pub fn command(folder: &tempfile::TempDir, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
    command
        .args(words)
        .env("JACKFIELD_WORKERD", workerd_path())
        .env("JACKFIELD_RUNTIME_DIR", folder.path().join("run"))
        // No session of whoever runs the tests.
        .env("CLOUDFLARE_DEV_REGISTRY_PATH", folder.path().join("registry"))
        .env("XDG_CONFIG_HOME", folder.path().join("config"))
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .current_dir(folder.path())
        .kill_on_drop(true);
    command
}
