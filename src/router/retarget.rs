//! What an operator's change of links means beyond the table: when it is in force everywhere, and what becomes of the
//! events that began before it.

use futures::future::{BoxFuture, join_all};

use super::change::{Change, ChangeError};
use super::link::{LinkName, Revision};
use super::table::Links;

/// Tells when a published revision is in force.
pub trait Barrier: Send + Sync {
    /// Ready when no event can any more be routed by a snapshot older than `revision`: every worker thread has been
    /// through its loop once since it was published.
    fn passed(&self, revision: Revision) -> BoxFuture<'_, ()>;
}

/// The upstream connections that events in flight hold, by link.
pub trait Leases: Send + Sync {
    /// Breaks, with a retryable error, every event on `link` that was routed while [`Link::revision`] was before
    /// `before`.
    ///
    /// [`Link::revision`]: super::link::Link::revision
    fn cut(&self, link: &LinkName, before: Revision);

    /// Ready when no lease of `link` from before `before` is held any more.
    fn returned(&self, link: &LinkName, before: Revision) -> BoxFuture<'_, ()>;
}

/// A change that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The revision from which on it holds.
    pub revision: Revision,
    /// For each link that was named, the revision before which its events are old.
    since: Vec<(LinkName, Revision)>,
}

/// Changes links and waits until the change is in force: every event that begins after this returns goes by it. With
/// `cut`, what began before is broken then; otherwise it goes on where it is.
///
/// # Cancellation
/// Once published, a change stays. Dropping the future only gives up knowing when it is in force, and may leave out
/// the cut: who wants it must see it through.
pub async fn retarget(
    links: &Links,
    barrier: &dyn Barrier,
    leases: &dyn Leases,
    changes: Vec<Change>,
    expected: Option<Revision>,
    cut: bool,
) -> Result<Moved, ChangeError> {
    let names: Vec<LinkName> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Retarget { link, .. }
            | Change::DefineLink { link, .. }
            | Change::Seek { link, .. }
            | Change::DropLink(link) => Some(link.clone()),
            Change::Adopt(_)
            | Change::JoinSession(..)
            | Change::DefineSession { .. }
            | Change::Originate(..)
            | Change::DefineFake { .. }
            | Change::DropSession(_) => None,
        })
        .collect();
    let revision = links.change(changes, expected)?;
    // First the barrier: an event that a thread routes by the old snapshot while we cut would slip through.
    barrier.passed(revision).await;
    // A link that already pointed there keeps its revision, and its events are not old.
    let snapshot = links.snapshot();
    let since = |name: &LinkName| snapshot.link(name).map_or(revision, |link| link.revision.min(revision));
    let since: Vec<_> =
        names.into_iter().map(|name| (since(&name), name)).map(|(at, name)| (name, at)).collect();
    if cut {
        since.iter().for_each(|(name, before)| leases.cut(name, *before));
    }
    Ok(Moved { revision, since })
}

impl Moved {
    /// Ready when all that began before the change has ended.
    ///
    /// # Cancellation
    /// Safe: it only watches.
    pub async fn settled(&self, leases: &dyn Leases) {
        join_all(self.since.iter().map(|(name, before)| leases.returned(name, *before))).await;
    }
}
