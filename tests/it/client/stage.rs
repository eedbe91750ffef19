//! A real workerd and a session with it: over its own debug port, or over the router's for a session that links to it.

use jackfield::client::{Address, Body, Entrypoint, Session};
use jackfield::session::Sessions;

pub use crate::handle::far::soon;
use crate::support::rig::Rig;
use crate::support::sessions::Bench;

const PROJECT: &str = r#"
[sessions.api]
script = "api.js"
compatibility_date = "2026-11-01"
compatibility_flags = ["enable_request_signal"]
"#;

const CALLER: &str = r#"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
services = { API = "api" }
"#;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Direct,
    ThroughRouter,
}

/// Tests that hold on either [`Way`].
macro_rules! either_way {
    ($($name:ident,)*) => {
        mod direct {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::client::stage::Way::Direct).await;
            })*
        }
        mod through_the_router {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::client::stage::Way::ThroughRouter).await;
            })*
        }
    };
}
pub(super) use either_way;

pub struct Stage {
    pub session: Session,
    way: Way,
    /// Dropped with what it serves.
    _runs: Box<dyn Send + Sync>,
}

impl Way {
    /// A session `api` with this script.
    pub async fn start(self, script: &str) -> Stage {
        let (socket, runs): (_, Box<dyn Send + Sync>) = match self {
            Way::Direct => {
                let bench = Bench::new(PROJECT, &[("api.js", script)]);
                let sessions = bench.start().await.unwrap();
                let socket = bench.up("api", 1).await.debug_port.path().unwrap().to_owned();
                (socket, Box::new((bench, sessions)) as Box<(Bench, Sessions)>)
            }
            Way::ThroughRouter => {
                let project = [PROJECT, CALLER].concat();
                let files = [("api.js", script), ("web.js", "export default {}")];
                let rig = Rig::start(&project, &files).await;
                (rig.runtime.debug_face(&"web".parse().unwrap()), Box::new(rig))
            }
        };
        let session = Session::connect(&Address::Unix(socket)).await.unwrap();
        Stage { session, way: self, _runs: runs }
    }
}

impl Stage {
    /// A session `api` with this script, over its own debug port.
    pub async fn start(script: &str) -> Self {
        Way::Direct.start(script).await
    }

    /// What the script exports.
    pub fn entrypoint(&self, name: Option<&str>) -> Entrypoint {
        let service = if self.way == Way::Direct { "api" } else { "API" };
        self.session.entrypoint(service, name, None)
    }

    /// Its default export.
    pub fn api(&self) -> Entrypoint {
        self.entrypoint(None)
    }
}

/// A GET of a URL.
pub fn get(url: &str) -> http::Request<Body> {
    http::Request::get(url).body(Body::empty()).unwrap()
}
