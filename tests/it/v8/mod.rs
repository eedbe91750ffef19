//! Values and their serialized form.

mod samples;
