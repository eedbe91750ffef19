//! What stays the same through reloads although no configuration says it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value as Json, json};

use super::build::Built;
use crate::wire::v8::JsValue;

/// What was chosen when it was first asked for.
#[derive(Debug, Default)]
pub struct Lasting {
    ports: BTreeMap<PathBuf, SocketAddr>,
    version: Option<Json>,
    /// What came of the commands that make sources, by the configuration.
    pub(super) builds: BTreeMap<PathBuf, Built>,
    /// What was warned of last.
    warned: BTreeSet<String>,
}

impl Lasting {
    /// Where the session of a configuration listens: at `wanted`, else at the configuration's own port, else at a free
    /// one, which stays, so that a page that is open finds it again.
    pub(super) fn listen(
        &mut self,
        config: &Path,
        wanted: Option<SocketAddr>,
        port: Option<u16>,
    ) -> io::Result<SocketAddr> {
        let localhost = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let wanted = wanted.or(port.map(localhost));
        if let Some(address) = wanted.filter(|address| address.port() > 0) {
            return Ok(address);
        }
        if let Some(known) = self.ports.get(config) {
            return Ok(*known);
        }
        // Free now, and ours in a moment: the system gives the same port again only after all others.
        let address = TcpListener::bind(wanted.unwrap_or(localhost(0)))?.local_addr()?;
        self.ports.insert(config.to_owned(), address);
        Ok(address)
    }

    /// Those of all warnings that were not told before.
    pub(super) fn news(&mut self, warnings: BTreeSet<String>) -> Vec<String> {
        let news = warnings.difference(&self.warned).cloned().collect();
        self.warned = warnings;
        news
    }

    /// What `version_metadata` tells. As under wrangler it is made up; another one at each reload would be a reason to
    /// start a new generation.
    pub(super) fn version(&mut self) -> io::Result<Json> {
        if let Some(version) = &self.version {
            return Ok(version.clone());
        }
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let id = hex::encode(id);
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| id.get(part).unwrap_or_default());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let timestamp = format!("{:?}", JsValue::date(now.as_millis() as f64));
        let version = json!({ "id": parts.join("-"), "tag": "", "timestamp": timestamp });
        self.version = Some(version.clone());
        Ok(version)
    }
}
