//! The dev registry: the folder in which sessions of wrangler, the vite plugin and Miniflare tell each other where
//! they listen. One file for each worker, named like it.
//!
//! Whoever may write to such a folder may say anything in it, so what is read here is checked and bounded. What is
//! written here goes into folders of our own: a [`View`] is what one session believes to be the registry.

mod entry;
mod folder;
mod view;
mod watch;

pub use entry::{Entry, EntryError, check_worker_name};
pub use folder::{Listing, MAX_ENTRIES, defaults, list};
pub use view::{VARIABLES, View};
pub use watch::Watch;
