//! The switch itself as a middle: a router with links of one calling session to the one target.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::header::HeaderName;
use jackfield::router::switch::Settings;
use jackfield::router::{Change, Class, Face, LinkName, Links, Router, Target as LinkTarget};
use jackfield::session::project::Storage;
use jackfield::session::{Generation, Services, SessionName, SessionSink, SessionState};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::pair::{CF_HEADER, CONNECT_HOST, LINKS, Middle, Reach, Target, admin_props};

/// The links of actors, with the class behind each.
const ACTORS: [(&str, &str); 2] = [("room", "Room"), ("ephemeral", "Ephemeral")];

/// A router between the two, with a link face for each of [`LINKS`] and a debug-port face.
pub fn switched(target: &Target) -> Middle {
    let folder = tempfile::Builder::new().prefix("jf").tempdir().expect("a temporary folder");
    let links = Arc::new(Links::new());
    links.change(changes(), None).expect("links that fit together");
    links.publish(&target_name(), SessionState::Up(Arc::new(generation(target))));
    let router = Router::start(links, Settings::default()).expect("a router");
    let mut faces = Vec::new();
    let mut listen = |name: &'static str| {
        let path = folder.path().join(name);
        let cf_header = HeaderName::from_static(CF_HEADER);
        let face = router.serve_link(&path, link(name), CONNECT_HOST.to_owned(), cf_header);
        faces.push(face.expect("a link face"));
        (name, path)
    };
    let socket_of = LINKS.map(|(name, _)| listen(name)).into();
    let debug = folder.path().join("debug");
    faces.push(router.serve_port(&debug, caller_name()).expect("a debug-port face"));
    let reach = Reach { links: socket_of, debug, names: names() };
    // Dropped in this order: the faces go before the folder that their sockets are in.
    let keeps: (Vec<Face>, Arc<Router>, TempDir) = (faces, router, folder);
    Middle { reach, _keeps: Box::new(keeps) }
}

/// The names as the switch knows them: those of the links, which say entrypoint and props themselves.
fn names() -> Value {
    let services = LINKS.iter().map(|(name, _)| (name.to_string(), json!([name.to_uppercase()])));
    let actors = ACTORS.iter().map(|(name, class)| (name.to_string(), json!([name.to_uppercase(), class])));
    services.chain(actors).collect::<serde_json::Map<_, _>>().into()
}

fn changes() -> Vec<Change> {
    let storage = |class: &str| match class {
        "Ephemeral" => Storage::Ephemeral,
        _ => Storage::Stored { unique_key: "room".to_owned() },
    };
    let classes = ACTORS.map(|(_, class)| Class { name: class.to_owned(), storage: storage(class) });
    let mut changes = vec![
        Change::DefineSession { session: caller_name(), classes: Vec::new(), exports: None },
        Change::DefineSession { session: target_name(), classes: classes.into(), exports: None },
    ];
    changes.extend(LINKS.iter().map(|(name, entrypoint)| {
        let props = (*name == "admin").then(admin_props);
        let entrypoint = entrypoint.map(str::to_owned);
        let target = LinkTarget::Entrypoint { session: target_name(), entrypoint, props };
        Change::DefineLink { link: link(name), target, accepts_props: false }
    }));
    changes.extend(ACTORS.iter().map(|(name, class)| {
        let target = LinkTarget::ActorClass { session: target_name(), class: (*class).to_owned() };
        Change::DefineLink { link: link(name), target, accepts_props: false }
    }));
    changes
}

fn generation(target: &Target) -> Generation {
    let sockets = LINKS.map(|(name, entrypoint)| (entrypoint.map(str::to_owned), target.socket(name)));
    Generation {
        session: target_name(),
        number: 1,
        pid: 0,
        release: None,
        debug_port: target.0.debug_socket().into(),
        services: Services::alike(target_name().to_string()),
        http_sockets: HashMap::from(sockets),
        // Nothing comes from outside.
        front_socket: None,
        cf_header: CF_HEADER.to_owned(),
    }
}

fn link(name: &str) -> LinkName {
    LinkName::new(caller_name(), name.to_uppercase())
}

fn caller_name() -> SessionName {
    "caller".parse().expect("a session's name")
}

/// Also the name of the service in the target process.
fn target_name() -> SessionName {
    "target".parse().expect("a session's name")
}
