//! The daemon that a command needs and nobody has started.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::future::Future;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};

use super::failure::Failure;
use super::place::Place;
use super::screen;
use crate::control::{Client, ClientError, Code};
use crate::session::{Owner, ProjectFolder, RuntimeDir, background};

/// How long a daemon may take until it answers: it starts the sessions of its project.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How often to look whether a daemon has ended, or another command has started one, which nobody tells.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What is shown of the log of a daemon that did not start.
const SHOWN: u64 = 8 * 1024;

/// The client of the daemon of a place; starts the daemon if none answers.
///
/// `ingress` is the port for browsers that a new daemon takes; `None` leaves it to the daemon.
async fn client(place: &Place, ingress: Option<u16>) -> Result<Client, Failure> {
    let client = place.client();
    match client.status().await {
        Ok(status) => {
            let wanted = ingress.map(|port| format!("http://localhost:{port}/"));
            if let Some(url) = status.ingress.filter(|url| wanted.is_some() && wanted.as_ref() != Some(url)) {
                screen::note(&format!("a daemon runs already, and has its URLs at {url}"));
            }
            Ok(client)
        }
        // One that is lost in the middle of an answer is on its way out.
        Err(ClientError::Connect { .. } | ClientError::Lost { .. }) => {
            let log = log_file(&place.file)?;
            // Commands that come in the same moment wait here, and find the daemon of the first.
            let _one = lock(&log.with_extension("lock")).await?;
            left(place).await;
            match client.status().await {
                Ok(_) => {}
                Err(_) => start(place, &log, ingress).await?,
            }
            Ok(client)
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks the daemon of a place; if that one is on its way out, the next.
pub(super) async fn ask<T, F>(
    place: &Place,
    ingress: Option<u16>,
    request: impl Fn(Client) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let daemon = client(place, ingress).await?;
    match request(daemon.clone()).await {
        Err(ClientError::Refused(problem)) if problem.code == Code::Stopping => {
            let gone = async {
                while daemon.status().await.is_ok() {
                    tokio::time::sleep(LOOK_EVERY).await
                }
            };
            // Then the next one says what is wrong.
            let _ = tokio::time::timeout(READY_WITHIN, gone).await;
        }
        // It has ended since it told its state.
        Err(ClientError::Connect { .. } | ClientError::Lost { .. }) => {}
        answered => return Ok(answered?),
    }
    Ok(request(client(place, ingress).await?).await?)
}

/// Waits for a daemon that has closed its socket, and still holds the folder of the project while its sessions end.
async fn left(place: &Place) {
    let Ok(folder) = RuntimeDir::folder_of(&place.file) else { return };
    let is_held = || ProjectFolder::of(&folder).owner == Owner::Silent;
    let free = async {
        while is_held() {
            tokio::time::sleep(LOOK_EVERY).await
        }
    };
    // Whoever is stuck is named by the daemon that finds the folder taken.
    let _ = tokio::time::timeout(READY_WITHIN, free).await;
}

async fn start(place: &Place, log: &Path, ingress: Option<u16>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot start the daemon: {error}"));
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(log).map_err(failed)?;
    let program = std::env::current_exe().map_err(failed)?;
    let port = ingress.map(|port| format!("--ingress-port={port}"));
    let arguments = [OsStr::new("daemon"), OsStr::new("--file"), place.file.as_os_str()];
    let arguments = arguments.into_iter().chain(port.as_deref().map(OsStr::new));
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
///
/// # Cancellation
/// Safe. Whoever has a command in its terminal cannot wait in any other way.
async fn lock(path: &Path) -> Result<File, Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot lock {}: {error}", path.display()));
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {
                tokio::time::sleep(LOOK_EVERY).await
            }
            Err(error) => return Err(failed(error.into())),
        }
    }
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

/// The end of the log, where it says what went wrong.
fn tail(log: &Path) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
        let mut bytes = Vec::new();
        file.take(SHOWN).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    // What cannot be read is not shown; it is named all the same.
    let bytes = read().unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_end_is_shown() {
        let log = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(log.path(), "é".repeat(10_000) + "\nthe reason\n").unwrap();
        let shown = tail(log.path());
        assert!(shown.ends_with("\nthe reason") && shown.len() as u64 <= SHOWN + 3, "{}", shown.len());
        assert_eq!(tail(Path::new("/no such file")), "");
    }
}
