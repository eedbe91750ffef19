//! workerd's configuration for sessions, as the binary message that `serve --binary` takes.
//!
//! | service | what it is |
//! | --- | --- |
//! | the session's name | the user's worker |
//! | `jackfield:link:SESSION/BINDING` | an external that leads to the link's face |
//! | `jackfield:actor:SESSION/BINDING` | a stand-in for the class behind an actor link (see `workers/actor-proxy`) |
//! | `jackfield:state` | the folder of stored objects |
//! | `jackfield:fire` | what sends the worker schedules and queue messages (see `workers/fire`) |
//! | `jackfield:post` | what brings its messages to queues that others consume (see `workers/post`) |
//! | `queues:queue:QUEUE` | where others send what it consumes |
//! | `internet` | what `fetch` of the user's worker reaches |

mod graft;
mod queues;
mod slots;
mod worker;

use std::path::{Path, PathBuf};

use super::name::SessionName;
use super::project::SessionSpec;
use crate::schema::workerd_config_capnp::{config, external_server, http_options, service, socket};
pub(in crate::session) use graft::{add_modules, move_disks};
use slots::{Slots, size};
pub(in crate::session) use worker::build_flags;

const STATE: &str = "jackfield:state";
const INTERNET: &str = "internet";

/// The service that sends schedules and queue messages. Only a process that serves has it, for its one session.
pub const FIRE: &str = "jackfield:fire";

/// The name under which workerd reports the socket of [`Wiring::front_socket`].
pub const FRONT: &str = "front";

/// Where a generation listens and whom it calls.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// One socket for each entrypoint; `None` is the default export.
    pub http_sockets: Vec<(Option<String>, PathBuf)>,
    /// The faces of the service links, by binding.
    pub link_faces: Vec<(String, PathBuf)>,
    /// The debug-port face of this session, behind which its actor links lie.
    pub debug_face: PathBuf,
    /// The header that carries `cf`, in and out.
    pub cf_header: String,
    /// Where what comes from outside reaches the default export.
    pub front_socket: Option<PathBuf>,
    /// Where stored objects lie; `None` keeps them in memory.
    pub state_folder: Option<PathBuf>,
    /// Where a compiled configuration writes in a trial, instead of on its own disks; `None`: it serves.
    pub trial_folder: Option<PathBuf>,
}

/// The host of the CONNECT with which a link's RPC begins. Without a port, so that no `connect()` of JavaScript, which
/// must name one, can be taken for it. workerd loses the connection, without a word, over a host with `/` or `%`, so
/// the parts of the link's name are joined by a character that a host may have and a name may not.
pub fn connect_host(session: &SessionName, binding: &str) -> String {
    format!("{session}!{binding}")
}

/// The name under which workerd reports a socket on its control descriptor.
pub fn socket_name(entrypoint: Option<&str>) -> String {
    match entrypoint {
        None => "default export".to_owned(),
        Some(entrypoint) => format!("entrypoint {entrypoint}"),
    }
}

/// Builds the message for one session.
pub fn build(spec: &SessionSpec, wiring: &Wiring) -> capnp::Result<Vec<u8>> {
    let ours = build_all(&[(spec, wiring)])?;
    let Some(compiled) = &spec.compiled else { return Ok(ours) };
    graft::graft(compiled, &ours, wiring.trial_folder.as_deref())
        .map_err(|error| capnp::Error::failed(format!("the compiled configuration cannot be used: {error}")))
}

/// Builds the message for sessions that share one process; of one that was compiled, what is added to that.
pub(super) fn build_all(sessions: &[(&SessionSpec, &Wiring)]) -> capnp::Result<Vec<u8>> {
    let mut message = capnp::message::Builder::new_default();
    let mut root = message.init_root::<config::Builder<'_>>();
    let stores = |(spec, wiring): &(&SessionSpec, &Wiring)| {
        spec.compiled.is_none() && spec.stores_objects() && wiring.state_folder.is_some()
    };
    let services_of = |session: &(&SessionSpec, &Wiring)| {
        1 + session.1.link_faces.len()
            + session.0.actors.len()
            + usize::from(stores(session))
            + usize::from(has_fire(session.0, session.1))
            + queues::count(session.0, session.1)
    };
    if sessions.iter().any(|(_, wiring)| serves(wiring)) {
        // So that levels are told, and what workers write from what workerd says.
        root.reborrow().init_logging().set_structured_logging(true);
    }
    let count = 1 + sessions.iter().map(services_of).sum::<usize>();
    let mut services = Slots::new(root.reborrow().init_services(size(count)?));
    internet(services.next()?)?;
    for session in sessions {
        add_services(session.0, session.1, stores(session), &mut services)?;
    }
    let sockets_of = |wiring: &Wiring| wiring.http_sockets.len() + usize::from(wiring.front_socket.is_some());
    let count = sessions.iter().map(|(_, wiring)| sockets_of(wiring)).sum();
    let mut sockets = Slots::new(root.init_sockets(size(count)?));
    for (spec, wiring) in sessions {
        add_sockets(spec, wiring, &mut sockets)?;
    }
    Ok(capnp::serialize::write_message_to_words(&message))
}

/// Whether it is no trial.
fn serves(wiring: &Wiring) -> bool {
    wiring.front_socket.is_some()
}

/// A trial fires nothing, and static files take no such events.
fn has_fire(spec: &SessionSpec, wiring: &Wiring) -> bool {
    serves(wiring) && spec.has_script()
}

fn add_services(
    spec: &SessionSpec,
    wiring: &Wiring,
    stored: bool,
    services: &mut Slots<'_, service::Owned>,
) -> capnp::Result<()> {
    let mut own = services.next()?;
    own.set_name(spec.service());
    worker::user_worker(spec, stored, own.init_worker())?;
    for (binding, face) in &wiring.link_faces {
        let mut link = services.next()?;
        link.set_name(link_service(&spec.name, binding));
        link_external(spec, binding, face, &wiring.cf_header, link.init_external());
    }
    for link in &spec.actors {
        let mut proxy = services.next()?;
        proxy.set_name(actor_service(&spec.name, &link.binding));
        worker::actor_proxy(link, &wiring.debug_face, proxy.init_worker())?;
    }
    if has_fire(spec, wiring) {
        let mut fire = services.next()?;
        fire.set_name(FIRE);
        worker::fire(spec, fire.init_worker())?;
    }
    queues::add(spec, wiring, services)?;
    if let (true, Some(folder)) = (stored, &wiring.state_folder) {
        let mut disk = services.next()?;
        disk.set_name(STATE);
        let mut disk = disk.init_disk();
        disk.set_path(utf8(folder)?);
        disk.set_writable(true);
    }
    Ok(())
}

fn add_sockets(
    spec: &SessionSpec,
    wiring: &Wiring,
    sockets: &mut Slots<'_, socket::Owned>,
) -> capnp::Result<()> {
    for (entrypoint, path) in &wiring.http_sockets {
        http_socket(spec, entrypoint.as_deref(), path, &wiring.cf_header, sockets.next()?)?;
    }
    if let Some(front) = &wiring.front_socket {
        // Browsers and curl speak ordinary HTTP. What `cf` is the router says.
        let mut socket = sockets.next()?;
        socket.set_name(FRONT);
        utf8(front)?;
        socket.set_address(address(front));
        socket.reborrow().init_service().set_name(spec.front());
        socket.init_http().set_cf_blob_header(&wiring.cf_header);
    }
    Ok(())
}

/// A dev session calls servers on its own machine as often as public ones; workerd's default allows only the latter.
fn internet(mut service: service::Builder<'_>) -> capnp::Result<()> {
    service.set_name(INTERNET);
    let mut network = service.init_network();
    let mut allow = network.reborrow().init_allow(2);
    allow.set(0, "public");
    allow.set(1, "private");
    network.init_tls_options().set_trust_browser_cas(true);
    Ok(())
}

fn link_external(
    spec: &SessionSpec,
    binding: &str,
    face: &Path,
    cf_header: &str,
    mut external: external_server::Builder<'_>,
) {
    external.set_address(address(face));
    let mut http = external.init_http();
    keep_requests_whole(http.reborrow(), cf_header);
    http.set_capnp_connect_host(connect_host(&spec.name, binding));
}

/// The whole URL on the request line and `cf` in a header: without either, scheme and `cf` would name this hop.
fn keep_requests_whole(mut http: http_options::Builder<'_>, cf_header: &str) {
    http.set_style(http_options::Style::Proxy);
    http.set_cf_blob_header(cf_header);
}

fn http_socket(
    spec: &SessionSpec,
    entrypoint: Option<&str>,
    path: &Path,
    cf_header: &str,
    mut socket: socket::Builder<'_>,
) -> capnp::Result<()> {
    socket.set_name(socket_name(entrypoint));
    utf8(path)?;
    socket.set_address(address(path));
    let mut service = socket.reborrow().init_service();
    match entrypoint {
        None => service.set_name(spec.front()),
        Some(entrypoint) => {
            service.set_name(spec.service());
            service.set_entrypoint(entrypoint);
        }
    }
    keep_requests_whole(socket.init_http(), cf_header);
    Ok(())
}

fn link_service(session: &SessionName, binding: &str) -> String {
    format!("jackfield:link:{session}/{binding}")
}

fn actor_service(session: &SessionName, binding: &str) -> String {
    format!("jackfield:actor:{session}/{binding}")
}

/// How workerd names a unix socket.
pub fn address(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn utf8(path: &Path) -> capnp::Result<&str> {
    path.to_str().ok_or_else(|| capnp::Error::failed(format!("the path {} is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_host_is_an_authority_without_a_port() {
        let host = connect_host(&"api@green".parse().unwrap(), "A$B_1");
        let authority: hyper::http::uri::Authority = host.parse().unwrap();
        assert_eq!((authority.as_str(), authority.port()), (host.as_str(), None));
    }
}
