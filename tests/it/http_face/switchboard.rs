//! A route that tests can turn, and a face on it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jackfield::net::{Endpoint, Lifetime};
use jackfield::router::http::{
    Asked, Broken, CapnpSocket, EventKind, EventMeta, FaceConfig, HttpFace, Lease, Route, RouteError, Routed,
    Speaks, Upstream, Upstreams,
};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::pair::{CALLER_CF, Outcome, TARGET_CF};

/// What the route says to the next event.
#[derive(Clone)]
pub enum Way {
    /// Wait for another answer.
    Park,
    To(Endpoint),
    /// To the default export of the service `target` behind a debug port.
    Convert(Endpoint),
    Refuse(RouteError),
}

/// Turns the route and counts what went over it.
#[derive(Clone)]
pub struct Switchboard {
    way: watch::Sender<Way>,
    cut: Arc<Mutex<CancellationToken>>,
    pub counts: Arc<Counts>,
}

#[derive(Default)]
pub struct Counts {
    pub begun: AtomicUsize,
    pub refused: AtomicUsize,
    pub leases: AtomicUsize,
    pub broken: AtomicUsize,
    pub kinds: Mutex<Vec<EventKind>>,
}

impl Switchboard {
    pub fn new(way: Way) -> Self {
        Self { way: watch::Sender::new(way), cut: Arc::default(), counts: Arc::default() }
    }

    pub fn to(socket: &Path) -> Self {
        Self::new(Way::To(socket.into()))
    }

    pub fn turn(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Breaks the events in flight.
    pub fn cut(&self) {
        std::mem::take(&mut *self.cut.lock().expect("no test panics with it")).cancel();
    }

    /// Leases that are out.
    pub fn leases(&self) -> usize {
        self.counts.leases.load(Ordering::SeqCst)
    }
}

struct Claim {
    cut: CancellationToken,
    counts: Arc<Counts>,
}

impl Lease for Claim {
    fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    fn broken(&self, _why: &str) -> Broken {
        self.counts.broken.fetch_add(1, Ordering::SeqCst);
        Broken::Process
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.counts.leases.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Route for Switchboard {
    async fn begin(&self, event: &EventMeta<'_>) -> Result<Routed, RouteError> {
        let counts = &self.counts;
        match event.refused {
            None => {
                counts.begun.fetch_add(1, Ordering::SeqCst);
                counts.kinds.lock().expect("no test panics with it").push(event.kind);
            }
            Some(_) => drop(counts.refused.fetch_add(1, Ordering::SeqCst)),
        }
        let refused = event.refused.map(|refusal| refusal.upstream.socket.clone());
        let mut way = self.way.subscribe();
        let way = way.wait_for(|way| match way {
            Way::Park => false,
            Way::To(socket) | Way::Convert(socket) => refused.as_ref() != Some(socket),
            Way::Refuse(_) => true,
        });
        let way = way.await.map_err(|_| RouteError::Unavailable("the test is over".to_owned()))?.clone();
        match way {
            Way::To(_) | Way::Convert(_) => {
                counts.leases.fetch_add(1, Ordering::SeqCst);
                let cut = self.cut.lock().expect("no test panics with it").clone();
                let (socket, speaks) = match way {
                    Way::Convert(socket) => {
                        let asked = Asked { service: "target".into(), entrypoint: None, props: None };
                        (socket, Speaks::Capnp(Arc::new(asked)))
                    }
                    Way::To(socket) => (
                        socket,
                        Speaks::Http {
                            cf_header: TARGET_CF.parse().expect("a header name"),
                            is_front: false,
                        },
                    ),
                    Way::Park | Way::Refuse(_) => unreachable!("matched above"),
                };
                let upstream = Upstream { socket, speaks, label: "api".into() };
                Ok(Routed { upstream, lease: Arc::new(Claim { cut, counts: counts.clone() }) })
            }
            Way::Refuse(error) => Err(error),
            Way::Park => Err(RouteError::Unavailable("not waited for".to_owned())),
        }
    }
}

/// A face that is listening, killed when dropped.
pub struct Face {
    pub lifetime: Lifetime,
    pub upstreams: Upstreams,
    pub capnp: mpsc::UnboundedReceiver<CapnpSocket>,
}

impl Face {
    pub fn listen(path: &Path, route: Switchboard) -> Outcome<Self> {
        let lifetime = Lifetime::new();
        let upstreams = Upstreams::new(lifetime.clone());
        #[expect(clippy::disallowed_methods, reason = "a handful of connections, all of this test's making")]
        let (handed, capnp) = mpsc::unbounded_channel();
        let config = FaceConfig {
            link: "web/API".to_owned(),
            capnp_host: "link".to_owned(),
            cf_header: CALLER_CF.parse()?,
        };
        let face = HttpFace::new(config, route, upstreams.clone(), lifetime.clone(), move |socket| {
            drop(handed.send(socket));
        });
        face.listen(UnixListener::bind(path)?);
        Ok(Self { lifetime, upstreams, capnp })
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        self.lifetime.kill();
    }
}
