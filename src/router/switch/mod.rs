//! The Cap'n Proto side of the faces: what a caller holds of us, and where its events go.
//!
//! Each caller's connection has a driver of its own with an engine and a `Caller` as its host. The caller
//! gets objects of ours (a debug port, entrypoints, actors) that never resolve further; a `startEvent` on one is
//! forwarded, as it came, to the target that its link has at that moment.

mod answered;
mod ask;
mod caller;
mod lease;
mod object;
mod park;
mod pool;
mod props;
mod shared;
mod trace;

pub use caller::Entry;
pub use object::{DEFAULT_SERVICE, NAMED_SERVICE};
pub use shared::{Counts, FirstEvent, Settings, Shared};
pub(super) use shared::{Cuttable, Ticket, Waits};
pub use trace::TraceFile;
