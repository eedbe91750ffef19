//! Whether a process lives that we did not start.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::task::ready;
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::unix::AsyncFd;

use super::listener::Listener;
use super::orphans::{self, Identity};
use crate::net::{Endpoint, Socket};

/// How often to look at a process where the system gives no handle to wait on.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How soon to look again at a listener that closed our connection and takes another, or that cannot be asked.
const CALM: Duration = Duration::from_millis(100);

/// Waits until nobody serves at `port` any more, or who started that process has gone. Returns what happened.
///
/// For this a connection is held open on which nothing is said: it ends with the process, however that ends, and
/// survives sleep and changes of the clock.
///
/// # Cancellation
/// Closes the connection.
pub async fn ended(port: &Endpoint, listener: Option<&Listener>) -> String {
    let parent = listener.and_then(Listener::parent);
    tokio::select! {
        biased;
        why = closed(port) => format!("its debug port {port} is closed: {why}"),
        () = gone(parent) => "who started it has ended, and left it behind".to_owned(),
    }
}

async fn closed(port: &Endpoint) -> io::Error {
    loop {
        match port.connect().and_then(Socket::new) {
            Ok(socket) => hang_up(socket).await,
            Err(error) if nobody_listens(&error) => return error,
            // A listener whose queue is full lives, and where we are out of descriptors nothing is known.
            Err(_) => {}
        }
        // Was it only the connection?
        match port.connect() {
            Err(error) if nobody_listens(&error) => return error,
            _ => tokio::time::sleep(CALM).await,
        }
    }
}

fn nobody_listens(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

async fn hang_up(mut socket: Socket) {
    let mut nothing = [0_u8; 64];
    poll_fn(|cx| {
        loop {
            match ready!(socket.poll_read(cx, &mut nothing)) {
                Ok(0) | Err(_) => return std::task::Poll::Ready(()),
                // A debug port speaks only when it is spoken to; whatever this is, it lives.
                Ok(_) => {}
            }
        }
    })
    .await;
}

/// A process that can be waited for although it is not ours.
#[derive(Debug)]
pub struct Process(Option<Identity>);

impl Process {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Self {
        Self(orphans::identify(pid))
    }

    /// Waits until it has ended.
    ///
    /// # Cancellation
    /// Safe.
    pub async fn ended(&self) {
        if let Some(identity) = &self.0 {
            gone(Some(identity)).await;
        }
    }
}

/// Whether a process stands still since somebody stopped it (SIGSTOP, or Ctrl-Z), where the system tells.
pub fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // After the name in parentheses, which may hold anything.
    stat.is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T')))
}

/// Whether a process is seen to live, where the system tells at once.
///
/// One that ends loses its memory first, and what it runs with it; only then are its sockets closed. So whoever sees a
/// connection closed, and this process live, knows that it was not for its end.
pub fn is_seen_alive(pid: u32) -> bool {
    // Elsewhere it takes another process to ask, which is longer than events should wait.
    cfg!(target_os = "linux") && std::fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

async fn gone(process: Option<&Identity>) {
    let Some(identity) = process else { return std::future::pending().await };
    loop {
        let handle = handle(identity.pid);
        // The number may have gone to another process before the handle was there.
        if has_ended(identity) {
            return;
        }
        match handle {
            Some(handle) => return drop(handle.readable().await),
            // Out of descriptors, or a system without such handles.
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

fn has_ended(process: &Identity) -> bool {
    match orphans::identify(process.pid) {
        Some(now) => now.started != process.started,
        // Without descriptors nothing can be read of a process that lives.
        None if cfg!(target_os = "linux") => Pid::from_raw(process.pid)
            .is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH)),
        None => true,
    }
}

/// What can be read once the process has ended.
#[cfg(target_os = "linux")]
fn handle(pid: i32) -> Option<AsyncFd<OwnedFd>> {
    use rustix::process::{PidfdFlags, pidfd_open};

    let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    crate::net::socket::register(handle, tokio::io::Interest::READABLE).ok()
}

#[cfg(not(target_os = "linux"))]
fn handle(_pid: i32) -> Option<AsyncFd<OwnedFd>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_ends_is_noticed_and_one_that_never_was_at_once() {
        let mut child = tokio::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id().unwrap().cast_signed());
        let ended = tokio::spawn(async move { process.ended().await });
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap();
        Process::of(i32::MAX).ended().await;
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_process_that_is_stopped_is_told_from_one_that_runs() {
        let mut child = tokio::process::Command::new("sleep").arg("60").spawn().unwrap();
        let number = child.id().unwrap();
        let pid = Pid::from_raw(number.cast_signed()).unwrap();
        assert!(!is_stopped(number) && !is_stopped(0));
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !is_stopped(number) {
            assert!(std::time::Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        assert!(!is_stopped(number));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_whose_sockets_are_closed_by_its_end_is_not_seen_alive() {
        use std::io::Read;

        // The child's end of the pipe is closed by its end alone.
        let (mut end, inherited) = std::io::pipe().unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").stdout(inherited).spawn().unwrap();
        assert!(is_seen_alive(child.id()) && !is_seen_alive(0));
        child.kill().unwrap();
        assert_eq!(end.read(&mut [0]).unwrap(), 0);
        assert!(!is_seen_alive(child.id()), "it was not waited for, and still has its number");
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_listener_that_closes_has_ended_and_one_that_only_hangs_up_has_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = Endpoint::tcp(listener.local_addr().unwrap()).unwrap();
        let ended = tokio::spawn(async move { ended(&port, None).await });
        // It comes again after each connection that is dropped.
        for _ in 0..3 {
            drop(listener.accept().await.unwrap());
        }
        assert!(!ended.is_finished());
        drop(listener);
        let why = tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap();
        assert!(why.contains("is closed"), "{why}");
    }
}
