//! What workerd's own compiler makes of a project.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::session::source_map::SourceMap;

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
    /// From the main module back to its sources.
    pub source_map: Option<SourceMap>,
    /// Where it keeps things.
    pub state: PathBuf,
    /// Whether it keeps any: then two processes of it must never run at once.
    pub keeps: bool,
}
