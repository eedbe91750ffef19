//! Values and their serialized form.

mod recorded;
mod samples;
mod workerd;
