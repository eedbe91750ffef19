//! What the terminal and the system ask of `up` and `dev`.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Ctrl-C, or SIGTERM.
    Stop,
    /// SIGHUP.
    Reload,
}

/// Signals from now on; until then they end the process as always.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// # Cancellation
    /// Safe.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.hang_up.recv() => Wish::Reload,
        }
    }

    /// Waits for any of them: nothing is left to be done that could be done otherwise.
    pub(super) async fn end(&mut self) {
        self.next().await;
    }

    /// Waits for a stop and forgets reloads meanwhile: nothing runs yet that could be reloaded.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Wish::Stop {}
    }
}
