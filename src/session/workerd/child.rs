//! Short-lived children: `workerd --version` and npm.
#![expect(
    clippy::disallowed_methods,
    reason = "this room blocks by contract, and a child's end cannot be waited for with a deadline"
)]

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use rustix::event::{PollFd, PollFlags, Timespec, poll};
#[cfg(target_os = "linux")]
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How long a fresh executable may stay busy.
const BUSY: Duration = Duration::from_secs(5);

/// Between two looks at a child; the longest is that between two questions whether to go on, too.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Starts a child.
///
/// An executable that this process has just written may be open for writing in a child that another thread is about to
/// start, until that child's exec; the system calls it busy for so long.
pub(in crate::session) fn start(command: &mut Command) -> io::Result<Child> {
    let deadline = Instant::now() + BUSY;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            started => return started,
        }
    }
}

/// Waits for a child as long as `go_on` agrees, which is asked ten times a second at least; afterwards the child is
/// killed, and the answer is `None`.
pub(in crate::session) fn wait(
    child: &mut Child,
    mut go_on: impl FnMut() -> bool,
) -> io::Result<Option<ExitStatus>> {
    // A thread that waits would need the child's pid to kill it, which by then may be another's.
    let end = End::of(child);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if !go_on() {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        end.wait_for();
    }
}

/// The end of a child that was not waited for yet.
struct End {
    began: Instant,
    #[cfg(target_os = "linux")]
    handle: Option<OwnedFd>,
}

impl End {
    fn of(child: &Child) -> Self {
        #[cfg(not(target_os = "linux"))]
        let _ = child;
        Self {
            began: Instant::now(),
            // Kernels before 5.3 have no handles.
            #[cfg(target_os = "linux")]
            handle: pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok(),
        }
    }

    /// Returns when the child has ended, or after a while.
    fn wait_for(&self) {
        #[cfg(target_os = "linux")]
        if let (Some(handle), Ok(pause)) = (&self.handle, Timespec::try_from(LONGEST_PAUSE))
            && poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&pause)).is_ok()
        {
            return;
        }
        // Short processes are noticed at once and long ones watched at leisure: an end is noticed late by a sixteenth of
        // the time at most.
        std::thread::sleep((self.began.elapsed() / 16).clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
    }
}
