//! The only room with sockets and tasks for Cap'n Proto.
//!
//! One [`Driver`] is one task: it owns an engine and the sockets of its connections, and reads, switches and writes
//! within one wake-up. There is no channel and no second task on the way of a frame.

mod buffer;
mod busy_poll;
mod driver;
mod endpoint;
mod lifetime;
mod listen;
pub mod local;
mod ready;
pub mod socket;
mod threads;

pub use driver::{Driver, Host, Net, Plug};
pub use endpoint::{Endpoint, EndpointError, Loopback};
pub use lifetime::Lifetime;
pub use listen::{accept, listen};
pub use socket::Socket;
pub use threads::Threads;
