//! The daemon that a command needs and nobody has started.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};

use super::failure::Failure;
use super::place::Place;
use crate::control::{Client, ClientError};
use crate::session::background;

/// How long a daemon may take until it answers: it starts the sessions of its project.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What is shown of the log of a daemon that did not start.
const SHOWN: u64 = 8 * 1024;

/// The client of the daemon of a place; starts the daemon if none answers.
pub(super) async fn client(place: &Place) -> Result<Client, Failure> {
    let client = place.client();
    match client.status().await {
        Ok(_) => Ok(client),
        Err(ClientError::Connect { .. }) => {
            let log = log_file(&place.file)?;
            // Commands that come in the same moment wait here, and find the daemon of the first.
            let _one = lock(&log.with_extension("lock"))?;
            match client.status().await {
                Ok(_) => {}
                Err(_) => start(place, &log).await?,
            }
            Ok(client)
        }
        Err(error) => Err(error.into()),
    }
}

async fn start(place: &Place, log: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot start the daemon: {error}"));
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(log).map_err(failed)?;
    let program = std::env::current_exe().map_err(failed)?;
    let arguments = [OsStr::new("daemon"), OsStr::new("--file"), place.file.as_os_str()];
    let out = background(program.as_os_str(), arguments, file).await.map_err(failed)?;
    let mut lines = BufReader::new(out).lines();
    let ready = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains(r#""event":"ready""#) {
                return true;
            }
        }
        false
    };
    match tokio::time::timeout(READY_WITHIN, ready).await {
        Ok(true) => Ok(()),
        ended => {
            // `jackfield up` may have been started in the same moment.
            if place.client().status().await.is_ok() {
                return Ok(());
            }
            let why = if ended.is_ok() { "it ended at once" } else { "it does not get ready" };
            let failure =
                Failure::failed(format!("the daemon of {} cannot be started: {why}", place.file.display()));
            Err(failure.below(tail(log)).hint(format!("its log is {}", log.display())))
        }
    }
}

/// Held until the file is dropped. It is never handed to a child, which would keep it.
fn lock(path: &Path) -> Result<File, Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot lock {}: {error}", path.display()));
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|error| failed(error.into()))?;
    Ok(file)
}

/// Beside what other programs keep there; one for each project.
fn log_file(project: &Path) -> Result<PathBuf, Failure> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = state.or_else(|| Some(std::env::home_dir()?.join(".local/state")));
    let folder = state.unwrap_or_else(std::env::temp_dir).join("jackfield");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|error| Failure::failed(format!("cannot make {}: {error}", folder.display())))?;
    let name: String = project
        .to_string_lossy()
        .trim_matches('/')
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    // The end of a path tells more than its beginning.
    let from = name.len().saturating_sub(200);
    Ok(folder.join(format!("{}.log", name.get(from..).unwrap_or_default())))
}

fn tail(log: &Path) -> String {
    let mut text = String::new();
    if let Ok(file) = File::open(log) {
        let _ = file.take(SHOWN).read_to_string(&mut text);
    }
    text.trim_end().to_owned()
}
