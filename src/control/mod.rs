//! The daemon's API: HTTP and JSON on a unix socket that only its owner can open.
//!
//! [`shape`] is what goes over the wire, shared by [`server`](mod@server) and [`client`]. What the requests do is the
//! [`Operator`]'s business, so that the API can be tested without a single session.

pub mod client;
pub mod daemon;
pub mod explain;
mod listening;
mod operator;
mod problem;
mod routes;
pub mod rows;
pub mod server;
pub mod shape;
mod told;

pub use client::{Client, ClientError};
pub use daemon::{Daemon, Parts, Worker};
pub use listening::Listening;
pub use operator::Operator;
pub use problem::{Code, Problem};
pub use told::{Program, Teller, Telling, Told, telling};
