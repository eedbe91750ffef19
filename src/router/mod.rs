//! Links, and the way of an event along one: the table, and what a change of it means.

pub mod change;
mod directory;
mod draft;
mod failures;
mod handler;
mod hosts;
pub mod http;
mod http_route;
mod ingress;
pub mod link;
mod origin;
pub mod retarget;
pub mod rule;
mod serve;
mod snapshot;
mod spelling;
pub mod switch;
pub mod table;

pub use change::{Change, ChangeError};
pub use failures::Failure;
pub use handler::{Offered, ServeError, Served};
pub use ingress::{Front, Ingress};
pub use link::{Aim, Kind, Link, LinkName, LinkTextError, Revision, Target};
pub use origin::Origin;
pub use retarget::{Barrier, Leases, Moved, retarget};
pub use rule::Choice;
pub use serve::{Face, Router};
pub use snapshot::{Class, Route, Session, Snapshot};
pub use table::Links;
