//! The router: threads, faces, and what an operator may do to links while events flow.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::future::BoxFuture;
use hyper::header::HeaderName;
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::http::{FaceConfig, HttpFace, Upstreams};
use super::http_route::{Door, LinkRoute, Routes};
use super::link::{LinkName, Revision};
use super::retarget::{Barrier, Leases};
use super::switch::{Settings, Shared};
use super::table::Links;
use crate::net::{Lifetime, Plug, Threads, accept, listen};
use crate::session::{Drain, Generation, InFlight, SessionName};

/// Serves faces over a link table. Its connections run on threads of its own.
pub struct Router {
    links: Arc<Links>,
    pub(super) shared: Arc<Shared>,
    /// Connections to targets' HTTP sockets, one pool for each thread.
    upstreams: Vec<(Handle, Upstreams)>,
    /// Faces so far: they take the threads in turn.
    faces: AtomicUsize,
    pub(super) lifetime: Lifetime,
    /// Connections to handlers in Rust: they end after those that may be at work for the faces.
    pub(super) handlers: Lifetime,
    /// Dropped last: tasks of the others run on it.
    threads: Threads,
}

/// A face that is being served. Dropping it stops new callers; those that are there go on.
pub struct Face {
    stop: CancellationToken,
}

impl Drop for Face {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Router {
    /// Starts the threads of a router over `links`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(links: Arc<Links>, settings: Settings) -> io::Result<Arc<Self>> {
        let threads = Threads::per_core()?;
        let lifetime = Lifetime::new();
        let shared = Shared::new(links.clone(), settings);
        let pool = |handle: &Handle| (handle.clone(), Upstreams::new(lifetime.clone()));
        let upstreams = threads.all().iter().map(pool).collect();
        let router = Arc::new(Router {
            links,
            shared,
            upstreams,
            faces: AtomicUsize::new(0),
            lifetime,
            handlers: Lifetime::new(),
            threads,
        });
        router.watch();
        Ok(router)
    }

    /// What the callers' engines share: counts, for a start.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Idle HTTP connections to targets.
    pub fn idle_http(&self) -> usize {
        self.upstreams.iter().map(|(_, upstreams)| upstreams.idle_connections()).sum()
    }

    /// The link table.
    pub fn links(&self) -> &Arc<Links> {
        &self.links
    }

    /// Tells the callers of every change of the links.
    fn watch(&self) {
        let (shared, mut revisions) = (self.shared.clone(), self.links.subscribe());
        let (links, draining) = (self.links.clone(), self.lifetime.draining().clone());
        let upstreams: Vec<_> = self.upstreams.iter().map(|(_, upstreams)| upstreams.clone()).collect();
        self.spawn(self.threads.next(), async move {
            loop {
                // Every doubt is a revision, so it is seen here at once.
                let trust_at = links.trust();
                let due = async {
                    match trust_at {
                        Some(at) => tokio::time::sleep_until(at.into()).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    () = draining.cancelled() => return,
                    () = due => {}
                    changed = revisions.changed() => match changed {
                        Ok(()) => {
                            shared.wake_all();
                            let snapshot = links.snapshot();
                            for upstreams in &upstreams {
                                upstreams.retain_sessions(|port| snapshot.has_debug_port(port));
                            }
                        }
                        Err(_) => return,
                    },
                }
            }
        });
    }

    fn spawn(&self, on: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        let _enter = on.enter();
        self.lifetime.spawn(task);
    }

    /// Serves the face of one binding on a new unix socket: what workerd's `external` with `capnpConnectHost`
    /// speaks. `capnp_host` and `cf_header` are those in the caller's configuration.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn serve_link(
        self: &Arc<Self>,
        path: &Path,
        link: LinkName,
        capnp_host: String,
        cf_header: HeaderName,
    ) -> io::Result<Face> {
        let route = Routes(Arc::new(LinkRoute::new(self.shared.clone(), link.clone(), Door::Entrypoint)));
        let name = link.to_string();
        let config = FaceConfig { link: name.clone(), capnp_host, cf_header };
        let (handle, upstreams) = self.thread();
        let (shared, lifetime) = (self.shared.clone(), self.lifetime.clone());
        let capnp =
            move |caller: super::http::CapnpSocket| match Plug::new(caller.socket, caller.read.to_vec()) {
                Ok(plug) => lifetime.spawn(shared.serve_link(link.clone(), plug)),
                Err(error) => tracing::warn!(%link, %error, "a caller could not be served"),
            };
        let face = HttpFace::new(config, route, upstreams.clone(), self.lifetime.clone(), capnp);
        self.listen(handle, path, name, move |socket| match UnixStream::from_std(socket) {
            Ok(socket) => face.accept(socket),
            Err(error) => tracing::warn!(%error, "a caller could not be served"),
        })
    }

    /// The thread of the next face. A face's callers stay on the thread that accepts them: they are one process, which
    /// has but one thread itself, and a connection that changed threads would cost two more wake-ups.
    pub(super) fn thread(&self) -> &(Handle, Upstreams) {
        let index = self.faces.fetch_add(1, Relaxed) % self.upstreams.len().max(1);
        self.upstreams.get(index).unwrap_or_else(|| unreachable!("there is at least one thread"))
    }

    /// Serves the debug-port face of one calling session on a new unix socket. The services that it knows are the
    /// session's links.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn serve_port(self: &Arc<Self>, path: &Path, session: SessionName) -> io::Result<Face> {
        let (shared, lifetime) = (self.shared.clone(), self.lifetime.clone());
        let (handle, _) = self.thread();
        self.listen(handle, path, session.to_string(), move |socket| match Plug::new(socket, Vec::new()) {
            Ok(plug) => lifetime.spawn(shared.serve_port(session.clone(), plug)),
            Err(error) => tracing::warn!(%session, %error, "a caller could not be served"),
        })
    }

    /// Serves the debug port that stands for one link in the registry of a session that joined, on a new unix socket.
    /// Its services are [`DEFAULT_SERVICE`](super::switch::DEFAULT_SERVICE) and
    /// [`NAMED_SERVICE`](super::switch::NAMED_SERVICE), and those others of the target's that it offers.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn serve_entry(self: &Arc<Self>, path: &Path, link: LinkName) -> io::Result<Face> {
        let (shared, lifetime) = (self.shared.clone(), self.lifetime.clone());
        let (handle, _) = self.thread();
        self.listen(handle, path, link.to_string(), move |socket| match Plug::new(socket, Vec::new()) {
            Ok(plug) => lifetime.spawn(shared.serve_entry(link.clone(), plug)),
            Err(error) => tracing::warn!(%link, %error, "a caller could not be served"),
        })
    }

    /// Serves a debug port whose services are the sessions, on a new unix socket: for the user's own tools, which may
    /// say what no worker may, such as props.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn serve_sessions(self: &Arc<Self>, path: &Path) -> io::Result<Face> {
        let (shared, lifetime) = (self.shared.clone(), self.lifetime.clone());
        let (handle, _) = self.thread();
        self.listen(handle, path, "tools".to_owned(), move |socket| match Plug::new(socket, Vec::new()) {
            Ok(plug) => lifetime.spawn(shared.serve_sessions(plug)),
            Err(error) => tracing::warn!(%error, "a tool could not be served"),
        })
    }

    /// Accepts callers until the face is dropped or the router drains. The socket's file goes with it.
    pub(super) fn listen(
        &self,
        on: &Handle,
        path: &Path,
        name: String,
        mut serve: impl FnMut(std::os::unix::net::UnixStream) + Send + 'static,
    ) -> io::Result<Face> {
        let _enter = on.enter();
        let listener = listen(path)?;
        let path = path.to_owned();
        let accepting = async move {
            loop {
                serve(accept(&listener, &name).await);
            }
        };
        Ok(self.until_stopped(accepting, move || drop(std::fs::remove_file(&path))))
    }

    /// Runs `accepting` on the current runtime until the face is dropped or the router drains, and `gone` after it.
    pub(super) fn until_stopped(
        &self,
        accepting: impl Future<Output = Infallible> + Send + 'static,
        gone: impl FnOnce() + Send + 'static,
    ) -> Face {
        let stop = CancellationToken::new();
        let (stopped, draining) = (stop.clone(), self.lifetime.draining().clone());
        self.lifetime.spawn(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => {}
                () = draining.cancelled() => {}
                never = accepting => match never {},
            }
            gone();
        });
        Face { stop }
    }

    /// Stops: no new callers, events in flight may end within `grace`, then everything is dropped.
    ///
    /// # Cancellation
    /// Dropping the future leaves the router draining.
    pub async fn stop(&self, grace: Duration) {
        self.lifetime.drain();
        self.shared.drain();
        if tokio::time::timeout(grace, self.lifetime.ended()).await.is_err() {
            self.lifetime.kill();
            self.lifetime.ended().await;
        }
        self.shared.empty_pool();
        self.handlers.kill();
        self.handlers.ended().await;
    }

    /// Stops without waiting for events.
    pub fn kill(&self) {
        self.lifetime.kill();
        self.handlers.kill();
    }
}

impl Barrier for Router {
    fn passed(&self, _revision: Revision) -> BoxFuture<'_, ()> {
        Box::pin(self.threads.pass())
    }
}

impl Leases for Router {
    fn cut(&self, link: &LinkName, before: Revision) {
        self.shared.cut(link, before);
    }

    fn returned(&self, link: &LinkName, before: Revision) -> BoxFuture<'_, ()> {
        let (shared, link) = (self.shared.clone(), link.clone());
        Box::pin(async move { shared.returned(&link, before).await })
    }
}

impl Drain for Router {
    fn drained(&self, generation: &Arc<Generation>) -> BoxFuture<'static, ()> {
        let (shared, generation) = (self.shared.clone(), generation.clone());
        Box::pin(async move { shared.drained(&generation.session, generation.number).await })
    }

    fn answered(&self, generation: &Arc<Generation>) -> BoxFuture<'static, ()> {
        let (shared, generation) = (self.shared.clone(), generation.clone());
        Box::pin(async move { shared.answered(&generation.session, generation.number).await })
    }

    fn hang_up(&self, generation: &Arc<Generation>) {
        self.shared.hang_up(&generation.session, generation.number);
    }

    fn in_flight(&self, generation: &Arc<Generation>) -> InFlight {
        self.shared.in_flight(&generation.session, Some(generation.number))
    }
}
