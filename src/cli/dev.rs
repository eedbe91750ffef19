//! `jackfield dev`

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use super::account::Account;
use super::args::DevArgs;
use super::background;
use super::failure::Failure;
use super::place::Place;
use super::progress::FetchBar;
use super::signals::Signals;
use crate::control::{Client, Code, Listening, Teller, Told};
use crate::session::wrangler::{self, Config, FILE_NAMES, Request, Tools};
use crate::session::{SessionName, scope, workerd};

/// How long a daemon may take to hear that it is to hurry.
const PATIENCE: Duration = Duration::from_secs(1);

/// What `dev` is to run.
#[derive(Debug)]
pub(super) struct DevSettings {
    place: Place,
    configs: Vec<Config>,
    environment: Option<String>,
    listen: Option<SocketAddr>,
    without: BTreeSet<String>,
    /// For a daemon that has to be started.
    ingress: Option<u16>,
}

impl DevSettings {
    pub(super) fn resolve(
        args: DevArgs,
        place: Place,
        ingress: Option<u16>,
        here: &Path,
    ) -> Result<Self, Failure> {
        let DevArgs { configs, env, listen, scope, without, ingress_port: _, json: _ } = args;
        SessionName::scoped("worker", scope.as_deref()).map_err(Failure::usage)?;
        let named = if configs.is_empty() { vec![PathBuf::from(".")] } else { configs };
        let config = |path: PathBuf| {
            let file = config_at(&here.join(path))?;
            let scope = scope.clone().or_else(|| scope::of_folder(file.parent()?));
            Ok(Config { file, scope })
        };
        let mut configs = named.into_iter().map(config).collect::<Result<Vec<Config>, Failure>>()?;
        // Whoever names one twice means it once.
        let mut seen = BTreeSet::new();
        configs.retain(|config| seen.insert(config.file.clone()));
        Ok(Self {
            place,
            configs,
            environment: env.filter(|name| !name.is_empty()),
            listen: listen.as_deref().map(address).transpose()?,
            without: without.into_iter().collect(),
            ingress,
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
    let DevSettings { place, configs, environment, listen, without, ingress } = settings;
    let account = Account::new(as_json);
    let project = configs.first().and_then(|config| config.file.parent()).unwrap_or(Path::new("/"));
    // Without a runtime: it may block for as long as npm downloads, and Ctrl-C should simply end it.
    let options = workerd::Options::from_env(project).map_err(Failure::failed)?;
    let found = workerd::locate(&options, &mut FetchBar::default()).map_err(Failure::failed)?;
    let esbuild = workerd::locate_esbuild(&options, &mut FetchBar::default()).map_err(Failure::failed)?;
    let files = configs.iter().map(|config| config.file.clone()).collect();
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let request = Request {
        configs,
        environment,
        listen,
        without,
        tools: Tools { workerd: found.path.clone(), esbuild },
        variables: std::env::vars_os().filter_map(text).collect(),
    };
    // What is wrong with these is wrong whatever becomes of the sources, so it ends the command.
    wrangler::check(&request)
        .map_err(|error| Failure::project(error).hint("nothing was started; put it right and try again"))?;
    account.begins(None, files, &found);
    let (teller, written) = account.beside()?;
    let ended = super::runtime()?.block_on(listen_to(&place, &request, ingress, &teller));
    written.wait();
    ended
}

/// Until the sessions end, or a signal comes: then the daemon lets their calls end, and ends them.
async fn listen_to(
    place: &Place,
    request: &Request,
    ingress: Option<u16>,
    account: &Teller,
) -> Result<(), Failure> {
    let mut signals =
        Signals::new().map_err(|error| Failure::failed(format!("cannot watch signals: {error}")))?;
    let ask = |daemon: Client| async move { daemon.dev(request).await };
    let listening = tokio::select! {
        biased;
        () = signals.end() => {
            // Nothing runs yet, and what was begun ends by itself.
            account.tell(Told::Stopped {});
            return Ok(());
        }
        listening = background::ask(place, ingress, ask) => listening?,
    };
    let mut kept = Kept { listening, account, place, is_up: false, is_stopping: false };
    tokio::select! {
        biased;
        () = signals.end() => {}
        ended = kept.listen() => return ended,
    }
    tokio::select! {
        biased;
        () = signals.end() => {
            kept.hurry().await;
            Err(Failure::failed("stopped at once; calls in progress were broken"))
        }
        ended = kept.stop() => ended,
    }
}

/// Sessions that the daemon keeps for us.
struct Kept<'a> {
    listening: Listening,
    account: &'a Teller,
    place: &'a Place,
    is_up: bool,
    is_stopping: bool,
}

impl Kept<'_> {
    /// # Cancellation
    /// Safe: what was read is told.
    async fn listen(&mut self) -> Result<(), Failure> {
        while let Some(told) = self.listening.next().await? {
            match told {
                // Sources are put right while one waits; what the files say was to be right from the start.
                Told::ReloadFailed { error } if !self.is_up && error.code != Code::BadSources => {
                    return Err(error.hint("nothing was started; put it right and try again").into());
                }
                Told::Stopped {} => {
                    self.account.tell(Told::Stopped {});
                    return Ok(());
                }
                Told::Stopping {} => self.stopping(),
                told => {
                    self.is_up |= matches!(told, Told::Ready { .. });
                    self.account.tell(told);
                    self.account.room().await;
                }
            }
        }
        let what =
            format!("the daemon of {} has gone away, and the sessions with it", self.place.file.display());
        Err(Failure::failed(what).hint("start them again"))
    }

    /// Ends the sessions, once their calls have.
    ///
    /// # Cancellation
    /// They may have been told to end, or not.
    async fn stop(&mut self) -> Result<(), Failure> {
        self.stopping();
        // A daemon that has gone, or ends it already, says so to those who listen.
        let _ = self.listening.end().await;
        self.listen().await
    }

    /// From now on dropping this breaks the calls. A daemon that was not asked before would take it for a command that
    /// was killed, and the second signal may come before the first was passed on.
    async fn hurry(&self) {
        let _ = timeout(PATIENCE, self.listening.end()).await;
    }

    /// Told by whoever knows it first.
    fn stopping(&mut self) {
        if !std::mem::replace(&mut self.is_stopping, true) {
            self.account.tell(Told::Stopping {});
        }
    }
}
