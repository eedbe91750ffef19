//! Finding esbuild, with which workerd's compiler bundles projects. It is looked for and fetched as workerd is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::{FetchProgress, Options, Pin, WorkerdError, cache, fetch, modules, native, trust};

/// Names one esbuild and no other. workerd has made it known.
const VARIABLE: &str = "WORKERD_ESBUILD";

/// Why there is no esbuild.
#[derive(Debug)]
pub enum EsbuildError {
    /// `WORKERD_ESBUILD` leads nowhere.
    Explicit(PathBuf),
    /// It cannot be fetched.
    Fetch(WorkerdError),
}

impl fmt::Display for EsbuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explicit(path) => write!(
                f,
                "{VARIABLE}={} is no program; set it to esbuild's own binary, or unset it to let jackfield look for one",
                path.display()
            ),
            // What goes wrong is the same as with workerd, and so is the way out.
            Self::Fetch(error) => {
                let text = error.to_string().replace("JACKFIELD_WORKERD", VARIABLE);
                f.write_str(&text.replace("workerd", "esbuild"))
            }
        }
    }
}

impl std::error::Error for EsbuildError {}

/// Finds esbuild, or fetches it. Blocks as [`super::locate`] does.
///
/// # Errors
/// Where there is none and none can be had.
pub fn locate_esbuild(options: &Options, progress: &mut dyn FetchProgress) -> Result<PathBuf, EsbuildError> {
    if let Some(path) = env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from) {
        let found = fs::canonicalize(&path).ok().filter(|path| native::is_executable_file(path));
        return found.ok_or(EsbuildError::Explicit(path));
    }
    let pin = Pin::of_esbuild().map_err(EsbuildError::Fetch)?;
    if let Some(path) = in_project(options, &pin) {
        return Ok(path);
    }
    let on_path = options.path_folders().map(|folder| folder.join("esbuild"));
    if let Some(path) = on_path.into_iter().find(|path| native::is_native(path)) {
        return Ok(path);
    }
    let cache = options.cache.as_deref().ok_or(EsbuildError::Fetch(WorkerdError::NoCacheFolder))?;
    if let Some(path) = cache::binary(cache, &pin).map_err(EsbuildError::Fetch)? {
        return Ok(path);
    }
    let options = Options { pin, ..options.clone() };
    fetch::into_cache(&options, cache, progress).map(|(path, _)| path).map_err(EsbuildError::Fetch)
}

/// In the node_modules at or above the project: the package of this platform, or of a bundler that was installed with
/// links to it.
fn in_project(options: &Options, pin: &Pin) -> Option<PathBuf> {
    let project = fs::canonicalize(&options.project).ok()?;
    let home = options.home.as_deref().and_then(|home| fs::canonicalize(home).ok());
    let levels = modules::levels(&project, home.as_deref(), &mut Vec::new());
    let binary = |modules: &Path| modules.join(&pin.package).join("bin/esbuild");
    levels.iter().map(|level| level.join("node_modules")).find_map(|modules| {
        let places = [binary(&modules), binary(&modules.join(".pnpm/node_modules"))];
        places.iter().filter(|path| native::is_native(path)).find_map(|path| {
            let path = fs::canonicalize(path).ok()?;
            trust::objection_to_file(&path).is_none().then_some(path)
        })
    })
}
