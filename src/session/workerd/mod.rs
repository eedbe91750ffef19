//! Finding a workerd to run: named by the user, on PATH, in the project's node_modules, in our cache, or fetched into
//! the cache with the machine's npm.

mod cache;
pub(in crate::session) mod child;
mod error;
mod esbuild;
mod fetch;
mod modules;
mod native;
mod platform;
pub(super) mod probe;
mod tools;
mod trust;
mod unpack;

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

pub use error::WorkerdError;
pub use esbuild::{EsbuildError, locate_esbuild};
pub use platform::Pin;
pub use tools::{Tool, tool};

/// Where to look, read from the environment once so that nothing below depends on it.
#[derive(Clone, Debug)]
pub struct Options {
    /// `JACKFIELD_WORKERD`: this binary and no other.
    pub explicit: Option<PathBuf>,
    /// `PATH`: where workerd and npm are looked for.
    pub path: OsString,
    /// The folder from which node_modules are looked for, upwards.
    pub project: PathBuf,
    /// The user's home, above which nothing is looked for.
    pub home: Option<PathBuf>,
    /// Our own cache folder; it is created when something is fetched.
    pub cache: Option<PathBuf>,
    /// The release that is fetched.
    pub pin: Pin,
}

impl Options {
    /// What the environment says, for a project in `project`.
    ///
    /// # Errors
    /// On a platform without a workerd that we can drive.
    pub fn from_env(project: &Path) -> Result<Self, WorkerdError> {
        let home = absolute_variable("HOME");
        Ok(Self {
            explicit: env::var_os("JACKFIELD_WORKERD").filter(|value| !value.is_empty()).map(PathBuf::from),
            path: env::var_os("PATH").unwrap_or_default(),
            project: project.to_owned(),
            cache: cache_folder(absolute_variable("XDG_CACHE_HOME"), home.as_deref()),
            home,
            pin: Pin::for_host()?,
        })
    }

    /// The folders of `path`. Relative ones depend on where one stands, and are nobody's choice.
    fn path_folders(&self) -> impl Iterator<Item = PathBuf> + '_ {
        env::split_paths(&self.path).filter(|folder| folder.is_absolute())
    }
}

fn absolute_variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn cache_folder(xdg_cache_home: Option<PathBuf>, home: Option<&Path>) -> Option<PathBuf> {
    let by_habit = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    Some(xdg_cache_home.or_else(|| home.map(|home| home.join(by_habit)))?.join("jackfield"))
}

/// A workerd that runs on this machine and has a debug port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workerd {
    /// The native binary.
    pub path: PathBuf,
    /// What it answers to `--version`, a date.
    pub version: String,
    /// How it was found.
    pub source: Source,
    /// What would have come first, and why it did not. Worth a word to the user, who may expect it.
    pub passed_over: Vec<PassedOver>,
}

/// A candidate or a folder that was left aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The candidate, or the folder at which the search ended.
    pub path: PathBuf,
    /// The reason.
    pub why: String,
}

/// How a workerd was found, in the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `JACKFIELD_WORKERD` names it.
    Variable,
    /// It lies on PATH.
    Path,
    /// It lies in the project's node_modules.
    NodeModules,
    /// It was fetched earlier.
    Cache,
    /// It was fetched just now.
    Fetched,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variable => "named by JACKFIELD_WORKERD",
            Self::Path => "found on PATH",
            Self::NodeModules => "found in node_modules",
            Self::Cache => "from the cache",
            Self::Fetched => "just fetched",
        })
    }
}

/// Told how a fetch goes on. Only the command line prints, so this room asks to be watched.
pub trait FetchProgress {
    /// A step begins; `total` bytes are expected, 0 where nothing can be counted.
    fn step(&mut self, step: FetchStep, total: u64);
    /// So many bytes of the step are done. May exceed the total a little: a download counts npm's own files too.
    fn advance_to(&mut self, bytes: u64);
    /// The fetch is over, well or not. Called once for every fetch that made a step.
    fn finish(&mut self);
}

/// A step of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchStep {
    /// Another process fetches the same; its result will serve us.
    WaitingForAnother,
    /// npm downloads this package.
    Downloading {
        /// The npm package.
        package: String,
        /// Its version.
        version: String,
    },
    /// Its SHA-512 is taken.
    Checking,
    /// The binary is unpacked.
    Unpacking,
}

/// Watches nothing.
impl FetchProgress for () {
    fn step(&mut self, _: FetchStep, _: u64) {}
    fn advance_to(&mut self, _: u64) {}
    fn finish(&mut self) {}
}

/// Finds a workerd, or fetches one.
///
/// Blocks: on short runs of the candidate, and on npm for as long as a download takes. Call it before a runtime runs,
/// or from a thread that may block.
///
/// # Errors
/// A candidate that is found and cannot be used is an error and not passed over in silence, where the user chose it:
/// the variable, PATH, the project. [`WorkerdError`] names the way out.
pub fn locate(options: &Options, progress: &mut dyn FetchProgress) -> Result<Workerd, WorkerdError> {
    let mut passed_over = Vec::new();
    let (path, source) = match look(options, &mut passed_over)? {
        Some(found) => found,
        None => {
            let cache = options.cache.as_deref().ok_or(WorkerdError::NoCacheFolder)?;
            fetch::into_cache(options, cache, progress)?
        }
    };
    let version = probe::version(&path, source, &options.pin);
    if source == Source::Fetched && version.is_err() {
        // What is kept is known to run. Whoever else has got it meanwhile keeps it by its open file.
        let _ = std::fs::remove_file(&path);
    }
    Ok(Workerd { path, version: version?, source, passed_over })
}

/// Finds a workerd that is on this machine. Blocks, as [`locate`] does.
///
/// # Errors
/// As [`locate`].
pub fn find(options: &Options) -> Result<Option<Workerd>, WorkerdError> {
    let mut passed_over = Vec::new();
    let Some((path, source)) = look(options, &mut passed_over)? else { return Ok(None) };
    let version = probe::version(&path, source, &options.pin)?;
    Ok(Some(Workerd { path, version, source, passed_over }))
}

fn look(
    options: &Options,
    passed_over: &mut Vec<PassedOver>,
) -> Result<Option<(PathBuf, Source)>, WorkerdError> {
    let package = options.pin.folder();
    if let Some(explicit) = &options.explicit {
        let path = native::resolve(explicit, package)
            .map_err(|why| WorkerdError::Explicit { path: explicit.clone(), why })?;
        return Ok(Some((path, Source::Variable)));
    }
    for candidate in options.path_folders().map(|folder| folder.join("workerd")) {
        if !native::is_executable_file(&candidate) {
            continue;
        }
        match native::resolve(&candidate, package) {
            Ok(path) => return Ok(Some((path, Source::Path))),
            Err(why) => passed_over.push(PassedOver { path: candidate, why }),
        }
    }
    if let Some(path) = modules::search(&options.project, options.home.as_deref(), package, passed_over) {
        return Ok(Some((path, Source::NodeModules)));
    }
    let cache = options.cache.as_deref().ok_or(WorkerdError::NoCacheFolder)?;
    if let Some(path) = cache::binary(cache, &options.pin)? {
        return Ok(Some((path, Source::Cache)));
    }
    Ok(None)
}
