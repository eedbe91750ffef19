//! A lease: one upstream connection, for one link of one caller, to one generation of the link's target.
//!
//! Callers share no upstream, so a slow or hostile one stops only its own. A lease ends when its link points
//! elsewhere, or its caller has gone, and nothing is left on it but what we cached ourselves.

use std::sync::Arc;

use crate::router::{LinkName, Revision};
use crate::rpc::{CapId, ConnId, QuestionId};
use crate::session::Generation;

use super::Ticket;
use super::props::AskedProps;

/// Entrypoint capabilities that one connection keeps. A link names one; a caller of the debug-port face may name
/// more, of which a worker exports a handful.
pub(super) const ENTRIES_KEPT: usize = 32;

/// What an entrypoint's capability was asked for with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryKey {
    pub entrypoint: Option<String>,
    /// A service of the target's own, instead of its worker.
    pub service: Option<String>,
    /// The link's.
    pub props: Option<String>,
    /// The caller's, where the link accepts them.
    pub asked: Option<AskedProps>,
}

/// A capability of the upstream: pipelined while its answer is on the way.
pub(super) struct Upstream {
    pub cap: CapId,
    /// The question in whose answer it is, while that is open.
    pub question: Option<QuestionId>,
}

pub(super) struct Lease {
    pub link: LinkName,
    /// The revision that pointed the link here.
    pub revision: Revision,
    pub generation: Arc<Generation>,
    pub conn: ConnId,
    /// The raw debug port: only our own calls may address it.
    pub port: Upstream,
    /// Least recently used first.
    pub entries: Vec<(EntryKey, Upstream)>,
    /// No new event goes here; it goes back once it is idle.
    pub draining: bool,
    /// An operator breaks it.
    pub cut: bool,
    /// Held while the lease is: `--wait` counts them.
    pub ticket: Ticket,
}

impl Lease {
    /// What the connection may still hold when the lease goes back.
    pub fn kept(&self) -> Vec<&CapId> {
        std::iter::once(&self.port)
            .chain(self.entries.iter().map(|(_, cap)| cap))
            .map(|cap| &cap.cap)
            .collect()
    }

    /// Whether all that it keeps was answered, so that another engine can take it over.
    pub fn is_settled(&self) -> bool {
        self.port.question.is_none() && self.entries.iter().all(|(_, cap)| cap.question.is_none())
    }

    /// The cached capability for `key`, now the most recently used.
    pub fn entry(&mut self, key: &EntryKey) -> Option<&Upstream> {
        let index = self.entries.iter().rposition(|(known, _)| known == key)?;
        let entry = self.entries.remove(index);
        self.entries.push(entry);
        self.entries.last().map(|(_, cap)| cap)
    }
}
