//! Where sessions listen whose configurations do not say it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// The ports that were chosen. One that was chosen once stays, so that a page that is open finds it again.
#[derive(Debug, Default)]
pub struct Ports(BTreeMap<PathBuf, SocketAddr>);

impl Ports {
    /// Where the session of a configuration listens: at `wanted`, else at the configuration's own port, else at a free
    /// one.
    pub(super) fn listen(
        &mut self,
        config: &Path,
        wanted: Option<SocketAddr>,
        port: Option<u16>,
    ) -> io::Result<SocketAddr> {
        if let Some(known) = self.0.get(config) {
            return Ok(*known);
        }
        let localhost = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let address = match wanted.or(port.map(localhost)) {
            Some(address) if address.port() > 0 => address,
            // Free now, and ours in a moment: the system gives the same port again only after all others.
            other => TcpListener::bind(other.unwrap_or(localhost(0)))?.local_addr()?,
        };
        self.0.insert(config.to_owned(), address);
        Ok(address)
    }
}
