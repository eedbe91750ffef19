//! What leads to other workers: services, tail consumers, and the classes of others.

use serde_json::Value as Json;

use super::text::{Field, Value, What};
use super::worker::{Actor, Reading, Service, Worker};
use crate::session::nearest::Nearest;
use crate::session::project::{Ear, Part};

const SERVICE: [&str; 6] = ["binding", "service", "environment", "entrypoint", "props", "remote"];
const TAIL: [&str; 2] = ["service", "environment"];
const STREAMING_TAIL: [&str; 1] = ["service"];
const OBJECTS: [&str; 1] = ["bindings"];
const OBJECT: [&str; 4] = ["name", "class_name", "script_name", "environment"];

impl Reading<'_> {
    /// Nothing is passed over, neither what is misspelt nor what is new.
    pub(super) fn know(&mut self, item: &Value, known: &[&str]) {
        for Field { at, name, .. } in
            item.fields().iter().filter(|field| !known.contains(&field.name.as_str()))
        {
            let what = format!("`{name}` is not known here");
            let why = format!("fields of it: {}", known.join(", "));
            self.problems.add_near(*at..*at, what, why, Nearest::of(name, known).0);
        }
    }

    pub(super) fn service(&mut self, item: &Value, worker: &mut Worker) {
        self.know(item, &SERVICE);
        let text = |name: &str| item.get(name).and_then(Value::text).map(str::to_owned);
        let (Some(binding), Some(service)) = (text("binding"), text("service")) else {
            let why = "write { \"binding\": \"NAME\", \"service\": \"WORKER\" }";
            return self.problem(item.at, "this service binding is not whole", why);
        };
        // Of another environment's worker wrangler says the name so.
        let service = text("environment").map_or(service.clone(), |other| format!("{service}-{other}"));
        let props = match item.get("props").map(|props| (props.at, props.to_json())) {
            None | Some((_, Json::Null)) => None,
            Some((_, Json::Object(props))) => Some(props),
            Some((at, _)) => {
                let why = "write an object, like { \"tenant\": 1 }";
                return self.problem(at, "these props are no object", why);
            }
        };
        worker.places.push((Part::Target(binding.clone()), item.at));
        let entrypoint = text("entrypoint").filter(|name| name != "default");
        worker.services.push(Service { binding, worker: service, entrypoint, props, ear: None });
    }

    pub(super) fn tail(&mut self, item: &Value, ear: Ear, worker: &mut Worker) {
        let (known, before) = match ear {
            Ear::Tail => (&TAIL[..], "tail"),
            Ear::Streaming => (&STREAMING_TAIL[..], "streaming-tail"),
        };
        self.know(item, known);
        let text = |name: &str| item.get(name).and_then(Value::text).map(str::to_owned);
        let Some(service) = text("service") else {
            let why = "write { \"service\": \"WORKER\" }";
            return self.problem(item.at, "this tail consumer has no service", why);
        };
        let service = text("environment").map_or(service.clone(), |other| format!("{service}-{other}"));
        let binding = format!("{before}-{service}");
        // Told once, however often it asks.
        if worker.services.iter().any(|known| known.ear == Some(ear) && known.binding == binding) {
            return;
        }
        worker.places.push((Part::Target(binding.clone()), item.at));
        worker.services.push(Service {
            binding,
            worker: service,
            entrypoint: None,
            props: None,
            ear: Some(ear),
        });
    }

    /// The bindings of own classes, which are left to the compiler; the others become links.
    pub(super) fn durable_objects(&mut self, value: &Value, worker: &mut Worker) -> Json {
        let mut own = Vec::new();
        if !matches!(value.what, What::Table(_)) {
            let why = "write { \"bindings\": [ … ] }";
            self.problem(value.at, "`durable_objects` is no table of bindings", why);
        }
        self.know(value, &OBJECTS);
        for item in value.get("bindings").map(Value::items).unwrap_or_default() {
            self.know(item, &OBJECT);
            let text = |name: &str| item.get(name).and_then(Value::text).map(str::to_owned);
            let script = text("script_name");
            let foreign = script.filter(|script| script != worker.name.name());
            match (foreign, text("name"), text("class_name")) {
                (Some(script), Some(binding), Some(class)) => {
                    let script =
                        text("environment").map_or(script.clone(), |other| format!("{script}-{other}"));
                    worker.places.push((Part::Target(binding.clone()), item.at));
                    worker.actors.push(Actor { binding, worker: script, class });
                }
                (_, None, _) | (_, _, None) => {
                    let why = "write { \"name\": \"NAME\", \"class_name\": \"CLASS\" }";
                    self.problem(item.at, "this binding of a Durable Object is not whole", why);
                }
                (None, ..) => {
                    if let Some(class) = text("class_name") {
                        worker.places.push((Part::Class(class), item.at));
                    }
                    let mut item = item.to_json();
                    if let Some(fields) = item.as_object_mut() {
                        fields.remove("script_name");
                        fields.remove("environment");
                    }
                    own.push(item);
                }
            }
        }
        serde_json::json!({ "bindings": own })
    }
}
