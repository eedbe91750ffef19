//! What several topics stand on.

pub mod operator;
pub mod sessions;
pub mod workerd;
