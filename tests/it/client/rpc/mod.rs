//! JavaScript RPC with a real workerd: the same over its debug port and through a router, to the letter.

mod callbacks;
mod calls;
mod cancel;
mod disposal;
mod errors;
mod service;
mod streams;
mod ways;
