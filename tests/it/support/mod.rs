//! What several topics stand on.

pub mod operator;
pub mod workerd;
