//! What lies in the folder of all projects, for people who wonder: nothing is changed, and no lock is taken.

use std::fs::File;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::orphans;
use super::private_folder::check_private;
use super::runtime_dir::{HASH_DIGITS, LOCK, RuntimeDir, RuntimeDirError, base};

/// Two lines; what is longer is none of ours.
const MAX_LOCK: u64 = 8 * 1024;

/// The folder of all projects, and those in it.
#[derive(Debug)]
pub struct RuntimeSurvey {
    /// Where it is, or will be.
    pub base: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// Why it cannot be used.
    pub trouble: Option<RuntimeDirError>,
    /// One for each project.
    pub projects: Vec<ProjectFolder>,
}

/// The folder of one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFolder {
    /// Where it is.
    pub folder: PathBuf,
    /// The project, as its daemon wrote it.
    pub project: Option<PathBuf>,
    /// The daemon's process.
    pub pid: Option<i32>,
    /// Whether somebody is behind it.
    pub owner: Owner,
}

/// Who is behind a project's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A daemon that takes connections.
    Answers,
    /// A process that does not: it is starting, ending, or stuck.
    Silent,
    /// Nobody: it was killed. The next daemon of the project clears it away.
    Gone,
}

impl RuntimeSurvey {
    /// Of this user's folder.
    pub fn take() -> Self {
        Self::take_of(base())
    }

    /// The same of another base folder.
    pub fn take_of(base: PathBuf) -> Self {
        let exists = base.symlink_metadata().is_ok();
        let trouble = if exists { check_private(&base).err() } else { None };
        let entries = base.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        let mut projects: Vec<_> =
            entries.filter(|path| is_of_project(path)).map(|path| ProjectFolder::of(&path)).collect();
        projects.sort_by(|a, b| a.folder.cmp(&b.folder));
        Self { base, exists, trouble, projects }
    }
}

/// Whether it has the name that we give to the folder of a project. What else lies there is not ours.
fn is_of_project(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    path.is_dir() && name.len() == HASH_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl ProjectFolder {
    /// Looks at one, from [`RuntimeDir::folder_of`].
    pub fn of(folder: &Path) -> Self {
        let mut text = String::new();
        if let Ok(lock) = File::open(folder.join(LOCK)) {
            let _ = lock.take(MAX_LOCK).read_to_string(&mut text);
        }
        let mut lines = text.lines();
        let pid = lines.next().and_then(|line| line.parse().ok());
        let lives = || pid.and_then(orphans::identify).is_some();
        let owner = match UnixStream::connect(RuntimeDir::control_socket(folder)) {
            Ok(_) => Owner::Answers,
            Err(_) if lives() => Owner::Silent,
            Err(_) => Owner::Gone,
        };
        Self { folder: folder.to_owned(), project: lines.next().map(PathBuf::from), pid, owner }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_behind_a_folder_is_seen_without_touching_it() {
        let keep = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
        let (base, file) = (keep.path().join("run"), keep.path().join("jackfield.toml"));
        std::fs::write(&file, "").unwrap();
        assert!(!RuntimeSurvey::take_of(base.clone()).exists);
        let runtime = RuntimeDir::claim_in(&base, &file).unwrap();
        let seen = RuntimeSurvey::take_of(base.clone());
        assert!(seen.exists && seen.trouble.is_none());
        let found = &seen.projects[0];
        assert_eq!((found.owner, found.pid), (Owner::Silent, Some(std::process::id().cast_signed())));
        assert_eq!(found.project, Some(file.canonicalize().unwrap()));
        let listener =
            std::os::unix::net::UnixListener::bind(RuntimeDir::control_socket(runtime.folder())).unwrap();
        assert_eq!(RuntimeSurvey::take_of(base.clone()).projects[0].owner, Owner::Answers);
        drop(listener);
        std::fs::write(runtime.folder().join(LOCK), "2147483647\n/gone\n").unwrap();
        assert_eq!(RuntimeSurvey::take_of(base).projects[0].owner, Owner::Gone);
    }
}
