//! The switch engine: Cap'n Proto RPC (two-party, level 1) between several connections and this process.
//!
//! Sans-IO: frames go in by [`Engine::receive`], bytes to write come out of [`Engine::output`], and what concerns
//! the host (the code that owns the engine) comes out of [`Engine::poll_event`]. There is no socket, task or
//! clock in here, so that the same code runs under a property test and a fuzzer.
//!
//! One engine is one caller's connection, the upstream connections leased to it, and the host's own objects.
//! Every capability has one *home*: a connection and an id there, or an object of the host. A call on it goes to
//! its home; a capability that travels is exported anew where it arrives, or unwrapped where it came from.

mod call;
mod caps;
mod detach;
mod disembargo;
mod ending;
mod engine;
mod finish;
mod handles;
mod hold;
mod homes;
mod host;
mod ids;
mod limits;
mod resolve;
mod results;
mod resume;
mod returning;
mod tables;
mod tail;
pub mod trace;

pub use detach::Detached;
pub use engine::{Engine, Event, Incoming};
pub use host::Outgoing;
pub use ids::IdTable;
pub use limits::{Budget, Limits};
pub use tables::{CallId, CapId, ConnId, FastMap, ObjectId, PromiseId, QuestionId, Refused, TableSizes};
