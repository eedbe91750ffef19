//! Which project is meant, and where its daemon listens.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::control::Client;
use crate::session::RuntimeDir;
use crate::session::project::FILE_NAME;

/// A project file and the socket of its daemon.
#[derive(Debug)]
pub(super) struct Place {
    /// The project file, absolute, with links resolved.
    pub(super) file: PathBuf,
    socket: PathBuf,
}

impl Place {
    /// The project that `file` names, or the nearest one at or above `here`.
    pub(super) fn project(file: Option<&Path>, here: &Path) -> Result<Self, Failure> {
        let found =
            file.map_or_else(|| Self::nearest(here), |file| Self::named(&here.join(file)).map(Some))?;
        found.ok_or_else(|| {
            let what = format!("there is no {FILE_NAME} in {} or a folder above it", here.display());
            Failure::usage(what).hint(others("name one with --file, or start in the folder of the project"))
        })
    }

    /// The same; outside of all projects the user's own, if a daemon runs for it.
    pub(super) fn find(file: Option<&Path>, here: &Path) -> Result<Self, Failure> {
        match Self::for_all(file, here) {
            Ok(place) if place.file.exists() || place.has_daemon() => Ok(place),
            Ok(_) => {
                let what = format!(
                    "nothing runs: no daemon answers, and there is no {FILE_NAME} in {} or a folder above it",
                    here.display()
                );
                let way = "start sessions with `jackfield dev`, `jackfield run -- COMMAND` or `jackfield up`, or name a \
                           project with --file";
                Err(Failure::unreachable(what).hint(others(way)))
            }
            Err(error) => Err(error),
        }
    }

    /// The same for what can start a daemon: outside of all projects the user's own.
    pub(super) fn for_all(file: Option<&Path>, here: &Path) -> Result<Self, Failure> {
        match file {
            Some(file) => Self::named(&here.join(file)),
            None => Self::nearest(here)?.map_or_else(Self::home, Ok),
        }
    }

    /// That very file, there or not.
    pub(super) fn of(file: PathBuf) -> Result<Self, Failure> {
        let folder = RuntimeDir::folder_of(&file).map_err(Failure::usage)?;
        Ok(Self { file, socket: RuntimeDir::control_socket(&folder) })
    }

    /// A folder stands for the project file in it. A file that is gone still names the daemon that was started for it,
    /// and so does its folder.
    fn named(file: &Path) -> Result<Self, Failure> {
        let file = if file.is_dir() { file.join(FILE_NAME) } else { file.to_owned() };
        match (file.canonicalize(), file.parent(), file.file_name()) {
            (Ok(file), _, _) => return Self::of(file),
            (Err(_), Some(folder), Some(name)) => {
                let gone = folder.canonicalize().map(|folder| folder.join(name)).map(Self::of);
                // The folder may be gone with it.
                match gone.unwrap_or_else(|_| Self::forgotten(&file)) {
                    Ok(place) if place.has_daemon() => return Ok(place),
                    _ => {}
                }
            }
            (Err(_), _, _) => {}
        }
        Err(Failure::usage(format!("there is no {}, and no daemon runs for it", file.display()))
            .hint(others("name a project file, or leave it out inside a project")))
    }

    /// The daemon that says it was started for a file of that name.
    fn forgotten(file: &Path) -> Result<Self, Failure> {
        let found = RuntimeDir::running().into_iter().find(|(project, _)| project == file);
        let found = found.map(|(file, socket)| Self { file, socket });
        found.ok_or_else(|| Failure::usage(format!("no daemon runs for {}", file.display())))
    }

    fn nearest(here: &Path) -> Result<Option<Self>, Failure> {
        for folder in here.ancestors() {
            let file = folder.join(FILE_NAME);
            if file.is_file() {
                return Self::named(&file).map(Some);
            }
            if let Ok(place) = Self::of(file)
                && place.has_daemon()
            {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The user's own: what is not in any project runs there. Its file need not exist.
    fn home() -> Result<Self, Failure> {
        let config = std::env::var_os("XDG_CONFIG_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
        let config = config.or_else(|| Some(std::env::home_dir()?.join(".config")));
        let config = config.ok_or_else(|| {
            Failure::usage("there is no home folder for what is in no project").hint("set HOME")
        })?;
        let folder = config.join("jackfield");
        // The folder names the daemon, so it has to be there.
        let made = std::fs::create_dir_all(&folder);
        made.map_err(|error| Failure::usage(format!("cannot make {}: {error}", folder.display())))?;
        Self::of(folder.join(FILE_NAME))
    }

    /// Whether there is a socket; who listens on it, if anybody, is seen when it is asked.
    fn has_daemon(&self) -> bool {
        self.socket.exists()
    }

    pub(super) fn client(&self) -> Client {
        Client::new(&self.socket)
    }
}

/// Advice, with the projects that run: one of them may be meant.
fn others(advice: &str) -> String {
    let running = RuntimeDir::running();
    let names: Vec<_> = running.iter().map(|(project, _)| project.display().to_string()).collect();
    match names.is_empty() {
        true => advice.to_owned(),
        false => format!("{advice}; daemons run for {}", names.join(", ")),
    }
}
