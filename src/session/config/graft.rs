//! A configuration that workerd's compiler wrote, with ours added to it. All that we do not know in it stays.

use std::path::{Path, PathBuf};

use super::slots::size;
use super::worker::set_module;
use crate::schema::workerd_config_capnp::worker;
use crate::session::project::{Compiled, Module};
use crate::wire::tree::{self, Node, Struct, TreeError};

/// Where things stand in the structs of workerd's schema: pointers, and 16-bit fields for what tells which member of a
/// union there is. A test compares them with the schema.
mod at {
    pub(super) const CONFIG_SERVICES: usize = 0;
    pub(super) const CONFIG_SOCKETS: usize = 1;
    pub(super) const CONFIG_LOGGING: usize = 5;
    pub(super) const SERVICE_NAME: usize = 0;
    pub(super) const SERVICE_BODY: usize = 1;
    pub(super) const SERVICE_KIND: usize = 0;
    pub(super) const WORKER_MODULES: usize = 0;
    pub(super) const WORKER_BINDINGS: usize = 3;
    pub(super) const WORKER_TAILS: usize = 10;
    pub(super) const WORKER_STREAMING_TAILS: usize = 11;
    pub(super) const BINDING_NAME: usize = 0;
    pub(super) const BINDING_KIND: usize = 0;
    pub(super) const DISK_PATH: usize = 0;
    pub(super) const DISK_FLAGS: usize = 0;
}

/// What the compiler calls the service that waits for schedules, after the worker's name. It keeps a process from ending
/// that has nothing else to do.
const CLOCK: &str = "-cron";

/// Members of the union in a service.
const KIND_WORKER: u16 = 1;
const KIND_DISK: u16 = 4;
/// Members of the union in a binding: text and JSON.
const VALUES: [u16; 2] = [2, 4];
/// Among the flags of a disk.
const WRITABLE: u16 = 1;

/// Adds the services, sockets, logging, bindings, ears and modules of `ours`, in which a worker that is to be added to has the name
/// that it has in the compiled configuration. For a trial, all disks that are written to lead to the folder `trial`: some of
/// workerd's services take no other storage.
pub(super) fn graft(compiled: &Compiled, ours: &[u8], trial: Option<&Path>) -> Result<Vec<u8>, TreeError> {
    let (mut base, mut ours) = (tree::read(&compiled.message)?, tree::read(ours)?);
    let (Some(root), Some(added)) = (base.as_struct(), ours.as_struct()) else {
        return Err(TreeError::Stray);
    };
    for ours in [at::CONFIG_SOCKETS, at::CONFIG_LOGGING] {
        root.set(ours, std::mem::take(added.slot(ours).unwrap_or(&mut Node::Null)));
    }
    let mut added = take_list(added, at::CONFIG_SERVICES);
    let mut services = take_list(root, at::CONFIG_SERVICES);
    if trial.is_some() {
        let clock = format!("{}{CLOCK}", compiled.service);
        services.retain(|service| !is_named(service, at::SERVICE_NAME, &clock));
    }
    for service in &mut services {
        if let Some(folder) = trial {
            write_to(service, folder);
        }
        let name = service.pointer(at::SERVICE_NAME).as_text().unwrap_or_default();
        let own = added.iter().position(|added| is_named(added, at::SERVICE_NAME, name));
        if let Some(mut own) = own.map(|index| added.remove(index))
            && let (Some(worker), Some(own)) = (body(service, KIND_WORKER), body(&mut own, KIND_WORKER))
        {
            add_to_worker(worker, own);
        }
    }
    // Where there are only static files, there is no worker.
    added.retain(|added| !is_named(added, at::SERVICE_NAME, &compiled.service));
    services.append(&mut added);
    root.set(at::CONFIG_SERVICES, Node::Structs(services));
    tree::write(&base)
}

/// Leads all disks that lie below `from` to the same place below `to`, and returns where they lie then.
pub(in crate::session) fn move_disks(config: &mut Node, from: &Path, to: &Path) -> Vec<PathBuf> {
    let mut moved = Vec::new();
    let Some(root) = config.as_struct() else { return moved };
    for service in root.slot(at::CONFIG_SERVICES).and_then(Node::structs).into_iter().flatten() {
        let Some(disk) = body(service, KIND_DISK) else { continue };
        let path = disk.pointer(at::DISK_PATH).as_text().map(PathBuf::from).unwrap_or_default();
        let Ok(below) = path.strip_prefix(from) else { continue };
        let path = to.join(below);
        disk.set(at::DISK_PATH, Node::text(&path.display().to_string()));
        moved.push(path);
    }
    moved
}

/// Adds modules to the worker of that name.
pub(in crate::session) fn add_modules(
    config: &mut Node,
    name: &str,
    modules: &[Module],
) -> capnp::Result<()> {
    let mut message = capnp::message::Builder::new_default();
    let mut list = message.init_root::<worker::Builder<'_>>().init_modules(size(modules.len())?);
    for (index, module) in modules.iter().enumerate() {
        set_module(module, list.reborrow().get(size(index)?))?;
    }
    let message = capnp::serialize::write_message_to_words(&message);
    let built = tree::read(&message).map_err(|error| capnp::Error::failed(error.to_string()))?;
    let mut added = match built {
        Node::Struct(mut built) => take_list(&mut built, at::WORKER_MODULES),
        _ => Vec::new(),
    };
    let services = config.as_struct().and_then(|root| root.slot(at::CONFIG_SERVICES)?.structs());
    let own = services.into_iter().flatten().find(|service| is_named(service, at::SERVICE_NAME, name));
    if let Some(worker) = own.and_then(|service| body(service, KIND_WORKER)) {
        let mut all = take_list(worker, at::WORKER_MODULES);
        all.append(&mut added);
        worker.set(at::WORKER_MODULES, Node::Structs(all));
    }
    Ok(())
}

fn add_to_worker(worker: &mut Struct, own: &mut Struct) {
    let mut modules = take_list(own, at::WORKER_MODULES);
    modules.append(&mut take_list(worker, at::WORKER_MODULES));
    worker.set(at::WORKER_MODULES, Node::Structs(modules));
    let mut added = take_list(own, at::WORKER_BINDINGS);
    let mut bindings = take_list(worker, at::WORKER_BINDINGS);
    // A local value takes the place of a value, and of nothing else.
    let is_value = |binding: &Struct| VALUES.contains(&binding.u16(at::BINDING_KIND));
    added.retain(|added| {
        let name = added.pointer(at::BINDING_NAME).as_text().unwrap_or_default();
        let theirs = bindings.iter().find(|binding| is_named(binding, at::BINDING_NAME, name));
        !is_value(added) || theirs.is_none_or(is_value)
    });
    bindings.retain(|binding| {
        let name = binding.pointer(at::BINDING_NAME).as_text().unwrap_or_default();
        !added.iter().any(|added| is_named(added, at::BINDING_NAME, name))
    });
    bindings.append(&mut added);
    worker.set(at::WORKER_BINDINGS, Node::Structs(bindings));
    for ears in [at::WORKER_TAILS, at::WORKER_STREAMING_TAILS] {
        let mut all = take_list(worker, ears);
        all.append(&mut take_list(own, ears));
        if !all.is_empty() {
            worker.set(ears, Node::Structs(all));
        }
    }
}

fn write_to(service: &mut Struct, folder: &Path) {
    if let Some(disk) = body(service, KIND_DISK)
        && disk.u16(at::DISK_FLAGS) & WRITABLE != 0
    {
        disk.set(at::DISK_PATH, Node::text(&folder.display().to_string()));
    }
}

fn body(service: &mut Struct, kind: u16) -> Option<&mut Struct> {
    if service.u16(at::SERVICE_KIND) != kind {
        return None;
    }
    service.slot(at::SERVICE_BODY)?.as_struct()
}

fn take_list(of: &mut Struct, index: usize) -> Vec<Struct> {
    of.slot(index).and_then(Node::structs).map(std::mem::take).unwrap_or_default()
}

fn is_named(one: &Struct, pointer: usize, name: &str) -> bool {
    one.pointer(pointer).as_text() == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::workerd_config_capnp::{config, service};

    #[test]
    fn the_places_are_those_of_the_schema() {
        let mut message = capnp::message::Builder::new_default();
        let mut root = message.init_root::<config::Builder<'_>>();
        root.reborrow().init_sockets(1).get(0).set_name("socket");
        root.reborrow().init_logging().set_stdout_prefix("prefix");
        let mut services = root.init_services(2);
        services.reborrow().get(0).set_name("w");
        let mut built = services.reborrow().get(0).init_worker();
        built.reborrow().init_modules(1).get(0).set_name("module");
        built.reborrow().init_bindings(1).get(0).set_name("binding");
        built.reborrow().init_tails(1).get(0).set_name("tail");
        built.reborrow().init_streaming_tails(1).get(0).set_name("ear");
        built.reborrow().init_durable_object_storage().set_local_disk("disk");
        let mut disk = services.get(1).init_disk();
        disk.set_path("/a/b");
        disk.set_writable(true);
        let mut node = tree::read(&capnp::serialize::write_message_to_words(&message)).unwrap();
        assert_eq!(move_disks(&mut node, Path::new("/a"), Path::new("/c")), [PathBuf::from("/c/b")]);
        let root = node.as_struct().unwrap();
        assert!(is_named(&take_list(root, at::CONFIG_SOCKETS)[0], 0, "socket"));
        let logging = root.slot(at::CONFIG_LOGGING).and_then(Node::as_struct).unwrap();
        assert_eq!(logging.pointer(0).as_text(), Some("prefix"));
        let mut services = take_list(root, at::CONFIG_SERVICES);
        write_to(&mut services[1], Path::new("/trial"));
        let disk = body(&mut services[1], KIND_DISK).unwrap();
        assert_eq!(disk.pointer(at::DISK_PATH).as_text(), Some("/trial"));
        assert!(is_named(&services[0], at::SERVICE_NAME, "w"));
        let built = body(&mut services[0], KIND_WORKER).unwrap();
        assert!(is_named(&take_list(built, at::WORKER_MODULES)[0], 0, "module"));
        assert!(is_named(&take_list(built, at::WORKER_BINDINGS)[0], at::BINDING_NAME, "binding"));
        assert!(is_named(&take_list(built, at::WORKER_TAILS)[0], 0, "tail"));
        assert!(is_named(&take_list(built, at::WORKER_STREAMING_TAILS)[0], 0, "ear"));
    }

    #[test]
    fn ours_come_to_theirs_and_win() {
        let build = |text: &str, named: &str| {
            let mut message = capnp::message::Builder::new_default();
            let mut services = message.init_root::<config::Builder<'_>>().init_services(2);
            services.reborrow().get(0).set_name("w");
            let mut built = services.reborrow().get(0).init_worker();
            built.reborrow().init_modules(1).get(0).set_name(text);
            let mut bindings = built.reborrow().init_bindings(2);
            bindings.reborrow().get(0).set_name("A");
            bindings.reborrow().get(0).set_text(text);
            let mut other = bindings.get(1);
            other.set_name(named);
            other.init_service().set_name(text);
            built.init_durable_object_storage().set_local_disk("disk");
            services.get(1).set_name(named);
            capnp::serialize::write_message_to_words(&message)
        };
        let compiled =
            Compiled { service: "w".to_owned(), message: build("theirs", "T"), ..Compiled::default() };
        let both = graft(&compiled, &build("ours", "O"), None).unwrap();
        let reader = capnp::serialize::read_message(&*both, Default::default()).unwrap();
        let services = reader.get_root::<config::Reader<'_>>().unwrap().get_services().unwrap();
        let names: Vec<_> = services.iter().map(|one| one.get_name().unwrap().to_string().unwrap()).collect();
        assert_eq!(names, ["w", "T", "O"]);
        let service::Worker(Ok(built)) = services.get(0).which().unwrap() else { panic!() };
        let bindings = built.get_bindings().unwrap();
        let names: Vec<_> = bindings.iter().map(|one| one.get_name().unwrap().to_string().unwrap()).collect();
        assert_eq!(names, ["T", "A", "O"]);
        let worker::binding::Text(Ok(text)) = bindings.get(1).which().unwrap() else { panic!() };
        assert_eq!(text, "ours");
        let worker::Modules(Ok(modules)) = built.which().unwrap() else { panic!() };
        assert_eq!((modules.len(), modules.get(0).get_name().unwrap().to_str().unwrap()), (2, "ours"));
        let storage = built.get_durable_object_storage().which().unwrap();
        assert!(matches!(storage, worker::durable_object_storage::LocalDisk(_)));
    }
}
