use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixListener;

/// Out of file descriptors: wait for some to come back rather than spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Listens on a new unix socket that only its owner may open. Its folder must be private already: the mode is set
/// after the socket exists.
///
/// # Errors
/// Something is at `path`, or it is too long for a socket's address.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The next caller of our own user, no longer registered with the runtime. Others are refused.
///
/// # Cancellation
/// Safe: a connection that was not returned is still in the listener's queue.
pub async fn accept(listener: &UnixListener, face: &str) -> UnixStream {
    loop {
        match accept_one(listener).await {
            Ok(Some(socket)) => return socket,
            Ok(None) => tracing::warn!(face, "refused a caller of another user"),
            Err(error) => {
                tracing::warn!(face, %error, "a caller could not be accepted");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

async fn accept_one(listener: &UnixListener) -> io::Result<Option<UnixStream>> {
    let (socket, _) = listener.accept().await?;
    let ours = socket.peer_cred()?.uid() == rustix::process::geteuid().as_raw();
    let socket = socket.into_std()?;
    Ok(ours.then_some(socket))
}

impl super::Plug {
    /// A stream that was accepted, with what was read from it already. Registers it with the current runtime.
    ///
    /// # Errors
    /// The runtime takes no more sockets.
    pub fn new(socket: impl Into<OwnedFd>, read: Vec<u8>) -> io::Result<Self> {
        Ok(super::Plug { socket: super::Socket::new(socket.into())?, read })
    }
}
