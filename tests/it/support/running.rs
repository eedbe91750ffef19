//! A real workerd process of a test's own: started from a text config, awaited, and gone when dropped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::workerd::workerd_path;

/// workerd listens after some 20 ms; the rest is for a machine that runs many tests at once.
const LISTEN_WITHIN: Duration = Duration::from_secs(30);

/// The folder of the test workers in the source tree.
const WORKERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/workers");

/// One workerd process with a folder for its sockets. Dropping it kills the process and removes the folder.
pub struct Running {
    child: Child,
    folder: TempDir,
}

/// A new private folder with a copy of the workers in it, where a config may embed them as `workers/…`.
pub fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("jf").tempdir().expect("a temporary folder");
    copy_tree(Path::new(WORKERS), &folder.path().join("workers"));
    folder
}

/// The modules of the test workers as a list for a text config, `main` first.
pub fn modules(main: &str) -> String {
    let mut found = Vec::new();
    collect_modules(Path::new(WORKERS), &mut found);
    found.sort_by_key(|name| (name != main, name.clone()));
    let entries: Vec<_> = found
        .iter()
        .map(|name| format!("(name = \"{name}\", esModule = embed \"workers/{name}\")"))
        .collect();
    entries.join(",\n      ")
}

impl Running {
    /// Starts workerd with `config` in `folder` and waits until it listens on each socket in `names`.
    ///
    /// # Panics
    /// If it does not start in time; the message carries what workerd said.
    pub fn start(folder: TempDir, config: &str, names: &[&str]) -> Self {
        std::fs::write(folder.path().join("config.capnp"), config).expect("the config is written");
        let said = File::create(folder.path().join("stderr")).expect("a file for what workerd says");
        let debug = format!("--debug-port=unix:{}", folder.path().join("debug").display());
        let mut child = Command::new(workerd_path())
            .args(["serve", "config.capnp", "--experimental", "--control-fd=1", &debug])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .expect("workerd starts");
        let lines = control_lines(child.stdout.take().expect("a piped stdout"));
        let running = Self { child, folder };
        running.await_sockets(&lines, names);
        running
    }

    /// The path of a socket (or any other file) in the folder of the process.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The debug port of the process.
    pub fn debug_socket(&self) -> PathBuf {
        self.path("debug")
    }

    /// Kills the process at once, as a crash would; its folder stays until the drop.
    pub fn kill(&mut self) {
        // Both only fail for a process that has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What the process wrote on its standard error so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    fn await_sockets(&self, lines: &mpsc::Receiver<String>, names: &[&str]) {
        let deadline = Instant::now() + LISTEN_WITHIN;
        let mut missing: Vec<&str> = names.iter().copied().chain(["debug-port"]).collect();
        while !missing.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = lines.recv_timeout(left) else {
                panic!("workerd does not listen on {missing:?}; it said:\n{}", self.said());
            };
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            missing.retain(|name| event["event"] != "listen" || event["socket"] != *name);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads to the end on a thread of its own: workerd must never block on a full pipe.
fn control_lines(stdout: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(64);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder for the workers");
    for entry in std::fs::read_dir(from).expect("the workers are there").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &target);
        } else {
            std::fs::copy(&source, &target).expect("a worker is copied");
        }
    }
}

fn collect_modules(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the workers are there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect_modules(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "js") {
            let name = path.strip_prefix(WORKERS).expect("a path below the workers");
            found.push(name.to_string_lossy().into_owned());
        }
    }
}
