//! workerd's configuration for one session, as the binary message that `serve --binary` takes.
//!
//! | service | what it is |
//! | --- | --- |
//! | the session's name | the user's worker |
//! | `jackfield:link:BINDING` | an external that leads to the link's face |
//! | `jackfield:actor:BINDING` | a stand-in for the class behind an actor link (see `workers/actor-proxy`) |
//! | `jackfield:state` | the folder of stored objects |
//! | `internet` | what `fetch` of the user's worker reaches |

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use capnp::struct_list;
use capnp::traits::OwnedStruct;

use super::name::SessionName;
use super::project::{ActorLink, ModuleKind, SessionSpec, Storage, Var};
use crate::schema::workerd_config_capnp::{config, external_server, http_options, service, socket, worker};

/// The module text of the stand-in.
const ACTOR_PROXY: &str = include_str!("../../workers/actor-proxy/index.js");
/// The class it exports.
const ACTOR_PROXY_CLASS: &str = "ActorProxy";
/// The compatibility date of the stand-in: the newest that the pinned workerd and its near predecessors take.
const ACTOR_PROXY_DATE: &str = "2026-11-01";

const STATE: &str = "jackfield:state";
const INTERNET: &str = "internet";

/// The name under which workerd reports the socket of [`Wiring::listen`].
pub const LISTEN: &str = "listen";

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
    /// Where people reach the default export, if they do.
    pub listen: Option<SocketAddr>,
    /// Where stored objects lie; `None` keeps them in memory, for a trial.
    pub state_folder: Option<PathBuf>,
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

/// Builds the message.
pub fn build(spec: &SessionSpec, wiring: &Wiring) -> capnp::Result<Vec<u8>> {
    let mut message = capnp::message::Builder::new_default();
    let mut root = message.init_root::<config::Builder<'_>>();
    let stored = spec.stores_objects() && wiring.state_folder.is_some();
    let count = 2 + wiring.link_faces.len() + spec.actors.len() + usize::from(stored);
    let mut services = Slots::new(root.reborrow().init_services(size(count)?));

    let mut own = services.next()?;
    own.set_name(spec.name.to_string());
    user_worker(spec, stored, own.init_worker())?;
    internet(services.next()?)?;
    for (binding, face) in &wiring.link_faces {
        let mut link = services.next()?;
        link.set_name(link_service(binding));
        link_external(spec, binding, face, &wiring.cf_header, link.init_external());
    }
    for link in &spec.actors {
        let mut proxy = services.next()?;
        proxy.set_name(actor_service(&link.binding));
        actor_proxy(link, &wiring.debug_face, proxy.init_worker())?;
    }
    if let (true, Some(folder)) = (stored, &wiring.state_folder) {
        let mut disk = services.next()?;
        disk.set_name(STATE);
        let mut disk = disk.init_disk();
        disk.set_path(utf8(folder)?);
        disk.set_writable(true);
    }

    let count = wiring.http_sockets.len() + usize::from(wiring.listen.is_some());
    let mut sockets = root.init_sockets(size(count)?);
    for (index, (entrypoint, path)) in wiring.http_sockets.iter().enumerate() {
        let socket = sockets.reborrow().get(size(index)?);
        http_socket(spec, entrypoint.as_deref(), path, &wiring.cf_header, socket)?;
    }
    if let Some(listen) = wiring.listen {
        // Browsers and curl speak ordinary HTTP, and must not say what `cf` is.
        let mut socket = sockets.get(size(wiring.http_sockets.len())?);
        socket.set_name(LISTEN);
        socket.set_address(listen.to_string());
        socket.reborrow().init_service().set_name(spec.name.to_string());
        socket.init_http();
    }
    Ok(capnp::serialize::write_message_to_words(&message))
}

fn user_worker(spec: &SessionSpec, stored: bool, mut worker: worker::Builder<'_>) -> capnp::Result<()> {
    worker.set_compatibility_date(&spec.compatibility_date);
    let mut flags = worker.reborrow().init_compatibility_flags(size(spec.compatibility_flags.len())?);
    for (index, flag) in spec.compatibility_flags.iter().enumerate() {
        flags.set(size(index)?, flag);
    }
    let mut modules = worker.reborrow().init_modules(size(spec.modules.len())?);
    for (index, source) in spec.modules.iter().enumerate() {
        set_module(source, modules.reborrow().get(size(index)?))?;
    }
    let mut namespaces = worker.reborrow().init_durable_object_namespaces(size(spec.classes.len())?);
    for (index, class) in spec.classes.iter().enumerate() {
        let mut namespace = namespaces.reborrow().get(size(index)?);
        namespace.set_class_name(&class.class);
        namespace.set_enable_sql(matches!(class.storage, Storage::Stored { .. }));
        set_key(&class.storage, namespace);
    }
    let mut storage = worker.reborrow().init_durable_object_storage();
    match (stored, spec.classes.is_empty()) {
        (true, _) => storage.set_local_disk(STATE),
        (false, false) => storage.set_in_memory(()),
        (false, true) => storage.set_none(()),
    }
    bindings(spec, worker)
}

fn bindings(spec: &SessionSpec, worker: worker::Builder<'_>) -> capnp::Result<()> {
    let own = spec.classes.iter().filter_map(|class| Some((class.binding.as_ref()?, class)));
    let count = spec.vars.len() + spec.services.len() + spec.actors.len() + own.clone().count();
    let mut bindings = Slots::new(worker.init_bindings(size(count)?));
    for (name, var) in &spec.vars {
        let mut binding = named(&mut bindings, name)?;
        match var {
            Var::Text(text) => binding.set_text(text),
            Var::Json(value) => binding.set_json(value.to_string()),
        }
    }
    for link in &spec.services {
        named(&mut bindings, &link.binding)?.init_service().set_name(link_service(&link.binding));
    }
    for link in &spec.actors {
        let mut namespace = named(&mut bindings, &link.binding)?.init_durable_object_namespace();
        namespace.set_class_name(ACTOR_PROXY_CLASS);
        namespace.set_service_name(actor_service(&link.binding));
    }
    for (name, class) in own {
        named(&mut bindings, name)?.init_durable_object_namespace().set_class_name(&class.class);
    }
    Ok(())
}

fn set_module(source: &super::project::Module, mut module: worker::module::Builder<'_>) -> capnp::Result<()> {
    module.set_name(&source.name);
    let text = || {
        std::str::from_utf8(&source.content)
            .map_err(|_| capnp::Error::failed(format!("module {} is not UTF-8 text", source.name)))
    };
    match source.kind {
        ModuleKind::EsModule => module.set_es_module(text()?),
        ModuleKind::Text => module.set_text(text()?),
        ModuleKind::Json => module.set_json(text()?),
        ModuleKind::Wasm => module.set_wasm(&source.content),
        ModuleKind::Data => module.set_data(&source.content),
    }
    Ok(())
}

fn set_key(storage: &Storage, mut namespace: worker::durable_object_namespace::Builder<'_>) {
    match storage {
        Storage::Stored { unique_key } => namespace.set_unique_key(unique_key),
        Storage::Ephemeral => namespace.set_ephemeral_local(()),
    }
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

/// The ids that this namespace makes must be those of the class behind the link, hence the same key. Nothing is stored
/// here.
fn actor_proxy(link: &ActorLink, debug_face: &Path, mut worker: worker::Builder<'_>) -> capnp::Result<()> {
    let mut module = worker.reborrow().init_modules(1).get(0);
    module.set_name("actor-proxy.js");
    module.set_es_module(ACTOR_PROXY);
    worker.set_compatibility_date(ACTOR_PROXY_DATE);
    worker.reborrow().init_durable_object_storage().set_in_memory(());
    let mut namespace = worker.reborrow().init_durable_object_namespaces(1).get(0);
    namespace.set_class_name(ACTOR_PROXY_CLASS);
    set_key(&link.storage, namespace);
    let mut bindings = Slots::new(worker.init_bindings(4));
    named(&mut bindings, "PORT")?.set_workerd_debug_port(());
    named(&mut bindings, "ADDRESS")?.set_text(address(debug_face));
    named(&mut bindings, "LINK")?.set_text(&link.binding);
    named(&mut bindings, "CLASS")?.set_text(&link.class);
    Ok(())
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
    service.set_name(spec.name.to_string());
    if let Some(entrypoint) = entrypoint {
        service.set_entrypoint(entrypoint);
    }
    keep_requests_whole(socket.init_http(), cf_header);
    Ok(())
}

fn link_service(binding: &str) -> String {
    format!("jackfield:link:{binding}")
}

fn actor_service(binding: &str) -> String {
    format!("jackfield:actor:{binding}")
}

/// How workerd names a unix socket.
pub fn address(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn utf8(path: &Path) -> capnp::Result<&str> {
    path.to_str().ok_or_else(|| capnp::Error::failed(format!("the path {} is not UTF-8", path.display())))
}

/// The entries of a list whose length was counted beforehand, one after the other.
struct Slots<'a, T: OwnedStruct> {
    list: struct_list::Builder<'a, T>,
    next: u32,
}

impl<'a, T: OwnedStruct> Slots<'a, T> {
    fn new(list: struct_list::Builder<'a, T>) -> Self {
        Self { list, next: 0 }
    }

    fn next(&mut self) -> capnp::Result<T::Builder<'_>> {
        let slot = self.list.reborrow().try_get(self.next);
        self.next += 1;
        slot.ok_or_else(|| capnp::Error::failed("a list was counted too short".into()))
    }
}

fn named<'s>(
    bindings: &'s mut Slots<'_, worker::binding::Owned>,
    name: &str,
) -> capnp::Result<worker::binding::Builder<'s>> {
    let mut binding = bindings.next()?;
    binding.set_name(name);
    Ok(binding)
}

fn size(count: usize) -> capnp::Result<u32> {
    u32::try_from(count).map_err(|_| capnp::Error::failed("more than 2^32 entries in a list".into()))
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
