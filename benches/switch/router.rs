//! The middle that is ours: a router with its faces, and the retargets that are timed inside it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::HeaderName;
use jackfield::router::switch::{FirstEvent, Settings};
use jackfield::router::{Change, Face, LinkName, Links, Router, Target};
use jackfield::session::{Generation, Services, SessionName, SessionSink, SessionState};
use serde_json::{Value, json};

/// The sockets of a router, and of the targets behind it, by their places in the folder of the run.
pub struct Sockets<'a>(pub &'a Path);

impl Sockets<'_> {
    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.sock"))
    }
}

/// The header for `cf` on every leg.
pub const CF_HEADER: &str = "x-cf";
/// The calling session.
const CALLER: &str = "web";
/// The link that stays, and the one that moves: binding, face, target.
const LINKS: [(&str, &str, &str); 2] = [("API", "switch-link", "blue"), ("MOVING", "switch-moving", "blue")];

/// The host that a caller of the link face names in its CONNECT.
pub fn connect_host(binding: &str) -> String {
    jackfield::session::config::connect_host(&session(CALLER), binding)
}

/// How long a retarget may wait for its first event before it counts as failed.
const FIRST_EVENT_WITHIN: Duration = Duration::from_secs(5);

fn session(name: &str) -> SessionName {
    name.parse().expect("a session's name")
}

pub struct Middle {
    links: Arc<Links>,
    router: Arc<Router>,
    _faces: Vec<Face>,
}

impl Middle {
    pub fn start(folder: &Path) -> io::Result<Self> {
        let links = Arc::new(Links::new());
        let define =
            |name| Change::DefineSession { session: session(name), classes: Vec::new(), exports: None };
        let mut changes: Vec<_> = [CALLER, "blue", "green"].map(define).into();
        for (binding, _, target) in LINKS {
            let target = Target::Entrypoint { session: session(target), entrypoint: None, props: None };
            changes.push(Change::DefineLink {
                link: LinkName::new(session(CALLER), binding),
                target,
                accepts_props: false,
            });
        }
        links.change(changes, None).map_err(io::Error::other)?;
        for name in ["blue", "green"] {
            let generation = Generation {
                session: session(name),
                number: 1,
                pid: 0,
                release: None,
                debug_port: Sockets(folder).at(&format!("{name}-port")).into(),
                services: Services::alike(name.to_owned()),
                front_socket: None,
                http_sockets: HashMap::from([(None, Sockets(folder).at(&format!("{name}-http")))]),
                cf_header: CF_HEADER.to_owned(),
            };
            links.publish(&session(name), SessionState::Up(Arc::new(generation)));
        }
        let router = Router::start(links.clone(), Settings::default())?;
        let mut faces = Vec::new();
        for (binding, face, _) in LINKS {
            let link = LinkName::new(session(CALLER), binding);
            let cf_header = HeaderName::from_static(CF_HEADER);
            let path = Sockets(folder).at(face);
            faces.push(router.serve_link(&path, link, connect_host(binding), cf_header)?);
        }
        faces.push(router.serve_port(&Sockets(folder).at("switch-port"), session(CALLER))?);
        Ok(Middle { links, router, _faces: faces })
    }

    /// Moves the link to and fro. The load that flows meanwhile comes from outside.
    pub fn retarget(&self, times: usize) -> Value {
        let shared = self.router.shared();
        let before = shared.counts();
        let (mut published, mut inside) = (Vec::new(), Vec::new());
        let mut without = 0;
        for turn in 0..times {
            let to = ["green", "blue"][turn % 2];
            let change = Change::Retarget {
                link: LinkName::new(session(CALLER), "MOVING"),
                to: to.parse().expect("a target"),
                props: None,
            };
            drop(shared.take_first_events());
            if self.links.change(vec![change], None).is_err() {
                without += 1;
                continue;
            }
            match self.first_event() {
                Some(first) => {
                    published.push(first.since_published.as_secs_f64() * 1e3);
                    inside.push(first.since_published.min(first.since_began).as_secs_f64() * 1e3);
                }
                None => without += 1,
            }
        }
        let after = shared.counts();
        json!({
            "published_ms": published,
            "inside_ms": inside,
            "without": without,
            "failed": after.failed - before.failed,
            "broken": after.broken - before.broken,
            "parked": after.parked - before.parked,
        })
    }

    /// The first event after the link had moved. Asked for rarely: the question must not
    /// take the processor from those who are measured.
    fn first_event(&self) -> Option<FirstEvent> {
        let asked = Instant::now();
        loop {
            std::thread::park_timeout(Duration::from_micros(500));
            if let Some(first) = self.router.shared().take_first_events().first() {
                return Some(*first);
            }
            if asked.elapsed() > FIRST_EVENT_WITHIN {
                return None;
            }
        }
    }
}
