//! The workers of these tests: callers that are told what to do, and two targets that say who they are.

use std::future::Future;

use jackfield::router::switch::Settings;
use serde::Deserialize;

use crate::support::rig::Rig;

const PROJECT: &str = r##"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
services = { API = "api@blue" }
actors = { ROOMS = "api@blue#Room" }
[sessions.other]
script = "web.js"
compatibility_date = "2026-11-01"
services = { API = "api@blue" }
[sessions."api@blue"]
script = "blue.js"
compatibility_date = "2026-11-01"
[sessions."api@blue".durable_objects]
Room = "ephemeral"
[sessions."api@green"]
script = "green.js"
compatibility_date = "2026-11-01"
[sessions."api@green".durable_objects]
Room = "ephemeral"
"##;

pub const WEB: &str = include_str!("workers/web.js");
pub const API: &str = include_str!("workers/api.js");

/// `web` and `other` → `api@blue`, with `api@green` beside it.
pub async fn cast() -> Rig {
    with(Settings::default()).await
}

/// The same, where no target has an HTTP socket that the router knows of.
pub async fn converting() -> Rig {
    let (blue, green) = (API.replace("NAME", "blue"), API.replace("NAME", "green"));
    Rig::converting(PROJECT, &[("web.js", WEB), ("blue.js", &blue), ("green.js", &green)]).await
}

/// Tests that hold whether the router passes HTTP on or converts it.
macro_rules! either_way {
    ($($name:ident,)*) => {
        mod over_http {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::switch::cast::cast().await).await;
            })*
        }
        mod converted {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::switch::cast::converting().await).await;
            })*
        }
    };
}
pub(super) use either_way;

pub async fn with(settings: Settings) -> Rig {
    let (blue, green) = (API.replace("NAME", "blue"), API.replace("NAME", "green"));
    Rig::with(PROJECT, &[("web.js", WEB), ("blue.js", &blue), ("green.js", &green)], settings).await
}

/// What a target says of itself, asked past the router.
#[derive(Debug, Deserialize)]
pub struct State {
    pub seen: Vec<String>,
    pub hanging: usize,
}

pub async fn state(rig: &Rig, session: &str) -> State {
    serde_json::from_str(&rig.get(session, "/state").await).unwrap()
}

/// Waits for a state of a target.
pub async fn until(rig: &Rig, session: &str, what: &str, mut reached: impl FnMut(&State) -> bool) {
    let wait = async {
        while !reached(&state(rig, session).await) {
            tokio::task::yield_now().await;
        }
    };
    soon(what, wait).await;
}

/// Awaits what must not take long.
///
/// # Panics
/// If it does.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let limit = crate::support::sessions::DEADLINE;
    tokio::time::timeout(limit, future).await.unwrap_or_else(|_| panic!("{what}: not in time"))
}
