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
    /// Breaks, with a retryable error, every event on `link` that was routed by a revision before `before`.
    fn cut(&self, link: &LinkName, before: Revision);

    /// Ready when no lease of `link` from before `before` is held any more.
    fn returned(&self, link: &LinkName, before: Revision) -> BoxFuture<'_, ()>;
}

/// What to do about events that began before the change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handover {
    /// Break them at once.
    pub cut: bool,
    /// Answer when all of them have ended.
    pub wait: bool,
}

/// Changes links and waits until the change is in force: every event that begins after this returns goes by it.
///
/// # Cancellation
/// Once published, a change stays. Dropping the future only gives up knowing when it is in force, and may leave out
/// the cut.
pub async fn retarget(
    links: &Links,
    barrier: &dyn Barrier,
    leases: &dyn Leases,
    changes: Vec<Change>,
    expected: Option<Revision>,
    handover: Handover,
) -> Result<Revision, ChangeError> {
    let names: Vec<LinkName> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Retarget { link, .. } | Change::DefineLink { link, .. } | Change::DropLink(link) => {
                Some(link.clone())
            }
            Change::DefineSession { .. } | Change::DropSession(_) => None,
        })
        .collect();
    let revision = links.change(changes, expected)?;
    // First the barrier: an event that a thread routes by the old snapshot while we cut would slip through.
    barrier.passed(revision).await;
    // A link that already pointed there keeps its revision, and its events are not old.
    let snapshot = links.snapshot();
    let since = |name: &LinkName| snapshot.link(name).map_or(revision, |link| link.revision.min(revision));
    if handover.cut {
        names.iter().for_each(|name| leases.cut(name, since(name)));
    }
    if handover.wait {
        join_all(names.iter().map(|name| leases.returned(name, since(name)))).await;
    }
    Ok(revision)
}
