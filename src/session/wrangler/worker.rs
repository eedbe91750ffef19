//! A configuration to what is to run: the fields in force, what the compiler is given, and what we add ourselves.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::build::Build;
use super::fields::{COMPILED, LEFT_OUT, NO_REMOTE, NOT_INHERITED, OWN, REFUSED};
use super::rules::Rules;
use super::text::{Field, Value, What};
use crate::session::name::SessionName;
use crate::session::nearest::Nearest;
use crate::session::project::{Ear, Part, Problems};

/// Extensions in which wrangler takes JSX, and esbuild by itself does not.
const JSX_IN: [&str; 3] = [".js", ".mjs", ".cjs"];

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
    /// The folder of its static files.
    pub(super) assets: Option<PathBuf>,
    /// The binding that tells the version.
    pub(super) version: Option<String>,
    /// The only secrets that it wants, if it says so.
    pub(super) secrets: Option<Vec<String>>,
    /// Where wrangler would listen.
    pub(super) port: Option<u16>,
    pub(super) date: String,
    pub(super) flags: Vec<String>,
    /// What modules there are beside its sources.
    pub(super) rules: Rules,
    /// How it is built.
    pub(super) build: Option<Build>,
    /// Its schedules.
    pub(super) crons: Vec<String>,
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
    pub(super) ear: Option<Ear>,
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
    /// What is no reason not to run.
    pub(super) warnings: &'a mut Problems,
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
        self.look_at_others(config);
        let fields = self.in_force(config)?;
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
            assets: None,
            version: None,
            secrets: get("secrets").map(|field| field.value.get("required").map(texts).unwrap_or_default()),
            port: get("dev").and_then(|dev| port(&dev.value)),
            date: date?.to_owned(),
            flags: get("compatibility_flags").map_or_else(Vec::new, |flags| texts(&flags.value)),
            rules: self.rules(
                get("rules").map(|rules| &rules.value),
                get("no_bundle").is_none_or(|field| field.value.is_empty()),
            ),
            build: get("build").and_then(|build| self.build(&build.value)),
            crons: get("triggers").map(|triggers| self.crons(&triggers.value)).unwrap_or_default(),
            places: places(&fields),
        };
        self.unique_names(&fields);
        worker.esbuild.extend(worker.rules.loaders());
        worker.esbuild.extend(JSX_IN.map(|extension| format!("--loader:{extension}=jsx")));
        if get("keep_names").is_none_or(|field| !field.value.is_empty()) {
            worker.esbuild.push("--keep-names".to_owned());
        }
        for field in &fields {
            self.take(field, &mut worker);
        }
        worker.compiled.insert("name".to_owned(), worker.name.name().into());
        Some(worker)
    }

    /// The fields of the environment that is asked for, as wrangler inherits them.
    fn in_force(&mut self, config: &Value) -> Option<Vec<Field>> {
        let all = config.fields();
        let Some(wanted) = self.environment else {
            return Some(all.iter().filter(|field| field.name != "env").cloned().collect());
        };
        let environments = config.get("env").map(Value::fields).unwrap_or_default();
        // As wrangler has it, a configuration without any has all of them, and the top level is what each says.
        let none = Field {
            at: config.at,
            name: wanted.to_owned(),
            value: Value { at: config.at, what: What::Table(Vec::new()) },
        };
        let environments = if environments.is_empty() { std::slice::from_ref(&none) } else { environments };
        let inherits_all = std::ptr::eq(environments, std::slice::from_ref(&none));
        let Some(own) = environments.iter().find(|field| field.name == wanted) else {
            let names: Vec<_> = environments.iter().map(|field| field.name.clone()).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let at = config.find("env").unwrap_or(config.at);
            let what = format!("there is no environment `{wanted}`");
            let why = format!("environments of this file: {known}");
            self.problems.add_near(at..at, what, why, Nearest::of(&wanted, names).0);
            return None;
        };
        let own = own.value.fields();
        let says = |name: &str| own.iter().any(|field| field.name == name);
        let inherited = all.iter().filter(|field| {
            let is_inherited = inherits_all || !NOT_INHERITED.contains(&field.name.as_str());
            !says(&field.name) && is_inherited && !["name", "env"].contains(&field.name.as_str())
        });
        let mut fields: Vec<_> = inherited.chain(own).cloned().collect();
        if let Some(top) = all.iter().find(|field| field.name == "name" && !says("name")) {
            let mut name = top.clone();
            if let Some(text) = top.value.text() {
                name.value.what = What::Plain(format!("{text}-{wanted}").into());
            }
            fields.push(name);
        }
        Some(fields)
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

    pub(super) fn list<'v>(&mut self, name: &str, value: &'v Value) -> &'v [Value] {
        if !matches!(value.what, What::List(_)) {
            self.problem(value.at, format!("`{name}` is no list"), "write [ … ] around it");
        }
        value.items()
    }

    /// What is deployed is not reached from here, and an empty one in its place would be a surprise.
    fn refuse_remote(&mut self, name: &str, value: &Value) {
        let producers = value.get("producers").filter(|_| name == "queues").map(Value::items);
        for item in value.items().iter().chain(producers.unwrap_or_default()) {
            if item.get("remote").is_some_and(|remote| !remote.is_empty()) {
                let way_out = format!("remove `remote`, or run without it: `--without {name}`");
                self.problem(
                    item.at,
                    format!("this binding of `{name}` is remote"),
                    format!("{NO_REMOTE}\n{way_out}"),
                );
            }
        }
    }

    /// What `dev` says and we do otherwise would be a surprise too.
    fn dev(&mut self, dev: &Value) {
        let text = |name: &str| dev.get(name).and_then(Value::text);
        // 0 is a free one.
        let wrong = |value: &&Value| port(dev).is_none() && value.to_json() != 0;
        if let Some(value) = dev.get("port").filter(wrong) {
            self.problem(value.at, "`dev.port` is no port", "write a number from 1 to 65535");
        }
        let loopback = |ip: &str| ip == "localhost" || ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let wrong = [
            ("ip", text("ip").is_some_and(|ip| !loopback(ip)), "sessions listen on this machine alone"),
            ("local_protocol", text("local_protocol") == Some("https"), "sessions are reached by plain HTTP"),
            ("upstream_protocol", text("upstream_protocol") == Some("https"), "requests are as they come"),
            ("host", text("host").is_some(), "requests are as they come"),
        ];
        for (name, _, why) in wrong.into_iter().filter(|(_, is_wrong, _)| *is_wrong) {
            let at = dev.get(name).map_or(dev.at, |value| value.at);
            self.problem(
                at,
                format!("`dev.{name}` cannot be used here"),
                format!("{why}\nremove it, or run without `dev`: `--without dev`"),
            );
        }
    }

    fn name(&mut self, config: &Value, field: Option<&Field>) -> Option<SessionName> {
        let Some(field) = field else {
            self.problem(config.at, "the worker has no name", "add \"name\": others find it by that");
            return None;
        };
        let Some(text) = field.value.text() else {
            self.problem(
                field.value.at,
                "`name` is no text",
                "write the worker's name: others find it by that",
            );
            return None;
        };
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
        self.refuse_remote(name, value);
        let flag = |name: &str, text: &str| format!("--{name}={text}");
        match name {
            "services" => {
                for item in self.list(name, value) {
                    self.service(item, worker);
                }
            }
            "tail_consumers" | "streaming_tail_consumers" => {
                let ear = if name == "tail_consumers" { Ear::Tail } else { Ear::Streaming };
                for item in self.list(name, value) {
                    self.tail(item, ear, worker);
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
            "dev" => self.dev(value),
            "version_metadata" => {
                worker.version = value.get("binding").and_then(Value::text).map(str::to_owned)
            }
            "main" => match value.text().map(|text| self.root.join(text)) {
                Some(main) if main.is_file() || worker.build.is_some() => {
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
                    let path = self.root.join(&*folder);
                    *folder = path.display().to_string();
                    worker.assets = Some(path);
                }
                worker.compiled.insert(name.to_owned(), assets);
            }
            "durable_objects" => {
                let own = self.durable_objects(value, worker);
                worker.compiled.insert(name.to_owned(), own);
            }
            "queues" => {
                worker.compiled.insert(name.to_owned(), self.queues(value));
            }
            _ if COMPILED.contains(&name) && name != "$schema" => {
                worker.compiled.insert(name.to_owned(), value.to_json());
            }
            _ => {}
        }
    }

    pub(super) fn problem(&mut self, at: usize, what: impl Into<String>, why: impl Into<String>) {
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
