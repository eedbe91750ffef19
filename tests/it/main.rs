//! The integration tests: one binary, a file a topic.

mod links;
mod schema;
