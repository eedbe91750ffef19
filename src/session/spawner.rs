//! The one thread that starts children.
//!
//! On Linux a child is told to die with its parent, and there "parent" means the thread that forked. A runtime may end
//! its threads when it likes; this one lives as long as any process that it started.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::thread::JoinHandle;

use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};

/// Waiting requests. A session starts one process at a time, so this is generous; the sender waits beyond it.
const QUEUE: usize = 16;

struct Request {
    command: Command,
    /// Kept open until the child has its copy.
    inherited: OwnedFd,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Starts children from a thread of its own.
#[derive(Debug)]
pub(super) struct Spawner {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Spawner {
    /// Must be called inside a tokio runtime, which then waits for the children.
    pub(super) fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Handle::current();
        let (requests, mut queue) = mpsc::channel::<Request>(QUEUE);
        let thread = std::thread::Builder::new().name("jackfield-spawner".into()).spawn(move || {
            let _inside = runtime.enter();
            while let Some(Request { mut command, inherited, reply }) = queue.blocking_recv() {
                // A caller that went away drops the child, which ends it.
                let _ = reply.send(command.spawn());
                drop(inherited);
            }
        })?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Starts `command` with one descriptor that it inherits under the number it has here.
    pub(super) async fn spawn(&self, mut command: Command, inherited: OwnedFd) -> io::Result<Child> {
        prepare(command.as_std_mut(), &inherited);
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts processes has ended");
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send(Request { command, inherited, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn prepare(command: &mut std::process::Command, inherited: &OwnedFd) {
    // Ctrl-C in the terminal is for us: children end when their calls are drained.
    command.process_group(0);
    let number = inherited.as_raw_fd();
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec only system calls are made; nothing allocates or takes a lock.
    unsafe {
        command.pre_exec(move || {
            // Here and not in the parent: a process that another thread starts meanwhile must not get the descriptor.
            let fd = std::os::fd::BorrowedFd::borrow_raw(number);
            rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
            // Sockets and stored objects are for this user alone.
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
            die_with(parent)
        });
    }
}

#[cfg(target_os = "linux")]
fn die_with(parent: rustix::process::Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have died before the line above.
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Elsewhere the next start of jackfield ends orphans.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "one signature on all systems")]
fn die_with(_parent: rustix::process::Pid) -> io::Result<()> {
    Ok(())
}
