//! A real workerd and a session with it.

use jackfield::client::{Address, Body, Session};
use jackfield::session::Sessions;

pub use crate::handle::far::soon;
use crate::support::sessions::Bench;

const PROJECT: &str = r#"
[sessions.api]
script = "api.js"
compatibility_date = "2026-11-01"
compatibility_flags = ["enable_request_signal"]
"#;

pub struct Stage {
    pub session: Session,
    _bench: Bench,
    _sessions: Sessions,
}

impl Stage {
    /// A session `api` with this script.
    pub async fn start(script: &str) -> Self {
        let bench = Bench::new(PROJECT, &[("api.js", script)]);
        let sessions = bench.start().await.unwrap();
        let socket = bench.up("api", 1).await.debug_socket.clone();
        let session = Session::connect(&Address::Unix(socket)).await.unwrap();
        Stage { session, _bench: bench, _sessions: sessions }
    }
}

/// A GET of a URL.
pub fn get(url: &str) -> http::Request<Body> {
    http::Request::get(url).body(Body::empty()).unwrap()
}
