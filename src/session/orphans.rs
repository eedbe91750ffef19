//! Telling a process from another one that got its number later, and ending what a killed owner left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// How long a process may take to vanish after SIGKILL. It is the kernel's work alone, so a second would do; a
/// machine that swaps gets five.
const VANISH: Duration = Duration::from_secs(5);
/// How often to look meanwhile, where a process that is not our child has no handle to wait on.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A process, told apart from any other that has or had the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// As the system counts it; only compared.
    pub(super) started: String,
    pub(super) executable: PathBuf,
}

/// Who has this number now. `None`: nobody, or somebody who is ending.
pub(super) fn identify(pid: i32) -> Option<Identity> {
    let Seen { started, executable } = system::look(pid)?;
    Some(Identity { pid, started, executable: executable? })
}

/// Ends the process, if it still is the one that was written down, and waits until it is gone.
pub(super) fn end(orphan: &Identity) -> Result<(), ()> {
    let Some(pid) = Pid::from_raw(orphan.pid) else { return Ok(()) };
    // A handle taken before the comparison keeps the number from moving to somebody else in between.
    #[cfg(target_os = "linux")]
    let handle = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
    let kill = || {
        #[cfg(target_os = "linux")]
        if let Ok(handle) = &handle {
            return rustix::process::pidfd_send_signal(handle, Signal::KILL);
        }
        // Other systems, and kernels before 5.3, have no handles.
        rustix::process::kill_process(pid, Signal::KILL)
    };
    match system::look(orphan.pid) {
        Some(seen) if seen.started != orphan.started => return Ok(()),
        Some(Seen { executable: Some(executable), .. }) if executable != orphan.executable => return Ok(()),
        // A process without an executable is ending and still holds its files for a moment: nothing to do but wait.
        Some(Seen { executable: None, .. }) => {}
        // If it has ended meanwhile, good.
        Some(Seen { executable: Some(_), .. }) => drop(kill()),
        None => return Ok(()),
    }
    #[cfg(target_os = "linux")]
    if let Ok(handle) = &handle {
        // Readable once the process has ended.
        let mut ready = [rustix::event::PollFd::new(handle, rustix::event::PollFlags::IN)];
        let _ = rustix::event::poll(&mut ready, rustix::event::Timespec::try_from(VANISH).ok().as_ref());
    }
    let deadline = Instant::now() + VANISH;
    while system::look(orphan.pid).is_some_and(|seen| seen.started == orphan.started) {
        if Instant::now() > deadline {
            return Err(());
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "without a handle there is nothing to wait on, and no runtime yet"
        )]
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// What the system tells of a process that has not ended.
struct Seen {
    started: String,
    /// `None` from the moment the process begins to end.
    executable: Option<PathBuf>,
}

/// One JSON object a line.
pub(super) fn to_text(children: &[Identity]) -> String {
    let lines = children.iter().filter_map(|child| serde_json::to_string(child).ok());
    lines.map(|line| line + "\n").collect()
}

/// A line that is no child, say a half-written last one, is passed over.
pub(super) fn from_text(text: &str) -> Vec<Identity> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(target_os = "linux")]
mod system {
    use super::{PathBuf, Seen};

    pub(super) fn look(pid: i32) -> Option<Seen> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is a name in parentheses that may hold anything, so count from its end: the state is the
        // third field of all, the start time the twenty-second.
        let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.to_owned();
        if matches!(state, "Z" | "X") {
            return None;
        }
        let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok().map(|executable| {
            // An update may have replaced the file under a running process.
            let text = executable.to_string_lossy();
            PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(&text))
        });
        Some(Seen { started, executable })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{PathBuf, Seen};

    /// `ps` is the one interface to the start time that needs no binding to the system's library.
    pub(super) fn look(pid: i32) -> Option<Seen> {
        let output = std::process::Command::new("ps")
            .env("LC_ALL", "C")
            .args(["-o", "stat=,lstart=,comm=", "-p", &pid.to_string()])
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let mut fields = text.split_whitespace();
        if fields.next()?.starts_with('Z') {
            return None;
        }
        // "Sat Nov 21 21:30:00 2026"
        let started: Vec<_> = fields.by_ref().take(5).collect();
        let executable = PathBuf::from(fields.collect::<Vec<_>>().join(" "));
        Some(Seen { started: started.join(" "), executable: Some(executable) })
    }
}
