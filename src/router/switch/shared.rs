//! What all callers' engines share: the links, the idle upstream connections, and who has to be told of changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::task::AtomicWaker;
use slab::Slab;
use tokio::sync::Notify;

use super::pool::Pool;
use super::trace::TraceFile;
use crate::router::{LinkName, Links, Revision};
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
    /// Upstream connections that ended while events were on them.
    pub broken: u64,
}

#[derive(Default)]
struct Counters {
    began: AtomicU64,
    parked: AtomicU64,
    failed: AtomicU64,
    broken: AtomicU64,
}

/// See the module's text.
pub struct Shared {
    pub(super) links: Arc<Links>,
    pub(super) settings: Settings,
    pub(super) pool: Pool,
    callers: Mutex<Slab<Arc<Mailbox>>>,
    leases: Mutex<HashMap<LinkName, HashMap<Revision, usize>>>,
    lease_returned: Notify,
    counters: Counters,
    /// Time from the publication of a link's target to the first event that went there, in nanoseconds.
    first_events: Mutex<Vec<u64>>,
}

/// Retargets whose first event is remembered, for the bench and the demo.
const FIRST_EVENTS_KEPT: usize = 100_000;

impl Shared {
    /// The shared part of a router over `links`.
    pub fn new(links: Arc<Links>, settings: Settings) -> Arc<Self> {
        Arc::new(Shared {
            links,
            settings,
            pool: Pool::default(),
            callers: Mutex::default(),
            leases: Mutex::default(),
            lease_returned: Notify::new(),
            counters: Counters::default(),
            first_events: Mutex::default(),
        })
    }

    /// Events so far.
    pub fn counts(&self) -> Counts {
        let counters = &self.counters;
        Counts {
            began: counters.began.load(Relaxed),
            parked: counters.parked.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            broken: counters.broken.load(Relaxed),
        }
    }

    pub(super) fn count_began(&self) {
        self.counters.began.fetch_add(1, Relaxed);
    }

    pub(super) fn count_parked(&self) {
        self.counters.parked.fetch_add(1, Relaxed);
    }

    pub(super) fn count_failed(&self) {
        self.counters.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn count_broken(&self) {
        self.counters.broken.fetch_add(1, Relaxed);
    }

    /// Idle upstream connections.
    pub fn pooled(&self) -> usize {
        self.pool.len()
    }

    /// Callers' connections that are open.
    pub fn callers(&self) -> usize {
        self.lock_callers().len()
    }

    /// Leases that are held.
    pub fn leased(&self) -> usize {
        self.lock_leases().values().flat_map(|by| by.values()).sum()
    }

    /// Leases of one link.
    pub fn leased_by(&self, link: &LinkName) -> usize {
        self.lock_leases().get(link).map_or(0, |by| by.values().sum())
    }

    pub(super) fn note_first_event(&self, since_published: Duration) {
        let mut times = self.first_events.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() < FIRST_EVENTS_KEPT {
            times.push(since_published.as_nanos().min(u64::MAX.into()) as u64);
        }
    }

    /// Nanoseconds from the publication of a target to the first event that each caller sent there, since the
    /// last call.
    pub fn take_first_events(&self) -> Vec<u64> {
        std::mem::take(&mut self.first_events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock_callers(&self) -> MutexGuard<'_, Slab<Arc<Mailbox>>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_leases(&self) -> MutexGuard<'_, HashMap<LinkName, HashMap<Revision, usize>>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A caller's connection was taken: from now on it is told of changes.
    pub(super) fn join(self: &Arc<Self>) -> Membership {
        let mailbox = Arc::new(Mailbox::default());
        let key = self.lock_callers().insert(mailbox.clone());
        Membership { shared: self.clone(), key, mailbox }
    }

    /// Lets every caller look at the links again: targets of parked events may be up, leases may have to drain.
    pub fn wake_all(&self) {
        let snapshot = self.links.snapshot();
        self.pool.retain(|session, number| snapshot.is_newest(session, number));
        for (_, mailbox) in self.lock_callers().iter() {
            mailbox.waker.wake();
        }
    }

    /// Breaks the leases of `link` from before `before`.
    pub fn cut(&self, link: &LinkName, before: Revision) {
        for (_, mailbox) in self.lock_callers().iter() {
            let mut cuts = mailbox.cuts.lock().unwrap_or_else(PoisonError::into_inner);
            cuts.push((link.clone(), before));
            drop(cuts);
            mailbox.waker.wake();
        }
    }

    /// Ready when no lease of `link` from before `before` is held.
    ///
    /// # Cancellation
    /// Safe: nothing is kept.
    pub async fn returned(&self, link: &LinkName, before: Revision) {
        loop {
            let changed = self.lease_returned.notified();
            let held = {
                let leases = self.lock_leases();
                leases.get(link).is_some_and(|by| by.keys().any(|revision| *revision < before))
            };
            if !held {
                return;
            }
            changed.await;
        }
    }

    /// A lease, or an HTTP event, begins.
    pub fn ticket(self: &Arc<Self>, link: LinkName, revision: Revision) -> Ticket {
        *self.lock_leases().entry(link.clone()).or_default().entry(revision).or_default() += 1;
        Ticket { shared: self.clone(), link, revision }
    }
}

/// What a caller's engine is told from other threads.
#[derive(Default)]
pub(super) struct Mailbox {
    pub waker: AtomicWaker,
    /// Links whose leases from before a revision have to break. Bounded by the operator's commands.
    pub cuts: Mutex<Vec<(LinkName, Revision)>>,
}

/// A caller's place among those who are told.
pub(super) struct Membership {
    shared: Arc<Shared>,
    key: usize,
    pub mailbox: Arc<Mailbox>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.shared.lock_callers().try_remove(self.key);
    }
}

/// Counts one lease, or one HTTP event, of a link as held until it is dropped.
pub struct Ticket {
    shared: Arc<Shared>,
    link: LinkName,
    revision: Revision,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut leases = self.shared.lock_leases();
        if let Some(by) = leases.get_mut(&self.link) {
            if let Some(count) = by.get_mut(&self.revision) {
                *count -= 1;
            }
            by.retain(|_, count| *count > 0);
            if by.is_empty() {
                leases.remove(&self.link);
            }
        }
        drop(leases);
        self.shared.lease_returned.notify_waiters();
    }
}
