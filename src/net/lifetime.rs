//! Who owns the tasks of a face, and the two steps in which they end.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Owns every task of one or several faces.
///
/// Ending has two phases. [`drain`](Self::drain): nothing new is accepted, idle connections close, events in flight go
/// on. [`kill`](Self::kill): whatever is left is dropped. Both are idempotent and may be called from any thread.
#[derive(Clone, Debug, Default)]
pub struct Lifetime {
    draining: CancellationToken,
    killed: CancellationToken,
    tasks: TaskTracker,
}

impl Lifetime {
    /// A lifetime that lasts until [`drain`](Self::drain) or [`kill`](Self::kill).
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops accepting and closes what is idle; events in flight go on.
    pub fn drain(&self) {
        self.draining.cancel();
        self.tasks.close();
    }

    /// Drops everything that is left. Implies [`drain`](Self::drain).
    pub fn kill(&self) {
        self.drain();
        self.killed.cancel();
    }

    /// Resolves when every task has ended; only after [`drain`](Self::drain) or [`kill`](Self::kill).
    ///
    /// # Cancellation
    /// Dropping the future changes nothing; it may be awaited again.
    pub async fn ended(&self) {
        self.tasks.wait().await;
    }

    /// How many tasks are running.
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Runs `task` until it ends or the lifetime is killed. Outside of a runtime the task is dropped, which happens
    /// only while the runtime itself goes down.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let killed = self.killed.clone();
        let task = async move {
            tokio::select! { biased; () = killed.cancelled() => {}, () = task => {} }
        };
        drop(self.tasks.spawn_on(task, &runtime));
    }
}
