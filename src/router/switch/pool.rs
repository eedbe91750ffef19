//! Idle upstream connections, by generation. A connection that comes back keeps its cached capabilities, so that the
//! next caller needs no question for them.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::lease::EntryKey;
use crate::rpc::Detached;
use crate::session::{Generation, SessionName};

/// Idle connections kept per generation. workerd's own pools are not larger, and opening one costs 50 µs.
const KEPT: usize = 32;

/// An idle upstream connection: its stream, what the engine has to know of it, and which entrypoints its
/// capabilities after the first, the debug port, are.
pub(super) struct Idle {
    pub fd: OwnedFd,
    pub detached: Detached,
    pub entries: Vec<EntryKey>,
}

/// The idle connections of all threads: one is taken when a caller's first event comes, not for each event.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<(SessionName, u64), Vec<Idle>>>,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, HashMap<(SessionName, u64), Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take(&self, generation: &Generation) -> Option<Idle> {
        self.lock().get_mut(&(generation.session.clone(), generation.number))?.pop()
    }

    pub fn put(&self, generation: &Generation, idle: Idle) {
        let mut all = self.lock();
        let kept = all.entry((generation.session.clone(), generation.number)).or_default();
        if kept.len() < KEPT {
            kept.push(idle);
        }
    }

    /// Closes what belongs to generations that are no longer the newest.
    pub fn retain(&self, current: impl Fn(&SessionName, u64) -> bool) {
        self.lock().retain(|(session, number), _| current(session, *number));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().values().map(Vec::len).sum()
    }
}
