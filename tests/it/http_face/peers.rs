//! Hand-made peers: a caller and a target that do on the socket exactly what a test says.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, timeout};

use super::pair::Outcome;

/// Nothing here takes longer than milliseconds; a machine under load may.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a state that other tasks bring about.
pub async fn until(mut state: impl FnMut() -> bool) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    while !state() {
        if Instant::now() > deadline {
            return Err("the awaited state did not come".into());
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Awaits with the same patience.
pub async fn soon<T>(what: impl Future<Output = T>) -> Outcome<T> {
    Ok(timeout(PATIENCE, what).await?)
}

/// One end of a connection.
pub struct Peer(pub UnixStream);

impl Peer {
    pub async fn connect(path: &Path) -> Outcome<Self> {
        Ok(Self(UnixStream::connect(path).await?))
    }

    pub async fn accept(listener: &UnixListener) -> Outcome<Self> {
        Ok(Self(soon(listener.accept()).await??.0))
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Outcome {
        Ok(soon(self.0.write_all(bytes.as_ref())).await??)
    }

    /// Reads until what came ends with `end`.
    pub async fn read_to(&mut self, end: &str) -> Outcome<String> {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let Ok(byte) = soon(self.0.read_u8()).await? else {
                return Err(format!("ended after {:?}", String::from_utf8_lossy(&text)).into());
            };
            text.push(byte);
        }
        Ok(String::from_utf8(text)?)
    }

    /// One head.
    pub async fn head(&mut self) -> Outcome<String> {
        self.read_to("\r\n\r\n").await
    }

    /// All that comes until the other side closes. A reset is a close too: it was lost while bytes were under way.
    pub async fn rest(&mut self) -> Outcome<String> {
        let mut rest = Vec::new();
        let _: Result<usize, std::io::Error> = soon(self.0.read_to_end(&mut rest)).await?;
        Ok(String::from_utf8(rest)?)
    }
}
