//! Debug ports of targets, for events that are converted.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pool;
use super::route::Asked;
use crate::client::{Entrypoint, Session};
use crate::net::Endpoint;
use crate::net::local::{Peer, Settings};
use crate::net::socket::Probe;

/// Entrypoints that one session keeps. A link names one; a retarget to other props names another.
const ENTRIES_KEPT: usize = 32;

/// The sessions of one thread, one for each debug port. Callers share them: all frames on them are ours, and a stream
/// that nobody reads stops only itself.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<Endpoint, Kept>>);

struct Kept {
    session: Session,
    /// The session's socket once more, to see whether its peer is there.
    socket: Arc<OwnedFd>,
    entries: Vec<(Arc<Asked>, Entrypoint)>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Endpoint, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What takes an event behind that debug port.
    pub async fn entrypoint(&self, port: &Endpoint, asked: &Arc<Asked>) -> io::Result<Entrypoint> {
        if let Some(entrypoint) = self.known(port, asked) {
            return Ok(entrypoint);
        }
        let socket = pool::connect(port).await?;
        let twin = Arc::new(socket.try_clone()?);
        let peer = Peer::start(Settings::default());
        let line = peer.connect(socket, port.to_string(), None).map_err(io::Error::other)?;
        let session = Session::over(peer, line, port.to_string());
        let kept = Kept { session, socket: twin, entries: Vec::new() };
        let mut all = self.lock();
        // Those whose processes have ended make room.
        all.retain(|_, kept| kept.is_open());
        Ok(all.entry(port.clone()).or_insert(kept).entry(asked))
    }

    fn known(&self, port: &Endpoint, asked: &Arc<Asked>) -> Option<Entrypoint> {
        let mut all = self.lock();
        // An event that is written to a process which has just died would be lost although it could wait.
        Some(all.get_mut(port).filter(|kept| kept.is_open())?.entry(asked))
    }

    /// Closes the connections to other debug ports than these, each once nothing is under way on it.
    pub fn retain(&self, wanted: impl Fn(&Endpoint) -> bool) {
        self.lock().retain(|port, _| wanted(port));
    }
}

impl Kept {
    fn is_open(&self) -> bool {
        self.session.connection().is_open() && !Probe::of(&self.socket).is_hung_up()
    }

    fn entry(&mut self, asked: &Arc<Asked>) -> Entrypoint {
        if let Some((_, entrypoint)) = self.entries.iter().find(|(known, _)| known == asked) {
            return entrypoint.clone();
        }
        let Asked { service, entrypoint, props } = &**asked;
        let entrypoint = self.session.entrypoint(service, entrypoint.as_deref(), props.clone());
        if self.entries.len() == ENTRIES_KEPT {
            self.entries.remove(0);
        }
        self.entries.push((asked.clone(), entrypoint.clone()));
        entrypoint
    }
}
