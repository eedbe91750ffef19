//! What several topics stand on.

pub mod operator;
pub mod rig;
pub mod sessions;
pub mod snapshot;
pub mod workerd;
