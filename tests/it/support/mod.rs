//! What several topics stand on.

pub mod operator;
