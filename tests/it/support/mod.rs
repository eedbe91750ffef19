//! What several topics stand on.

pub mod alone;
pub mod between;
pub mod hostile;
pub mod http;
pub mod npm;
pub mod operator;
pub mod pair;
pub mod peer;
pub mod rig;
pub mod running;
pub mod script;
pub mod sessions;
pub mod snapshot;
pub mod splice;
pub mod stage;
pub mod switched;
pub mod talk;
pub mod transcript;
pub mod up;
pub mod workerd;
