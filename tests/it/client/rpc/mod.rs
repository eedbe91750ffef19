//! JavaScript RPC with a real workerd: the same over its debug port and through a router, to the letter.

mod actors;
mod apart;
mod callbacks;
mod calls;
mod cancel;
mod disposal;
mod ended;
mod errors;
mod props;
mod service;
mod streams;
mod ways;
