//! Values and their serialized form.

mod bounds;
mod converted;
mod properties;
mod recorded;
mod samples;
mod texts;
mod workerd;
