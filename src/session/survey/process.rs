//! One workerd process that loads a configuration without sockets, says what it finds, and ends.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::SurveyError;
use crate::session::host::Host;
use crate::session::lines::Lines;
use crate::session::orphans;
use crate::session::output::MAX_LINE;
use crate::session::process::Ended;

/// Lines of each stream that are kept: a complaint is a dozen lines, and a project has a dozen sessions. What scripts
/// write while they are loaded comes on top.
const KEPT_LINES: usize = 10_000;

/// What came of it.
pub(super) struct Outcome {
    /// `None`: it had to be killed.
    pub(super) ended: Option<Ended>,
    pub(super) out: Vec<String>,
    pub(super) err: Vec<String>,
}

/// Takes a child out of the ledger of those that the next owner has to end.
struct Adopted<'a>(&'a Host, i32);

impl Drop for Adopted<'_> {
    fn drop(&mut self) {
        let _ = self.0.runtime.forget(self.1);
    }
}

/// # Cancellation
/// Dropping the future kills the process.
pub(super) async fn run(host: &Arc<Host>, workerd: &Path, message: Vec<u8>) -> Result<Outcome, SurveyError> {
    let spawn_failed = |source| SurveyError::Spawn { workerd: workerd.display().to_string(), source };
    let mut command = Command::new(workerd);
    command
        .args(["serve", "--experimental", "--binary", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // It is told nothing besides its configuration.
    let nothing = OwnedFd::from(File::open("/dev/null").map_err(spawn_failed)?);
    let mut child = host.spawner.spawn(command, nothing).await.map_err(spawn_failed)?;
    let pid = child.id().map_or(0, u32::cast_signed);
    let _adopted = Adopted(host, pid);
    if let Some(identity) = orphans::identify(pid) {
        host.runtime.adopt(identity)?;
    }
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A process that ended early does not read it all; that it ended is seen elsewhere.
            let _ = stdin.write_all(&message).await;
        }
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let all = async {
        tokio::join!(feed, collect(stdout, &mut out), collect(stderr, &mut err), wait(&mut child)).3
    };
    let ended = timeout(host.times.start, all).await.ok();
    if ended.is_none() {
        let _ = child.start_kill();
        wait(&mut child).await;
    }
    Ok(Outcome { ended, out, err })
}

async fn wait(child: &mut Child) -> Ended {
    match child.wait().await {
        Ok(status) => Ended::from(status),
        // Somebody else took the status of our child: it has ended all the same.
        Err(_) => Ended::default(),
    }
}

async fn collect(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<String>) {
    let Some(pipe) = pipe else { return };
    let mut lines = Lines::new(pipe, MAX_LINE);
    while let Ok(Some(line)) = lines.next().await {
        if into.len() < KEPT_LINES {
            into.push(line);
        }
    }
}
