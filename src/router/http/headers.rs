//! The one header that belongs to a hop, not to the workers.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// Takes the caller's `cf` out of a request. A second value can only be a worker's forgery and goes away with it.
pub(super) fn take_cf(headers: &mut HeaderMap, caller: &HeaderName) -> Option<HeaderValue> {
    headers.remove(caller)
}

/// Gives the target the caller's `cf` under its own name for it. A value that the caller's worker wrote under that
/// name is replaced or removed.
pub(super) fn put_cf(headers: &mut HeaderMap, target: &HeaderName, cf: Option<&HeaderValue>) {
    match cf {
        Some(cf) => drop(headers.insert(target, cf.clone())),
        None => drop(headers.remove(target)),
    }
}

/// A rough size of a head, for the bounds of parking.
pub(super) fn size(headers: &HeaderMap) -> usize {
    // Name, value, and the entry that holds them in the map.
    const ENTRY: usize = 96;
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ENTRY).sum()
}
