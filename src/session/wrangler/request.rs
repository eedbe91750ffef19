//! What `dev` is asked for. It travels from the command to the daemon, which runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Names that a configuration has if none is given, the first that is there.
pub const FILE_NAMES: [&str; 3] = ["wrangler.jsonc", "wrangler.json", "wrangler.toml"];

/// What to make sessions of.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The configurations, each a session.
    pub configs: Vec<Config>,
    /// wrangler's `--env`.
    #[serde(default)]
    pub environment: Option<String>,
    /// Where the first session listens, if its configuration does not count.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// Fields that are left out though they mean something.
    #[serde(default)]
    pub without: BTreeSet<String>,
    /// What compiles and runs them.
    pub tools: Tools,
    /// The variables of whoever asks: the compiler has them, and values that `secrets` names come from there.
    pub variables: BTreeMap<String, String>,
}

/// A configuration, and the scope of its session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file, absolute.
    pub file: PathBuf,
    /// It stays, whatever is checked out later.
    #[serde(default)]
    pub scope: Option<String>,
}

/// The programs that it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// Compiles, and runs what it has compiled.
    pub workerd: PathBuf,
    /// The bundler.
    pub esbuild: PathBuf,
}

impl std::fmt::Debug for Request {
    /// Without the variables, among which there are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("configs", &self.configs).finish_non_exhaustive()
    }
}
