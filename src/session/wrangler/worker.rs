//! A configuration to what is to run: the fields in force, what the compiler is given, and what we add ourselves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::fields::{COMPILED, LEFT_OUT, NOT_INHERITED, OWN, REFUSED};
use super::text::{Field, Value, What};
use crate::session::name::SessionName;
use crate::session::nearest::Nearest;
use crate::session::project::{Part, Problems};

/// What a configuration declares.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) name: SessionName,
    /// The configuration that the compiler gets.
    pub(super) compiled: Map<String, Json>,
    /// Arguments for esbuild besides those that the compiler gives it.
    pub(super) esbuild: Vec<String>,
    pub(super) services: Vec<Service>,
    pub(super) actors: Vec<Actor>,
    pub(super) vars: Vec<String>,
    /// The only secrets that it wants, if it says so.
    pub(super) secrets: Option<Vec<String>>,
    /// Where wrangler would listen.
    pub(super) port: Option<u16>,
    pub(super) date: String,
    pub(super) flags: Vec<String>,
    /// Where all that stands.
    pub(super) places: Vec<(Part, usize)>,
}

/// A binding to a worker of another session, or an ear for what this one does.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) binding: String,
    pub(super) worker: String,
    pub(super) entrypoint: Option<String>,
    pub(super) props: Option<Map<String, Json>>,
    pub(super) is_tail: bool,
}

/// A binding to a Durable Object class of another worker.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) binding: String,
    pub(super) worker: String,
    pub(super) class: String,
}

/// What it is read with.
pub(super) struct Reading<'a> {
    /// The folder of the configuration.
    pub(super) root: &'a Path,
    pub(super) environment: Option<&'a str>,
    pub(super) scope: Option<&'a str>,
    /// Fields that the user wants to do without.
    pub(super) without: &'a BTreeSet<String>,
    pub(super) problems: &'a mut Problems,
}

impl Reading<'_> {
    pub(super) fn worker(&mut self, config: &Value) -> Option<Worker> {
        let What::Table(_) = &config.what else {
            self.problem(
                config.at,
                "this is no configuration",
                "write an object: { \"name\": …, \"main\": … }",
            );
            return None;
        };
        let fields = self.in_force(config);
        let fields: Vec<_> = fields.into_iter().filter(|field| self.is_wanted(field)).collect();
        let get = |name: &str| fields.iter().find(|field| field.name == name);
        let name = self.name(config, get("name"));
        let date = get("compatibility_date").and_then(|field| field.value.text());
        if date.is_none() {
            let why = "add \"compatibility_date\": \"YYYY-MM-DD\"; it decides how workerd behaves";
            self.problem(config.at, "there is no compatibility date", why);
        }
        let mut worker = Worker {
            name: name?,
            compiled: Map::new(),
            esbuild: Vec::new(),
            services: Vec::new(),
            actors: Vec::new(),
            vars: get("vars").map_or_else(Vec::new, |vars| names(&vars.value)),
            secrets: get("secrets").and_then(|field| field.value.get("required")).map(texts),
            port: get("dev").and_then(|dev| port(&dev.value)),
            date: date?.to_owned(),
            flags: get("compatibility_flags").map_or_else(Vec::new, |flags| texts(&flags.value)),
            places: places(&fields),
        };
        for field in &fields {
            self.take(field, &mut worker);
        }
        worker.compiled.insert("name".to_owned(), worker.name.name().into());
        Some(worker)
    }

    /// The fields of the environment that is asked for, as wrangler inherits them.
    fn in_force(&mut self, config: &Value) -> Vec<Field> {
        let all = config.fields();
        let Some(wanted) = self.environment else {
            return all.iter().filter(|field| field.name != "env").cloned().collect();
        };
        let environments = config.get("env").map(Value::fields).unwrap_or_default();
        let Some(own) = environments.iter().find(|field| field.name == wanted) else {
            let names: Vec<_> = environments.iter().map(|field| field.name.clone()).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let at = config.find("env").unwrap_or(config.at);
            let what = format!("there is no environment `{wanted}`");
            let why = format!("environments of this file: {known}");
            self.problems.add_near(at..at, what, why, Nearest::of(&wanted, names).0);
            return Vec::new();
        };
        let own = own.value.fields();
        let says = |name: &str| own.iter().any(|field| field.name == name);
        let inherited = all.iter().filter(|field| {
            !says(&field.name) && !NOT_INHERITED.contains(&field.name.as_str()) && field.name != "name"
        });
        let mut fields: Vec<_> = inherited.chain(own).cloned().collect();
        if let Some(top) = all.iter().find(|field| field.name == "name" && !says("name")) {
            let mut name = top.clone();
            if let Some(text) = top.value.text() {
                name.value.what = What::Plain(format!("{text}-{wanted}").into());
            }
            fields.push(name);
        }
        fields
    }

    /// Says what nobody here can do with a field.
    fn is_wanted(&mut self, Field { at, name, value }: &Field) -> bool {
        let name = name.as_str();
        if self.without.contains(name) || LEFT_OUT.contains(&name) {
            return false;
        }
        if COMPILED.contains(&name) || OWN.contains(&name) {
            return true;
        }
        let way_out = format!("remove it, or run without it: `--without {name}`");
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            if !value.is_empty() {
                self.problem(*at, format!("`{name}` cannot be used here"), format!("{why}\n{way_out}"));
            }
            return false;
        }
        let known = COMPILED.iter().chain(&OWN).chain(&LEFT_OUT).copied();
        let what = format!("`{name}` is no field that this jackfield knows");
        self.problems.add_near(*at..*at, what, way_out, Nearest::of(&name, known).0);
        false
    }

    fn name(&mut self, config: &Value, field: Option<&Field>) -> Option<SessionName> {
        let Some(field) = field else {
            self.problem(config.at, "the worker has no name", "add \"name\": others find it by that");
            return None;
        };
        let text = field.value.text().unwrap_or_default();
        match SessionName::scoped(text, self.scope) {
            Ok(name) if name.name() != "internet" => Some(name),
            Ok(_) => {
                let why = "workerd calls the public network so; use another name";
                self.problem(field.value.at, "`internet` cannot be the name of a worker", why);
                None
            }
            Err(error) => {
                self.problem(
                    field.value.at,
                    format!("`{text}` cannot be the name of a session"),
                    error.to_string(),
                );
                None
            }
        }
    }

    fn take(&mut self, Field { at, name, value }: &Field, worker: &mut Worker) {
        let name = name.as_str();
        let flag = |name: &str, text: &str| format!("--{name}={text}");
        match name {
            "services" => {
                for item in value.items() {
                    self.service(item, worker);
                }
            }
            "tail_consumers" => {
                for item in value.items() {
                    self.tail(item, worker);
                }
            }
            "define" | "alias" => {
                for Field { name: key, value, .. } in value.fields() {
                    let text = value.text().map(str::to_owned).unwrap_or_else(|| value.to_json().to_string());
                    let path = |text: String| match text.starts_with('.') {
                        true => self.root.join(text).display().to_string(),
                        false => text,
                    };
                    let text = if name == "alias" { path(text) } else { text };
                    let option = if name == "alias" { "alias" } else { "define" };
                    worker.esbuild.push(format!("--{option}:{key}={text}"));
                }
            }
            "tsconfig" => worker.esbuild.extend(value.text().map(|text| flag("tsconfig", text))),
            "jsx_factory" => worker.esbuild.extend(value.text().map(|text| flag("jsx-factory", text))),
            "jsx_fragment" => worker.esbuild.extend(value.text().map(|text| flag("jsx-fragment", text))),
            "minify" if !value.is_empty() => worker.esbuild.push("--minify".to_owned()),
            "keep_names" if !value.is_empty() => worker.esbuild.push("--keep-names".to_owned()),
            "main" => match value.text().map(|text| self.root.join(text)) {
                Some(main) if main.is_file() => {
                    worker.compiled.insert(name.to_owned(), utf8(&main));
                }
                Some(main) => {
                    let what = format!("there is no file `{}`", value.text().unwrap_or_default());
                    self.problem(value.at, what, format!("looked for {}", main.display()));
                }
                None => self.problem(*at, "`main` is no text", "write the path of the worker's main module"),
            },
            "assets" => {
                let mut assets = value.to_json();
                if let Some(Json::String(folder)) = assets.get_mut("directory") {
                    *folder = self.root.join(&*folder).display().to_string();
                }
                worker.compiled.insert(name.to_owned(), assets);
            }
            "durable_objects" => {
                let own = self.durable_objects(value, worker);
                worker.compiled.insert(name.to_owned(), own);
            }
            _ if COMPILED.contains(&name) && name != "$schema" => {
                worker.compiled.insert(name.to_owned(), value.to_json());
            }
            _ => {}
        }
    }

    fn service(&mut self, item: &Value, worker: &mut Worker) {
        let text = |name: &str| item.get(name).and_then(Value::text).map(str::to_owned);
        let (Some(binding), Some(service)) = (text("binding"), text("service")) else {
            let why = "write { \"binding\": \"NAME\", \"service\": \"WORKER\" }";
            return self.problem(item.at, "this service binding is not whole", why);
        };
        // Of another environment's worker wrangler says the name so.
        let service = text("environment").map_or(service.clone(), |other| format!("{service}-{other}"));
        let props = item.get("props").map(Value::to_json);
        let props = match props {
            Some(Json::Object(props)) => Some(props),
            _ => None,
        };
        worker.places.push((Part::Target(binding.clone()), item.at));
        let entrypoint = text("entrypoint").filter(|name| name != "default");
        worker.services.push(Service { binding, worker: service, entrypoint, props, is_tail: false });
    }

    fn tail(&mut self, item: &Value, worker: &mut Worker) {
        let Some(service) = item.get("service").and_then(Value::text) else {
            let why = "write { \"service\": \"WORKER\" }";
            return self.problem(item.at, "this tail consumer has no service", why);
        };
        let binding = format!("tail-{service}");
        worker.places.push((Part::Target(binding.clone()), item.at));
        let worker_name = service.to_owned();
        worker.services.push(Service {
            binding,
            worker: worker_name,
            entrypoint: None,
            props: None,
            is_tail: true,
        });
    }

    /// The bindings of own classes, which are left to the compiler; the others become links.
    fn durable_objects(&mut self, value: &Value, worker: &mut Worker) -> Json {
        let mut own = Vec::new();
        for item in value.get("bindings").map(Value::items).unwrap_or_default() {
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

    fn problem(&mut self, at: usize, what: impl Into<String>, why: impl Into<String>) {
        self.problems.add(at..at, what, why);
    }
}

fn utf8(path: &Path) -> Json {
    PathBuf::from(path).display().to_string().into()
}

fn names(table: &Value) -> Vec<String> {
    table.fields().iter().map(|field| field.name.clone()).collect()
}

fn texts(list: &Value) -> Vec<String> {
    list.items().iter().filter_map(Value::text).map(str::to_owned).collect()
}

fn port(dev: &Value) -> Option<u16> {
    dev.get("port").and_then(|port| u16::try_from(port.to_json().as_u64()?).ok()).filter(|port| *port > 0)
}

fn places(fields: &[Field]) -> Vec<(Part, usize)> {
    let mut places = Vec::new();
    for Field { at, name, value } in fields {
        match name.as_str() {
            "name" => places.push((Part::Name, *at)),
            "main" => places.push((Part::Script, *at)),
            "compatibility_date" => places.push((Part::Date, *at)),
            "dev" => places.push((Part::Listen, *at)),
            "compatibility_flags" => {
                let flags = value.items().iter().filter_map(|flag| Some((flag.text()?.to_owned(), flag.at)));
                places.extend(flags.map(|(flag, at)| (Part::Flag(flag), at)));
            }
            _ => {}
        }
    }
    places
}
