//! One thread per core, each with a runtime of its own: a connection stays on the thread that took it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use futures::future::join_all;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use super::busy_poll;

/// The worker threads. Dropping them ends all tasks that still run on them.
pub struct Threads {
    handles: Vec<Handle>,
    joins: Vec<thread::JoinHandle<()>>,
    next: AtomicUsize,
    stop: CancellationToken,
}

impl Threads {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// The system gives no thread, or no event queue.
    pub fn start(count: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let (mut handles, mut joins) = (Vec::new(), Vec::new());
        for index in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let stop = stop.clone();
            let name = format!("switch-{index}");
            joins.push(
                thread::Builder::new()
                    .name(name)
                    .spawn(move || runtime.block_on(busy_poll::until(stop.cancelled())))?,
            );
        }
        Ok(Threads { handles, joins, next: AtomicUsize::new(0), stop })
    }

    /// As many threads as the machine has cores.
    ///
    /// # Errors
    /// As [`Threads::start`].
    pub fn per_core() -> io::Result<Self> {
        Threads::start(thread::available_parallelism().map_or(1, usize::from))
    }

    /// The runtime whose turn it is to take a connection.
    pub fn next(&self) -> &Handle {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len().max(1);
        self.handles.get(index).unwrap_or_else(|| unreachable!("there is at least one thread"))
    }

    /// All runtimes.
    pub fn all(&self) -> &[Handle] {
        &self.handles
    }

    /// Ready when each thread has been through its loop once: what ran on one of them when this was called has
    /// come to its next await since.
    pub async fn pass(&self) {
        join_all(self.handles.iter().map(|handle| handle.spawn(async {}))).await;
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.cancel();
        for join in self.joins.drain(..) {
            // A thread that panicked has said so itself.
            let _ = join.join();
        }
    }
}
