//! The command by which a project makes its sources: wrangler's `build`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use sha2::{Digest, Sha256};

use super::compile::plain;
use super::text::Value;
use super::watch::holds_no_sources;
use super::worker::Reading;
use crate::session::output::{Level, MAX_LINE};
use crate::session::workerd::child;

/// Whatever takes longer than this watches its sources itself, and does not end.
const PATIENCE: Duration = Duration::from_secs(600);
/// From SIGTERM to SIGKILL.
const TERMINATE: Duration = Duration::from_secs(1);
/// Before each line of its output.
const TAG: &str = "[build]";
/// How the command learns what it is run for.
const FOR: (&str, &str) = ("WRANGLER_COMMAND", "dev");
/// Of a larger file the length says whether it has changed, and its time.
const MAX_READ: u64 = 4 << 20;
/// More files than that are no sources of one worker.
const MAX_FILES: usize = 20_000;

/// What a configuration says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Build {
    pub(super) command: String,
    pub(super) folder: PathBuf,
    /// Files and folders: a change there is the reason to run it again.
    pub(super) watched: Vec<PathBuf>,
}

/// What came of it last.
#[derive(Debug, Default)]
pub(super) struct Built(Option<(Build, Seen, Result<(), String>)>);

/// What the sources were: it is by their contents that they are told apart, since a build may well write among them, and
/// would be its own reason for ever.
type Seen = [u8; 32];

/// What `build` may say.
const BUILD: [&str; 3] = ["command", "cwd", "watch_dir"];
/// What `watch_dir` is if it is not said.
const WATCH_DIR: &str = "./src";

impl Reading<'_> {
    pub(super) fn build(&mut self, build: &Value) -> Option<Build> {
        self.know(build, &BUILD);
        let text = |name: &str| build.get(name).and_then(Value::text);
        let Some(command) = text("command").filter(|command| !command.trim().is_empty()) else {
            if !build.is_empty() {
                let why = "write { \"command\": \"…\" }, or remove `build`";
                self.problem(build.at, "`build` has no command", why);
            }
            return None;
        };
        let folder = text("cwd").map_or(self.root.to_owned(), |folder| plain(&self.root.join(folder)));
        if !folder.is_dir() {
            let at = build.get("cwd").map_or(build.at, |cwd| cwd.at);
            self.problem(
                at,
                "there is no such folder to build in",
                format!("looked for {}", folder.display()),
            );
        }
        let watched = match build.get("watch_dir") {
            None => vec![WATCH_DIR],
            Some(one) if one.text().is_some() => one.text().into_iter().collect(),
            Some(several) => several.items().iter().filter_map(Value::text).collect(),
        };
        let watched = watched.into_iter().map(|path| plain(&self.root.join(path))).collect();
        Some(Build { command: command.to_owned(), folder, watched })
    }
}

impl Built {
    /// Where something may change that concerns it.
    pub(super) fn watched(&self) -> &[PathBuf] {
        self.0.as_ref().map(|(build, ..)| build.watched.as_slice()).unwrap_or_default()
    }

    /// Runs the command, unless it ran with these sources.
    ///
    /// # Errors
    /// Why it has failed, now or when it ran.
    pub(super) fn renew(
        &mut self,
        build: &Build,
        variables: &BTreeMap<String, String>,
        tell: &(dyn Fn(Level, &str) + Sync),
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), String> {
        let seen = look(&build.watched);
        match &self.0 {
            Some((known, then, outcome)) if known == build && *then == seen => return outcome.clone(),
            _ => {}
        }
        let outcome = run(build, variables, tell, go_on);
        self.0 = Some((build.clone(), seen, outcome.clone()));
        outcome
    }
}

fn run(
    build: &Build,
    variables: &BTreeMap<String, String>,
    tell: &(dyn Fn(Level, &str) + Sync),
    go_on: &dyn Fn() -> bool,
) -> Result<(), String> {
    let Build { command, folder, .. } = build;
    tell(Level::Log, &format!("{TAG} {command}"));
    let failed = |error: io::Error| format!("`{command}` cannot be run in {}: {error}", folder.display());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).env_clear().envs(variables).env(FOR.0, FOR.1).current_dir(folder);
    // With all that it starts, which is to end with it.
    shell.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = child::start(&mut shell).map_err(failed)?;
    let group = Pid::from_raw(process.id().cast_signed());
    let end = |signal| {
        if let Some(group) = group {
            let _ = kill_process_group(group, signal);
        }
    };
    let (out, err) = (process.stdout.take(), process.stderr.take());
    let deadline = Instant::now() + PATIENCE;
    let status = std::thread::scope(|scope| {
        scope.spawn(|| out.map(|out| lines(out, |line| tell(Level::Log, line))));
        scope.spawn(|| err.map(|err| lines(err, |line| tell(Level::Error, line))));
        let mut told_to_end = None;
        // The shell is not waited for until it has ended, so the group's number is its own.
        let status = child::wait(&mut process, || match told_to_end {
            None if go_on() && Instant::now() < deadline => true,
            None => {
                end(Signal::TERM);
                told_to_end = Some(Instant::now());
                true
            }
            Some(since) if since.elapsed() < TERMINATE => true,
            Some(_) => {
                end(Signal::KILL);
                false
            }
        });
        // Whatever it has left behind holds its output open, and keeps the group's number from being anybody else's.
        end(Signal::KILL);
        status.map(|status| status.filter(|_| told_to_end.is_none()))
    });
    match status.map_err(failed)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("`{command}` ended with {status}; what it wrote says why")),
        None => Err(format!(
            "`{command}` was ended: it ran for longer than {PATIENCE:?}, or nobody waits any more"
        )),
    }
}

/// Each line, in pieces if it is too long.
fn lines(stream: impl Read, mut tell: impl FnMut(&str)) {
    let (mut stream, mut line) = (BufReader::new(stream), Vec::new());
    loop {
        line.clear();
        match stream.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                tell(&format!("{TAG} {}", String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])))
            }
        }
    }
}

fn look(watched: &[PathBuf]) -> Seen {
    let (mut hash, mut left) = (Sha256::new(), MAX_FILES);
    let mut open: Vec<_> = watched.iter().rev().cloned().collect();
    while let Some(path) = open.pop().filter(|_| left > 0) {
        left -= 1;
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update([0]);
        match fs::symlink_metadata(&path) {
            Ok(about) if about.is_dir() => {
                let entries = path.read_dir().into_iter().flatten().flatten();
                let inner = entries.filter(|entry| !holds_no_sources(&entry.file_name()));
                let mut inner: Vec<_> = inner.map(|entry| entry.path()).collect();
                inner.sort_by(|a, b| b.cmp(a));
                open.extend(inner);
            }
            Ok(about) if about.len() > MAX_READ => {
                hash.update(format!("{} {:?}", about.len(), about.modified().ok()));
            }
            Ok(_) => add(&path, &mut hash),
            Err(_) => hash.update("none"),
        }
    }
    hash.finalize().into()
}

fn add(path: &Path, hash: &mut Sha256) {
    // A pipe would never end; what is no file has no contents.
    if fs::metadata(path).is_ok_and(|about| about.is_file()) {
        hash.update(fs::read(path).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn build(command: &str, root: &Path) -> Build {
        Build { command: command.to_owned(), folder: root.to_owned(), watched: vec![root.join("src")] }
    }

    #[test]
    fn it_runs_again_when_its_sources_change_and_tells_what_it_writes() {
        let keep = tempfile::tempdir().unwrap();
        let root = keep.path();
        fs::create_dir_all(root.join("src/node_modules")).unwrap();
        fs::write(root.join("src/a"), "1").unwrap();
        let told = Mutex::new(Vec::new());
        let tell = |level, line: &str| told.lock().unwrap().push((level, line.to_owned()));
        let variables = BTreeMap::from([("WHO".to_owned(), "me".to_owned())]);
        let mut built = Built::default();
        let mut renew = |command: &str| built.renew(&build(command, root), &variables, &tell, &|| true);
        let command = "echo $WHO for $WRANGLER_COMMAND; echo bad >&2; echo x > src/made; echo >> ran";
        renew(command).unwrap();
        let mut lines = std::mem::take(&mut *told.lock().unwrap());
        lines[1..].sort_by_key(|(level, _)| *level);
        let text = |level, line: &str| (level, format!("[build] {line}"));
        let wanted = [text(Level::Log, command), text(Level::Log, "me for dev"), text(Level::Error, "bad")];
        assert_eq!(lines, wanted);
        // What it wrote itself among its sources is one more reason, and no more after that.
        let ran = || fs::read_to_string(root.join("ran")).unwrap().len();
        renew(command).unwrap();
        renew(command).unwrap();
        assert_eq!(ran(), 2);
        fs::write(root.join("src/node_modules/b"), "1").unwrap();
        renew(command).unwrap();
        assert_eq!(ran(), 2);
        fs::write(root.join("src/a"), "2").unwrap();
        renew(command).unwrap();
        assert_eq!(ran(), 3);
        // A failure is remembered as well.
        let failed = renew("echo >> ran; exit 3").unwrap_err();
        assert!(failed.contains("exit status: 3"), "{failed}");
        assert_eq!(renew("echo >> ran; exit 3").unwrap_err(), failed);
        assert_eq!(ran(), 4);
    }

    #[test]
    fn it_ends_with_all_that_it_has_started() {
        let keep = tempfile::tempdir().unwrap();
        let root = keep.path();
        let begun = || root.join("begun").exists();
        let command = "sleep 1000 & echo $! > pid; trap '' TERM; touch begun; sleep 1000";
        let failed = Built::default()
            .renew(&build(command, root), &std::env::vars().collect(), &|_, _| {}, &|| !begun())
            .unwrap_err();
        assert!(failed.contains("was ended"), "{failed}");
        let pid = fs::read_to_string(root.join("pid")).unwrap();
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }
}
