//! Objects of this process, and stubs of others', against independent peers.

mod callers;
pub mod far;
mod order;
mod own;
mod served;
mod workers;
