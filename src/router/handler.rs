//! Rust handlers as targets: each is a session of its own, whose debug port this process serves. So a link leads there
//! as it leads to a worker, and everything holds that holds for links.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::change::{Change, ChangeError};
use super::serve::{Face, Router};
use super::table::Links;
use crate::client::serve::{self, Handler};
use crate::session::{Generation, Services, SessionName, SessionSink as _, SessionState};

/// Why a handler is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A session has the name, and runs.
    #[error("there is a session {0} already; give the handler another name, or end the session first")]
    Taken(SessionName),
    /// The socket cannot be made.
    #[error("the socket of the handler {session} cannot be made at {}: {source}", path.display())]
    Socket {
        /// The handler's name.
        session: SessionName,
        /// Where.
        path: std::path::PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The link table does not take it.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// A handler that is served. Dropping it takes the handler away: events that began go on, and new ones wait for
/// another of the name.
pub struct Served {
    session: SessionName,
    links: Arc<Links>,
    _face: Face,
}

impl Drop for Served {
    fn drop(&mut self) {
        let why = "its handler in Rust is not served any more".to_owned();
        self.links.publish(&self.session, SessionState::Down { why });
    }
}

/// A handler that listens, and is no session yet.
pub struct Offered {
    generation: Arc<Generation>,
    links: Arc<Links>,
    face: Face,
}

impl Offered {
    /// What it will be as a session.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// For a handler that the table knows by now.
    pub fn served(self) -> Served {
        Served { session: self.generation.session.clone(), links: self.links, _face: self.face }
    }
}

impl Router {
    /// Makes a handler a session of this name, to which links may lead. It listens at `path`, in a private folder.
    ///
    /// # Errors
    /// Another session of the name is up, or the socket cannot be made.
    pub fn serve(
        self: &Arc<Self>,
        session: SessionName,
        path: &Path,
        handler: Arc<dyn Handler>,
    ) -> Result<Served, ServeError> {
        let known = self.links().snapshot().session(&session).map(|session| session.state.clone());
        if matches!(known, Some(SessionState::Up(_) | SessionState::Starting)) {
            return Err(ServeError::Taken(session));
        }
        let offered = self.offer(session.clone(), path, handler)?;
        let define = Change::DefineSession { session: session.clone(), classes: Vec::new(), exports: None };
        self.links().change(vec![define], None)?;
        self.links().publish(&session, SessionState::Up(offered.generation.clone()));
        Ok(offered.served())
    }

    /// Listens for a handler at `path`, in a private folder. Nobody knows of it before the link table does.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn offer(
        self: &Arc<Self>,
        session: SessionName,
        path: &Path,
        handler: Arc<dyn Handler>,
    ) -> Result<Offered, ServeError> {
        // Of all handlers, so that a name that is served again has another generation.
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let name = format!("a caller of {session}");
        let connections = self.handlers.clone();
        let (on, _) = self.thread();
        let accept = move |socket| match serve::serve(socket, name.clone(), handler.clone()) {
            Ok(line) => connections.spawn(async move { drop(line.closed().await) }),
            Err(error) => tracing::warn!(%error, "a caller of a handler could not be served"),
        };
        let face = self.listen(on, path, session.to_string(), accept).map_err(|source| {
            ServeError::Socket { session: session.clone(), path: path.to_owned(), source }
        })?;
        let generation = Generation {
            session: session.clone(),
            number: NUMBERS.fetch_add(1, Relaxed),
            pid: std::process::id(),
            release: None,
            debug_port: path.into(),
            services: Services::alike(session.to_string()),
            http_sockets: HashMap::new(),
            front_socket: None,
            cf_header: String::new(),
        };
        Ok(Offered { generation: Arc::new(generation), links: self.links().clone(), face })
    }
}
