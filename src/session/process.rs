//! One workerd process: started, known to listen, watched, ended.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::config;
use super::host::Host;
use super::lines::Lines;
use super::name::SessionName;
use super::orphans;
use super::output::{Copier, LastLines, MAX_LINE, Outlet, Stream};
use super::project::{Compiled, SessionSpec};
use super::state::Generation;
use super::{RuntimeDirError, host};
use crate::net::Endpoint;

/// How long the rest of the output of an ended process may take to arrive. Its pipes are closed by then, unless it
/// left a child with them.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The name that workerd itself gives to the debug port on its control descriptor.
const DEBUG_PORT: &str = "debug-port";

/// Why a process does not serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no process.
    #[error("cannot start {} for session `{session}`: {source}", workerd.display())]
    Spawn {
        /// Whose process it would be.
        session: SessionName,
        /// The executable.
        workerd: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It ended before it listened on all its sockets.
    #[error("session `{session}` does not start: workerd {ended}{}", quoted(said))]
    Ended {
        /// Whose process it was.
        session: SessionName,
        /// How it ended.
        ended: Ended,
        /// The last lines it wrote.
        said: Vec<String>,
    },
    /// It neither listens nor ends.
    #[error(
        "session `{session}` does not start: workerd does not listen ({}) after {waited:?}{}", missing.join(", "), quoted(said)
    )]
    Late {
        /// Whose process it was.
        session: SessionName,
        /// How long it had.
        waited: Duration,
        /// The sockets it has not opened.
        missing: Vec<String>,
        /// The last lines it wrote.
        said: Vec<String>,
    },
    /// Its configuration cannot be written.
    #[error("cannot configure session `{session}`: {source}")]
    Config {
        /// Whose it is.
        session: SessionName,
        /// What is wrong.
        source: capnp::Error,
    },
    /// A file or folder that it needs.
    #[error("cannot {action} {} for session `{session}`: {source}", path.display())]
    File {
        /// Whose it is.
        session: SessionName,
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Nobody wants it any more.
    #[error("session `{session}` was stopped while it was starting")]
    Stopped {
        /// Whose process it would have been.
        session: SessionName,
    },
    /// The private folder refuses.
    #[error(transparent)]
    Runtime(#[from] RuntimeDirError),
}

pub(super) fn quoted(said: &[String]) -> String {
    said.iter().map(|line| format!("\n  | {line}")).collect()
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended(ExitStatus);

impl Ended {
    /// Whether it says that all went well.
    pub fn is_success(self) -> bool {
        self.0.success()
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        Self(status)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::unix::process::ExitStatusExt;
        match (self.0.signal(), self.0.code()) {
            (Some(signal), _) => write!(f, "was ended by signal {signal}"),
            (None, Some(code)) => write!(f, "ended with status {code}"),
            (None, None) => f.write_str("ended"),
        }
    }
}

/// A process that listens on all its sockets. Dropping it kills the process; [`Running::end`] is the kind way.
#[derive(Debug)]
pub(super) struct Running {
    /// Without a number, until it serves.
    generation: Arc<Generation>,
    host: Arc<Host>,
    child: Child,
    pid: i32,
    output: JoinSet<()>,
    said: LastLines,
    outlet: Arc<Outlet>,
}

impl Running {
    /// Starts a process and waits until it listens. `start` tells its sockets from those of every other start.
    ///
    /// # Cancellation
    /// Dropping the future kills the process.
    pub(super) async fn start(host: &Arc<Host>, spec: &SessionSpec, start: u64) -> Result<Self, StartError> {
        let session = spec.name.clone();
        let wiring = host.wiring(spec, start)?;
        let message = config::build(spec, &wiring)
            .map_err(|source| StartError::Config { session: session.clone(), source })?;
        let generation = host.generation(spec, start, &wiring);
        let workerd = host.workerd_of(spec);
        let spawn_failed =
            |source| StartError::Spawn { session: session.clone(), workerd: workerd.to_owned(), source };
        let (control, inherited) = std::io::pipe().map_err(spawn_failed)?;
        let control = pipe::Receiver::from_owned_fd(control.into()).map_err(spawn_failed)?;
        let inherited = OwnedFd::from(inherited);
        let command = command(workerd, &generation.debug_port, inherited.as_raw_fd());
        let child = host.spawner.spawn(command, inherited).await.map_err(spawn_failed)?;
        let mut running = Self::own(host, generation, child, spec)?;
        running.feed(message);
        let sockets =
            wiring.http_sockets.iter().map(|(entrypoint, _)| config::socket_name(entrypoint.as_deref()));
        let others = [config::FRONT, DEBUG_PORT].map(str::to_owned);
        let awaited = sockets.chain(others).collect();
        running.listening(control, awaited).await?;
        running.close_sockets_to_others()?;
        Ok(running)
    }

    fn own(
        host: &Arc<Host>,
        mut generation: Generation,
        mut child: Child,
        spec: &SessionSpec,
    ) -> Result<Self, StartError> {
        // A child that was not waited for yet has its number.
        let pid = child.id().map_or(0, u32::cast_signed);
        generation.pid = pid.cast_unsigned();
        let said = LastLines::default();
        let mut output = JoinSet::new();
        let outlet = Outlet::closed(generation.session.clone(), host.output.clone(), spec.compiled.clone());
        let copy = |stream| Copier { stream, said: said.clone(), outlet: outlet.clone() };
        if let Some(pipe) = child.stdout.take() {
            output.spawn(copy(Stream::Stdout).run(pipe));
        }
        if let Some(pipe) = child.stderr.take() {
            output.spawn(copy(Stream::Stderr).run(pipe));
        }
        if let Some(identity) = orphans::identify(pid) {
            host.runtime.adopt(identity)?;
        }
        Ok(Self { generation: Arc::new(generation), host: host.clone(), child, pid, output, said, outlet })
    }

    /// It serves from now on, as the generation of that number.
    pub(super) fn serve(&mut self, number: u64) -> Arc<Generation> {
        Arc::make_mut(&mut self.generation).number = number;
        self.outlet.open();
        self.generation.clone()
    }

    /// What it writes leads back to its sources by that from now on.
    pub(super) fn lead_back_by(&self, compiled: Arc<Compiled>) {
        self.outlet.lead_back_by(compiled);
    }

    pub(super) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// The configuration goes through a pipe: it holds the user's values, and a file would have to be removed.
    fn feed(&mut self, message: Vec<u8>) {
        if let Some(mut stdin) = self.child.stdin.take() {
            self.output.spawn(async move {
                // A process that ended early does not read it all; that it ended is seen elsewhere.
                let _ = stdin.write_all(&message).await;
            });
        }
    }

    async fn listening(
        &mut self,
        control: pipe::Receiver,
        mut awaited: HashSet<String>,
    ) -> Result<(), StartError> {
        let limit = self.host.times.start;
        let mut lines = Lines::new(control, MAX_LINE);
        let reading = async {
            while !awaited.is_empty() {
                match lines.next().await {
                    Ok(Some(line)) => {
                        if let Some(socket) = listening_socket(&line) {
                            awaited.remove(&socket);
                        }
                    }
                    Ok(None) | Err(_) => return false,
                }
            }
            true
        };
        match timeout(limit, reading).await {
            Ok(true) => Ok(()),
            // The descriptor is closed when the process ends.
            Ok(false) => {
                let ended = timeout(limit, self.exited()).await;
                let session = self.generation.session.clone();
                match ended {
                    Ok(ended) => Err(StartError::Ended { session, ended, said: self.last_words().await }),
                    Err(_) => Err(self.late(awaited, limit)),
                }
            }
            Err(_) => Err(self.late(awaited, limit)),
        }
    }

    fn late(&self, missing: HashSet<String>, waited: Duration) -> StartError {
        let mut missing: Vec<_> = missing.into_iter().collect();
        missing.sort();
        StartError::Late { session: self.generation.session.clone(), waited, missing, said: self.said.take() }
    }

    /// The folder is ours alone already; this is for whoever copies or moves it.
    fn close_sockets_to_others(&self) -> Result<(), StartError> {
        for path in self.generation.sockets() {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(|source| {
                let session = self.generation.session.clone();
                StartError::File { session, action: "set the mode of", path: path.to_owned(), source }
            })?;
        }
        Ok(())
    }

    /// Waits for the end of the process.
    ///
    /// # Cancellation
    /// Safe.
    pub(super) async fn exited(&mut self) -> Ended {
        loop {
            match self.child.wait().await {
                Ok(status) => return Ended(status),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // Somebody else took the status of our child: it has ended all the same.
                Err(_) => return Ended(ExitStatus::default()),
            }
        }
    }

    /// What it wrote last, once its output has been read to the end.
    pub(super) async fn last_words(&mut self) -> Vec<String> {
        let all = async { while self.output.join_next().await.is_some() {} };
        let _ = timeout(LAST_WORDS, all).await;
        self.said.take()
    }

    /// Ends it as a crash would.
    pub(super) fn kill(&mut self) {
        let _ = self.child.start_kill();
    }

    /// Asks it to end, waits, but not beyond `at_once`, and insists. Then nothing of it is left.
    pub(super) async fn end(mut self, at_once: CancellationToken) -> Ended {
        // The number is the child's only until its status was taken.
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let asked = pid.map(|pid| rustix::process::kill_process(pid, Signal::TERM));
        let ended = match asked {
            Some(Ok(())) => {
                let limit = self.host.times.terminate;
                timeout(limit, at_once.run_until_cancelled(self.exited())).await.ok().flatten()
            }
            _ => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                self.kill();
                self.exited().await
            }
        };
        self.last_words().await;
        ended
    }
}

impl Drop for Running {
    /// The child itself is killed by its own drop, if it has not ended.
    fn drop(&mut self) {
        let sockets = self.generation.sockets();
        host::remove_sockets(sockets);
        let _ = self.host.runtime.forget(self.pid);
    }
}

fn command(workerd: &Path, debug_port: &Endpoint, control: i32) -> Command {
    let mut command = Command::new(workerd);
    command
        .arg("serve")
        // Actor links and ephemeral classes need it.
        .arg("--experimental")
        // Errors that nobody catches are told no other way; `uncaught` drops the rest.
        .arg("--verbose")
        .arg(format!("--debug-port={debug_port}"))
        .arg(format!("--control-fd={control}"))
        .args(["--binary", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// `{"event":"listen","socket":"NAME","port":N}`; other events may come some day.
fn listening_socket(line: &str) -> Option<String> {
    let event: HashMap<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    let is_listen = event.get("event")?.as_str()? == "listen";
    is_listen.then(|| event.get("socket")?.as_str().map(str::to_owned))?
}
