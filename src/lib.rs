//! jackfield links running `workerd` processes through their debug ports and moves the links while they run.

pub mod control;
pub mod router;
pub mod rpc;
pub mod schema;
pub mod session;
pub mod wire;
