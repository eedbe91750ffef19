//! Events of real workers through a real router.

mod actors;
mod basics;
mod cast;
mod errors;
mod flow;
mod handlers;
mod kill;
mod parking;
mod props;
mod retarget;
mod soak;
mod tools;
mod visitor;
