//! jackfield links running `workerd` processes through their debug ports and moves the links while they run.

// On other systems the binary only says why it does not run there: see main.rs.
#![cfg(unix)]
// Only the command line prints, and it writes through its own screen.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod cli;
pub mod client;
pub mod control;
pub mod net;
pub mod registry;
pub mod router;
pub mod rpc;
pub mod schema;
pub mod session;
pub mod wire;
