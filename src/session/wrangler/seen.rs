//! What there is to know of a configuration that the compiler wrote.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use crate::schema::workerd_config_capnp::{config, service, service_designator, worker};
use crate::session::project::{ClassSpec, Queues, Storage};

/// What the compiler calls the service that keeps messages of queues, after the worker's name.
const BROKER: &str = "-queues";
/// The binding that tells it who consumes them.
const CONSUMERS: &str = "CONSUMERS";

/// What is seen in it.
pub(super) struct Seen {
    /// Empty if it has nothing but static files.
    pub(super) main_module: String,
    pub(super) modules: Vec<String>,
    /// The service that takes requests.
    pub(super) front: String,
    pub(super) classes: Vec<ClassSpec>,
    pub(super) keeps: bool,
    pub(super) queues: Option<Queues>,
}

impl Seen {
    /// Looks at the configuration of the worker of that name.
    pub(super) fn look(message: &[u8], name: &str) -> capnp::Result<Self> {
        let limits = capnp::message::ReaderOptions { traversal_limit_in_words: None, ..Default::default() };
        let reader = capnp::serialize::read_message_from_flat_slice(&mut &*message, limits)?;
        let root = reader.get_root::<config::Reader<'_>>()?;
        let front = match root.get_sockets()?.iter().next() {
            Some(socket) => socket.get_service()?.get_name()?.to_str()?.to_owned(),
            None => name.to_owned(),
        };
        let mut seen = Self {
            main_module: String::new(),
            modules: Vec::new(),
            front,
            classes: Vec::new(),
            keeps: false,
            queues: None,
        };
        let (mut found, mut sends) = (false, BTreeSet::new());
        for one in root.get_services()? {
            let service = one.get_name()?.to_str()?;
            found |= service == seen.front;
            match one.which() {
                Ok(service::Disk(disk)) => seen.keeps |= disk?.get_writable(),
                Ok(service::Worker(worker)) if service == name => sends = seen.worker(worker?)?,
                Ok(service::Worker(worker)) if service.strip_suffix(BROKER) == Some(name) => {
                    seen.queues = Some(broker(service, worker?)?);
                }
                _ => {}
            }
        }
        if !found {
            return Err(capnp::Error::failed(format!("there is no service `{name}` in it")));
        }
        if let Some(queues) = &mut seen.queues {
            sends.retain(|queue| !queues.consumers.contains_key(queue));
            queues.foreign.append(&mut sends);
        }
        Ok(seen)
    }

    /// Returns the queues that it sends to.
    fn worker(&mut self, worker: worker::Reader<'_>) -> capnp::Result<BTreeSet<String>> {
        if let Ok(worker::Modules(modules)) = worker.which() {
            for module in modules? {
                self.modules.push(module.get_name()?.to_str()?.to_owned());
            }
            self.main_module = self.modules.first().cloned().unwrap_or_default();
        }
        for namespace in worker.get_durable_object_namespaces()? {
            use worker::durable_object_namespace::{EphemeralLocal, UniqueKey};
            let storage = match namespace.which() {
                Ok(UniqueKey(key)) => Storage::Stored { unique_key: key?.to_str()?.to_owned() },
                Ok(EphemeralLocal(())) => Storage::Ephemeral,
                Err(_) => continue,
            };
            let class = namespace.get_class_name()?.to_str()?.to_owned();
            self.classes.push(ClassSpec { class, storage, binding: None });
        }
        let mut sends = BTreeSet::new();
        for binding in worker.get_bindings()? {
            if let Ok(worker::binding::Queue(broker)) = binding.which() {
                sends.extend(queue(broker?)?);
            }
        }
        Ok(sends)
    }
}

/// The queue that a binding is for.
fn queue(broker: service_designator::Reader<'_>) -> capnp::Result<Option<String>> {
    let Ok(service_designator::props::Json(props)) = broker.get_props().which() else { return Ok(None) };
    let props: Json = serde_json::from_str(props?.to_str()?).unwrap_or_default();
    Ok(props.get("queue").and_then(Json::as_str).map(str::to_owned))
}

fn broker(service: &str, worker: worker::Reader<'_>) -> capnp::Result<Queues> {
    let mut consumers = Map::new();
    for binding in worker.get_bindings()? {
        if let (CONSUMERS, Ok(worker::binding::Json(text))) = (binding.get_name()?.to_str()?, binding.which())
        {
            consumers = serde_json::from_str(text?.to_str()?).unwrap_or_default();
        }
    }
    // What is given up on goes to a queue too.
    let dead = consumers.values().filter_map(|consumer| consumer.get("deadLetterQueue")?.as_str());
    let foreign = dead.filter(|queue| !consumers.contains_key(*queue)).map(str::to_owned).collect();
    Ok(Queues { broker: service.to_owned(), consumers, foreign })
}
