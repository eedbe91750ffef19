//! `jackfield dev`

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::args::DevArgs;
use super::failure::Failure;
use super::place::Place;
use super::progress::FetchBar;
use super::settings::Keep;
use super::up::{self, Found};
use crate::session::project::FILE_NAME;
use crate::session::wrangler::{self, FILE_NAMES, Request, Tools};
use crate::session::{SessionName, workerd};

/// What `dev` is to run.
#[derive(Debug)]
pub(super) struct DevSettings {
    place: Place,
    configs: Vec<PathBuf>,
    environment: Option<String>,
    listen: Option<SocketAddr>,
    scope: Option<String>,
    without: Vec<String>,
    keep: Keep,
}

impl DevSettings {
    pub(super) fn resolve(args: DevArgs, file: Option<PathBuf>, here: &Path) -> Result<Self, Failure> {
        let DevArgs { configs, env, listen, scope, without, keep } = args;
        SessionName::scoped("worker", scope.as_deref()).map_err(Failure::usage)?;
        let place = match &file {
            Some(file) => Place::project(Some(file), here)?,
            // It names the daemon for the other commands, and need not be there.
            None => Place::of(here.canonicalize().unwrap_or(here.to_owned()).join(FILE_NAME))?,
        };
        let named = if configs.is_empty() { vec![PathBuf::from(".")] } else { configs };
        let configs = named.iter().map(|config| config_at(&here.join(config)));
        Ok(Self {
            place,
            configs: configs.collect::<Result<_, _>>()?,
            environment: env.filter(|name| !name.is_empty()),
            listen: listen.as_deref().map(address).transpose()?,
            scope,
            without,
            keep: Keep::resolve(keep, here)?,
        })
    }
}

/// A configuration, or the one in a folder.
fn config_at(path: &Path) -> Result<PathBuf, Failure> {
    let names = FILE_NAMES.iter().map(|name| path.join(name));
    let found = match path.is_dir() {
        true => names.into_iter().find(|file| file.is_file()),
        false => Some(path.to_owned()).filter(|file| file.is_file()),
    };
    let found = found.and_then(|file| file.canonicalize().ok());
    found.ok_or_else(|| match path.is_dir() {
        true => {
            let folder = path.canonicalize().unwrap_or(path.to_owned());
            let what = format!("there is no {} in {}", FILE_NAMES.join(", "), folder.display());
            Failure::usage(what).hint("name one, or start in the folder that has it")
        }
        false => {
            Failure::usage(format!("there is no {}", path.display())).hint("name a wrangler configuration")
        }
    })
}

/// A worker under development is nobody else's business, so other machines are kept out.
fn address(text: &str) -> Result<SocketAddr, Failure> {
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    let text_of = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let address = port.map(text_of).or_else(|_| text.replace("localhost:", "127.0.0.1:").parse());
    let way = "write a port, or an address of this machine like 127.0.0.1:8787";
    match address {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(address) => {
            Err(Failure::usage(format!("`{}` could be reached from other machines", address.ip())).hint(way))
        }
        Err(_) => Err(Failure::usage(format!("`{text}` is no address")).hint(way)),
    }
}

/// Blocks until the sessions have been stopped.
pub(super) fn run(settings: DevSettings, as_json: bool) -> Result<(), Failure> {
    let DevSettings { place, configs, environment, listen, scope, without, keep } = settings;
    let began = Instant::now();
    let project = configs.first().and_then(|config| config.parent()).unwrap_or(Path::new("/"));
    let options = workerd::Options::from_env(project).map_err(Failure::failed)?;
    let found = workerd::locate(&options, &mut FetchBar::default()).map_err(Failure::failed)?;
    let esbuild = workerd::locate_esbuild(&options, &mut FetchBar::default()).map_err(Failure::failed)?;
    let request = Arc::new(Request {
        project: place.file,
        configs,
        environment,
        scope,
        listen,
        without: without.into_iter().collect(),
        tools: Tools { workerd: found.path.clone(), esbuild },
        ports: Mutex::new(BTreeMap::new()),
    });
    let project = wrangler::load(&request)
        .map_err(|error| Failure::project(error).hint("nothing was started; put it right and try again"))?;
    let found = Found { workerd: found, began, keep, watched: Some(request) };
    up::run_project(project, found, as_json)
}
