//! Values and their serialized form.

mod bounds;
mod converted;
mod properties;
pub mod recorded;
mod samples;
mod texts;
mod workerd;

pub use workerd::is_echo;
