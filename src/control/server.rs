//! The listening side: who may connect, how many, and how it ends.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::operator::Operator;
use super::routes;

/// Connections at a time. One for each command that runs under us, and beside them a human and a few scripts, each perhaps
/// in a long `--wait`; more is a runaway loop, and waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 256 + 64;

/// How long a client may take to send a request's head, and to leave a connection idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long after a failed accept the next is tried. Such a failure is nearly always a full table of file descriptors,
/// which an immediate retry would meet again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens at `path`, which only its owner can open.
///
/// A socket that a killed daemon left there is removed; the caller holds the lock of the folder, so nobody listens on
/// it. The folder is private, so nobody else can connect before the mode is set.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until `stop`, then lets requests that have begun end.
///
/// # Cancellation
/// Dropping the future closes all connections at once.
pub async fn serve<O: Operator>(listener: UnixListener, operator: Arc<O>, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a control connection failed");
                }
                continue;
            }
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        let (operator, stop) = (operator.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, operator, stop).await;
            drop(permit);
        });
    }
    while connections.join_next().await.is_some() {}
}

/// # Cancellation
/// Safe: both steps are, and a permit goes back when it is dropped.
async fn accept(
    listener: &UnixListener,
    room: &Arc<Semaphore>,
) -> Option<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) if is_own(&stream) => Some((stream, permit)),
        Ok(_) => {
            tracing::warn!("refused a control connection of another user");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "could not accept a control connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Whether the process at the other end runs as our user. The socket's mode says so already; this holds even where a
/// folder was opened up by mistake.
pub(super) fn is_own(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own)
}

async fn connection<O: Operator>(stream: UnixStream, operator: Arc<O>, stop: CancellationToken) {
    let service = service_fn(|request| routes::answer(&operator, request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a control connection ended early");
    }
}
