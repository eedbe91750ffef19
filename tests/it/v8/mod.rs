//! Values and their serialized form.

mod converted;
mod recorded;
mod samples;
mod texts;
mod workerd;
