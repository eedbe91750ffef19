//! Telling a process from another one that got its number later, and ending what a killed owner left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// How long a process may take to vanish after SIGKILL. It is the kernel's work alone, so a second would do; a
/// machine that swaps gets five.
const VANISH: Duration = Duration::from_secs(5);
/// How often to look meanwhile: the end of a process that is not our child has no event on every system.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A process, told apart from any other that has or had the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// As the system counts it; only compared.
    pub(super) started: String,
    pub(super) executable: PathBuf,
}

/// Who has this number now. `None`: nobody, or only the remains of somebody who ended.
pub(super) fn identify(pid: i32) -> Option<Identity> {
    system::identify(pid)
}

/// Ends the process, if it still is the one that was written down, and waits until it is gone.
pub(super) fn end(orphan: &Identity) -> Result<(), ()> {
    let Some(pid) = Pid::from_raw(orphan.pid) else { return Ok(()) };
    // A handle taken before the comparison keeps the number from moving to somebody else in between.
    #[cfg(target_os = "linux")]
    let handle = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
    if identify(orphan.pid).as_ref() != Some(orphan) {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    let _ = match handle {
        Ok(handle) => rustix::process::pidfd_send_signal(handle, Signal::KILL),
        // Kernels before 5.3 have no handles.
        Err(_) => rustix::process::kill_process(pid, Signal::KILL),
    };
    #[cfg(not(target_os = "linux"))]
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    let deadline = Instant::now() + VANISH;
    while identify(orphan.pid).as_ref() == Some(orphan) {
        if Instant::now() > deadline {
            return Err(());
        }
        #[expect(clippy::disallowed_methods, reason = "nothing runs yet, and there is no event to wait for")]
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
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
    use super::{Identity, PathBuf};

    pub(super) fn identify(pid: i32) -> Option<Identity> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is a name in parentheses that may hold anything, so count from its end: the state is the
        // third field of all, the start time the twenty-second.
        let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.to_owned();
        if matches!(state, "Z" | "X") {
            return None;
        }
        let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        // An update may have replaced the file under a running process.
        let text = executable.to_string_lossy();
        let executable = PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(&text));
        Some(Identity { pid, started, executable })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{Identity, PathBuf};

    /// `ps` is the one interface to the start time that needs no binding to the system's library.
    pub(super) fn identify(pid: i32) -> Option<Identity> {
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
        Some(Identity { pid, started: started.join(" "), executable })
    }
}
