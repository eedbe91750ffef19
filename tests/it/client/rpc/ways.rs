//! The two ways to a worker.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use jackfield::client::{ActorId, Address, Entrypoint, Session, Stub};
use jackfield::router::switch::Settings;
use jackfield::router::{Change, LinkName, Links, Router, Target};
use jackfield::session::{Generation, SessionName, SessionSink, SessionState, Sessions};
use jackfield::wire::v8::JsValue;
use serde_json::Value;

pub use crate::client::stage::soon;
use crate::support::sessions::Bench;

const PROJECT: &str = r#"
[sessions.api]
script = "api.js"
compatibility_date = "2026-11-01"
compatibility_flags = ["enable_request_signal"]
[sessions.api.durable_objects]
Room = { storage = "stored", unique_key = "the key", binding = "ROOMS" }
Draft = { storage = "ephemeral", binding = "DRAFTS" }
"#;

/// A worker, reached one way.
#[derive(Clone)]
pub struct Api {
    pub way: &'static str,
    pub session: Session,
    address: Address,
    main: Entrypoint,
    pub generation: Arc<Generation>,
}

impl Api {
    /// The default entrypoint. It is asked for once.
    pub fn main(&self) -> Entrypoint {
        self.main.clone()
    }

    /// The default entrypoint, over another connection.
    pub async fn apart(&self) -> Entrypoint {
        Session::connect(&self.address).await.unwrap().entrypoint(self.service(), None, None)
    }

    /// A Durable Object.
    pub fn actor(&self, class: &str, id: ActorId) -> Entrypoint {
        self.session.actor(self.service(), class, id)
    }

    /// An entrypoint with props.
    pub fn with_props(&self, name: Option<&str>, props: Value) -> Entrypoint {
        let service = if self.way == "direct" { "api" } else { "OPEN" };
        self.session.entrypoint(service, name, Some(props))
    }

    /// What the worker is called on this way.
    pub fn service(&self) -> &'static str {
        if self.way == "direct" { "api" } else { "API" }
    }

    /// What happened with a key, once there is so much of it.
    pub async fn journal(&self, key: &str, count: usize) -> Vec<String> {
        let main = self.main();
        let wait = async {
            loop {
                let told = main.call("journal", [key.into()]).await.unwrap();
                let told: Vec<String> = texts(&told);
                if told.len() >= count {
                    return told;
                }
                tokio::task::yield_now().await;
            }
        };
        soon(wait).await
    }
}

/// The stub that a value is.
pub fn stub(value: &JsValue) -> Stub {
    Stub::of(value).unwrap_or_else(|| panic!("{value:?} is no stub"))
}

/// The texts in an array.
pub fn texts(array: &JsValue) -> Vec<String> {
    (0..).map_while(|index| Some(array.at(index)?.as_str().unwrap_or("no text").to_owned())).collect()
}

/// Does the same both ways, and expects the same of it. Keys of the journal differ: they have the way in them.
pub async fn both<T, F, R>(act: F)
where
    F: Fn(Api) -> R,
    R: Future<Output = T>,
    T: PartialEq + Debug,
{
    let bench = Bench::new(PROJECT, &[("api.js", include_str!("worker.js"))]);
    let _sessions: Sessions = bench.start().await.unwrap();
    let generation = bench.up("api", 1).await;
    let address = Address::Unix(generation.debug_port.path().unwrap().to_owned());
    let session = Session::connect(&address).await.unwrap();
    let main = session.entrypoint("api", None, None);
    let direct = Api { way: "direct", session, address, main, generation: generation.clone() };

    let links = Arc::new(Links::new());
    let (caller, target): (SessionName, SessionName) = ("caller".parse().unwrap(), "api".parse().unwrap());
    let to = Target::Entrypoint { session: target.clone(), entrypoint: None, props: None };
    let changes = vec![
        Change::DefineSession { session: caller.clone(), classes: Vec::new(), exports: None },
        Change::DefineSession { session: target.clone(), classes: Vec::new(), exports: None },
        Change::DefineLink {
            link: LinkName::new(caller.clone(), "API"),
            target: to.clone(),
            accepts_props: false,
        },
        Change::DefineLink { link: LinkName::new(caller.clone(), "OPEN"), target: to, accepts_props: true },
    ];
    links.change(changes, None).unwrap();
    links.publish(&target, SessionState::Up(generation.clone()));
    let router = Router::start(links, Settings::default()).unwrap();
    let face = bench.folder.path().join("face");
    let _face = router.serve_port(&face, caller).unwrap();
    let address = Address::Unix(face);
    let session = Session::connect(&address).await.unwrap();
    let main = session.entrypoint("API", None, None);
    let routed = Api { way: "routed", session, address, main, generation };

    let expected = act(direct).await;
    let found = act(routed).await;
    assert_eq!(expected, found, "over the debug port and through the router");
}
