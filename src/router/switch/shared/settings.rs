//! How the faces behave, and what they count.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::router::switch::trace::TraceFile;
use crate::rpc::{Budget, Limits};

/// How the faces behave.
#[derive(Clone)]
pub struct Settings {
    /// What one peer may make us keep.
    pub limits: Limits,
    /// Bytes that all of them may.
    pub budget: Arc<Budget>,
    /// How long an event waits for its target. A worker starts in a few tens of milliseconds, a large project in a
    /// second or two; somebody who waits longer than this wants to know why.
    pub park_for: Duration,
    /// Where every frame is shown.
    pub trace: Option<Arc<TraceFile>>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            limits: Limits::default(),
            budget: Budget::new(Budget::DEFAULT_BYTES),
            park_for: Duration::from_secs(10),
            trace: None,
        }
    }
}

/// Events since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that began.
    pub began: u64,
    /// Of those, events that had to wait for their target.
    pub parked: u64,
    /// Events that were not served: no target in time, or no such link.
    pub failed: u64,
    /// Events that were delivered, and whose target's connection ended before they were answered: they failed as
    /// retryable. Not RPC events that had been answered, whatever their callers still held of them. The answer of a
    /// fetch ends with its body, or with its WebSocket.
    pub broken: u64,
    /// Events that `--cut` broke, and WebSockets whose target had to end before its successor, likewise.
    pub cut: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub began: AtomicU64,
    pub parked: AtomicU64,
    pub failed: AtomicU64,
    pub broken: AtomicU64,
    pub cut: AtomicU64,
}

/// The first event that a caller sent to a link's new target, when it was handed to it.
#[derive(Debug, Clone, Copy)]
pub struct FirstEvent {
    /// Since the target was published: how long the caller took to send something is in it.
    pub since_published: Duration,
    /// Since the event reached us.
    pub since_began: Duration,
}
