//! Workers: the user's, and our own.

use std::path::Path;

use serde_json::json;

use super::slots::{Slots, named, size};
use super::{STATE, actor_service, address, link_service};
use crate::schema::workerd_config_capnp::{config, worker};
use crate::session::project::{ActorLink, Ear, Module, ModuleKind, SessionSpec, Storage, Var};

/// The module text of the stand-in.
const ACTOR_PROXY: &str = include_str!("../../../workers/actor-proxy/index.js");
/// The class it exports.
const ACTOR_PROXY_CLASS: &str = "ActorProxy";
/// The module text of what sends schedules and queue messages.
const FIRE: &str = include_str!("../../../workers/fire/index.js");
/// Gives service bindings the methods for that.
pub(super) const EXTRA_HANDLERS: &str = "service_binding_extra_handlers";
/// The compatibility date of workers of our own: the newest that the pinned workerd and its near predecessors take.
pub(super) const OWN_DATE: &str = "2026-11-01";

pub(super) fn user_worker(
    spec: &SessionSpec,
    stored: bool,
    mut worker: worker::Builder<'_>,
) -> capnp::Result<()> {
    worker.set_compatibility_date(&spec.compatibility_date);
    set_flags(&spec.compatibility_flags, worker.reborrow())?;
    let mut modules = worker.reborrow().init_modules(size(spec.modules.len())?);
    for (index, source) in spec.modules.iter().enumerate() {
        set_module(source, modules.reborrow().get(size(index)?))?;
    }
    let classes: &[_] = if spec.compiled.is_some() { &[] } else { &spec.classes };
    let mut namespaces = worker.reborrow().init_durable_object_namespaces(size(classes.len())?);
    for (index, class) in classes.iter().enumerate() {
        let mut namespace = namespaces.reborrow().get(size(index)?);
        namespace.set_class_name(&class.class);
        namespace.set_enable_sql(matches!(class.storage, Storage::Stored { .. }));
        set_key(&class.storage, namespace);
    }
    let mut storage = worker.reborrow().init_durable_object_storage();
    match (stored, classes.is_empty()) {
        (true, _) => storage.set_local_disk(STATE),
        (false, false) => storage.set_in_memory(()),
        (false, true) => storage.set_none(()),
    }
    let ears = |ear| spec.services.iter().filter(move |link| link.ear == Some(ear));
    let mut tails = Slots::new(worker.reborrow().init_tails(size(ears(Ear::Tail).count())?));
    for link in ears(Ear::Tail) {
        tails.next()?.set_name(link_service(&spec.name, &link.binding));
    }
    let count = size(ears(Ear::Streaming).count())?;
    let mut streaming = Slots::new(worker.reborrow().init_streaming_tails(count));
    for link in ears(Ear::Streaming) {
        streaming.next()?.set_name(link_service(&spec.name, &link.binding));
    }
    bindings(spec, worker)
}

fn bindings(spec: &SessionSpec, worker: worker::Builder<'_>) -> capnp::Result<()> {
    let own = spec.classes.iter().filter_map(|class| Some((class.binding.as_ref()?, class)));
    let services = spec.services.iter().filter(|link| link.ear.is_none());
    let count = spec.vars.len() + services.clone().count() + spec.actors.len() + own.clone().count();
    let mut bindings = Slots::new(worker.init_bindings(size(count)?));
    for (name, var) in &spec.vars {
        let mut binding = named(&mut bindings, name)?;
        match var {
            Var::Text(text) => binding.set_text(text),
            Var::Json(value) => binding.set_json(value.to_string()),
        }
    }
    for link in services {
        named(&mut bindings, &link.binding)?.init_service().set_name(link_service(&spec.name, &link.binding));
    }
    for link in &spec.actors {
        let mut namespace = named(&mut bindings, &link.binding)?.init_durable_object_namespace();
        namespace.set_class_name(ACTOR_PROXY_CLASS);
        namespace.set_service_name(actor_service(&spec.name, &link.binding));
    }
    for (name, class) in own {
        named(&mut bindings, name)?.init_durable_object_namespace().set_class_name(&class.class);
    }
    Ok(())
}

pub(super) fn set_module(source: &Module, mut module: worker::module::Builder<'_>) -> capnp::Result<()> {
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

pub(super) fn set_flags(flags: &[String], worker: worker::Builder<'_>) -> capnp::Result<()> {
    let mut list = worker.init_compatibility_flags(size(flags.len())?);
    for (index, flag) in flags.iter().enumerate() {
        list.set(size(index)?, flag);
    }
    Ok(())
}

/// The ids that this namespace makes must be those of the class behind the link, hence the same key. Nothing is stored
/// here.
pub(super) fn actor_proxy(
    link: &ActorLink,
    debug_face: &Path,
    mut worker: worker::Builder<'_>,
) -> capnp::Result<()> {
    let mut module = worker.reborrow().init_modules(1).get(0);
    module.set_name("actor-proxy.js");
    module.set_es_module(ACTOR_PROXY);
    worker.set_compatibility_date(OWN_DATE);
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

/// What sends a session's worker the events that no debug port carries.
pub(super) fn fire(spec: &SessionSpec, mut worker: worker::Builder<'_>) -> capnp::Result<()> {
    let mut module = worker.reborrow().init_modules(1).get(0);
    module.set_name("fire.js");
    module.set_es_module(FIRE);
    worker.set_compatibility_date(OWN_DATE);
    set_flags(&[EXTRA_HANDLERS.to_owned()], worker.reborrow())?;
    let handlers = spec.exports.as_ref().and_then(|exports| exports.handlers.as_ref());
    let mut bindings = Slots::new(worker.init_bindings(4));
    named(&mut bindings, "WORKER")?.init_service().set_name(spec.service());
    let compiled = spec.compiled.as_ref();
    let crons = compiled.map(|compiled| &compiled.crons);
    let consumers = compiled.and_then(|compiled| compiled.queues.as_ref()).map(|queues| &queues.consumers);
    let queues = compiled.map(|_| consumers.into_iter().flat_map(|all| all.keys()).collect::<Vec<_>>());
    named(&mut bindings, "HANDLERS")?.set_json(json!(handlers).to_string());
    named(&mut bindings, "CRONS")?.set_json(json!(crons).to_string());
    named(&mut bindings, "QUEUES")?.set_json(json!(queues).to_string());
    Ok(())
}

/// Builds the message for a worker that has those compatibility flags and nothing else.
pub(in crate::session) fn build_flags(flags: &[String]) -> capnp::Result<Vec<u8>> {
    let mut message = capnp::message::Builder::new_default();
    let mut service = message.init_root::<config::Builder<'_>>().init_services(1).get(0);
    service.set_name("flags");
    let mut worker = service.init_worker();
    let mut module = worker.reborrow().init_modules(1).get(0);
    module.set_name("index.js");
    module.set_es_module("export default {}");
    worker.set_compatibility_date(OWN_DATE);
    set_flags(flags, worker)?;
    Ok(capnp::serialize::write_message_to_words(&message))
}
