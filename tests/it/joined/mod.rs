//! Sessions that jackfield did not start: `jackfield run`, `jackfield attach`, and what lies in a registry.

mod again;
mod alive;
mod attached;
mod chaos;
mod folders;
mod lasting;
mod names;
mod registry;
pub mod stage;
mod terminal;
mod tool;
mod urls;
mod wrangler;
