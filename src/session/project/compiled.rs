//! What workerd's own compiler makes of a project.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::session::exports::Exports;
use crate::session::source_map::SourceMap;

/// The queues that a worker sends to and consumes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queues {
    /// The service that keeps their messages.
    pub broker: String,
    /// What it is told of their consumers, by the queues' names.
    pub consumers: Map<String, Value>,
    /// Those that the worker does not consume itself.
    pub foreign: BTreeSet<String>,
}

/// A configuration for workerd, to which ours is added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    /// The workerd that compiled it, and runs it.
    pub workerd: PathBuf,
    /// The service that is the worker.
    pub service: String,
    /// The service that takes requests: that of the static files, if there are any.
    pub front: String,
    /// The whole configuration.
    pub message: Vec<u8>,
    /// The name of its main module; empty if it has nothing but static files.
    pub main_module: String,
    /// The source of that.
    pub main: PathBuf,
    /// The files that it was made of.
    pub inputs: BTreeSet<PathBuf>,
    /// What it exports, if that can be seen without running it.
    pub exports: Option<Arc<Exports>>,
    /// Its schedules.
    pub crons: Vec<String>,
    /// Its queues, if there are any.
    pub queues: Option<Queues>,
    /// From the main module back to its sources.
    pub source_map: Option<SourceMap>,
    /// Where it keeps things.
    pub state: PathBuf,
    /// Whether it keeps any: then two processes of it must never run at once.
    pub keeps: bool,
}
