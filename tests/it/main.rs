//! The integration tests: one binary, a file a topic.

mod cli;
mod client;
mod control;
mod engine_model;
mod fidelity;
mod fuzz_bodies;
mod handle;
mod hostile_peers;
mod http_face;
mod ingress;
mod links;
mod peers;
mod replay;
mod rules;
mod schema;
mod schema_workerd;
mod session;
mod session_actors;
mod shell;
mod support;
mod survey;
mod switch;
mod transcripts;
mod up;
mod v8;
mod workerd;
