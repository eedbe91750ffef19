//! The private folder of a project: control socket, faces, debug ports, and the lock that says whose they are.
//!
//! Whoever can reach a socket in here has total power over the sessions, so the folder is ours alone (owner, mode,
//! no symbolic link) or it is not used. Only the holder of the lock removes anything.

mod error;
mod held;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};

use super::name::SessionName;
use super::orphans::{self, Identity};
use super::private_folder::{make_private, take_lock};
pub use error::RuntimeDirError;
pub(super) use error::failed;
pub use held::Held;
use held::{is_held, is_view_name};

/// Overrides where the folders of all projects lie.
pub const BASE_VARIABLE: &str = "JACKFIELD_RUNTIME_DIR";

/// What `sockaddr_un` holds on macOS, the smallest of our systems, without the closing zero.
const MAX_SOCKET_PATH: usize = 103;
/// The longest name that [`RuntimeDir`] gives to a socket: `g-`, 12 hex digits, a start, an index.
const LONGEST_NAME: usize = 2 + HASH_DIGITS + 1 + 20 + 1 + 5;
/// Enough for thousands of children; a larger file is not one of ours.
const MAX_LEDGER_BYTES: u64 = 1 << 20;

pub(super) const LOCK: &str = "lock";
const CHILDREN: &str = "children";
const VIEW: &str = "view-";

/// The folder, locked. Dropping it empties and removes it.
#[derive(Debug)]
pub struct RuntimeDir {
    folder: PathBuf,
    lock: File,
    children: Mutex<Vec<Identity>>,
    cf_header: String,
}

impl RuntimeDir {
    /// Takes the folder of a project, cleans up after an owner that was killed, and keeps it until dropped.
    pub fn claim(project: &Path) -> Result<Self, RuntimeDirError> {
        Self::claim_in(&base(), project)
    }

    /// The same in a given base folder.
    pub fn claim_in(base: &Path, project: &Path) -> Result<Self, RuntimeDirError> {
        let folder = folder_in(base, project)?;
        make_private(base)?;
        make_private(&folder)?;
        let lock = take_lock(&folder, &locate(project)?)?;
        let cf_header =
            random_header().map_err(failed("read random bytes from", Path::new("/dev/urandom")))?;
        let runtime = Self { folder, lock, children: Mutex::default(), cf_header };
        runtime.bury_the_dead()?;
        runtime.empty(is_held)?;
        Ok(runtime)
    }

    /// The folder of a project, whether it exists or not: where a client looks for the control socket.
    pub fn folder_of(project: &Path) -> Result<PathBuf, RuntimeDirError> {
        folder_in(&base(), project)
    }

    /// The projects of this user for which a daemon runs, with the sockets on which those listen.
    pub fn running() -> Vec<(PathBuf, PathBuf)> {
        Self::running_in(&base())
    }

    /// The same in a given base folder.
    pub fn running_in(base: &Path) -> Vec<(PathBuf, PathBuf)> {
        let folders = base.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        let mut running: Vec<_> = folders
            .filter_map(|folder| {
                let mut text = String::new();
                let lock = File::open(folder.join(LOCK)).ok()?;
                lock.take(MAX_LEDGER_BYTES).read_to_string(&mut text).ok()?;
                let socket = Self::control_socket(&folder);
                // What a killed daemon left there answers nobody.
                UnixStream::connect(&socket).ok()?;
                Some((PathBuf::from(text.lines().nth(1)?), socket))
            })
            .collect();
        running.sort();
        running
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The name, random for each run, of the header that carries `cf` between sessions and faces.
    pub fn cf_header(&self) -> &str {
        &self.cf_header
    }

    /// Where the control API listens, in a folder from [`RuntimeDir::folder_of`].
    pub fn control_socket(folder: &Path) -> PathBuf {
        folder.join("control.sock")
    }

    /// Where the user's own tools reach all sessions.
    pub fn tools_port(&self) -> PathBuf {
        self.folder.join("port.sock")
    }

    /// The face of one service link. It outlives generations of the caller.
    pub fn link_face(&self, session: &SessionName, binding: &str) -> PathBuf {
        self.folder.join(format!("l-{}", short_hash(&format!("{session}/{binding}"))))
    }

    /// The debug-port face of one calling session.
    pub fn debug_face(&self, session: &SessionName) -> PathBuf {
        self.folder.join(format!("p-{}", short_hash(&session.to_string())))
    }

    /// Where a fake listens, in the folder of a run.
    pub fn fake_socket(folder: &Path, number: u64) -> PathBuf {
        folder.join(format!("f-{number}"))
    }

    /// What stands for one worker in the registry of a calling session.
    pub fn entry_face(&self, session: &SessionName, worker: &str) -> PathBuf {
        self.folder.join(format!("e-{}", short_hash(&format!("{session}/{worker}"))))
    }

    /// What a trial writes.
    pub(super) fn trial(&self, number: u64) -> PathBuf {
        self.folder.join(format!("t-{number}"))
    }

    /// The registry that a session has for itself.
    pub fn view(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{VIEW}{number}"))
    }

    /// Whether it is the registry of a session, from [`RuntimeDir::view`] of ours or of an owner before us.
    pub fn is_view(&self, folder: &Path) -> bool {
        folder.parent() == Some(&self.folder) && is_view_name(folder)
    }

    /// The real debug port of one start of a session.
    pub fn debug_socket(&self, session: &SessionName, start: u64) -> PathBuf {
        self.folder.join(format!("g-{}-{start}", short_hash(&session.to_string())))
    }

    /// An HTTP socket of one start of a session.
    pub fn http_socket(&self, session: &SessionName, start: u64, index: usize) -> PathBuf {
        self.folder.join(format!("g-{}-{start}-{index}", short_hash(&session.to_string())))
    }

    /// Where one start of a session takes what comes from outside.
    pub fn front_socket(&self, session: &SessionName, start: u64) -> PathBuf {
        self.folder.join(format!("g-{}-{start}-front", short_hash(&session.to_string())))
    }

    /// Writes down a child, so that the next owner can end it if we are killed.
    pub(super) fn adopt(&self, child: Identity) -> Result<(), RuntimeDirError> {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.push(child);
        self.write_children(&children)
    }

    /// Forgets a child that has ended and was waited for.
    pub(super) fn forget(&self, pid: i32) -> Result<(), RuntimeDirError> {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain(|child| child.pid != pid);
        self.write_children(&children)
    }

    fn write_children(&self, children: &[Identity]) -> Result<(), RuntimeDirError> {
        let path = self.folder.join(CHILDREN);
        let new = self.folder.join("children.new");
        let text = orphans::to_text(children);
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&new).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(failed("write", &new))?;
        std::fs::rename(&new, &path).map_err(failed("write", &path))
    }

    fn bury_the_dead(&self) -> Result<(), RuntimeDirError> {
        let path = self.folder.join(CHILDREN);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let mut text = String::new();
        file.take(MAX_LEDGER_BYTES).read_to_string(&mut text).map_err(failed("read", &path))?;
        for child in orphans::from_text(&text) {
            orphans::end(&child).map_err(|_| RuntimeDirError::Orphan { pid: child.pid })?;
        }
        Ok(())
    }

    /// Removes everything but the lock, and what is to be kept.
    fn empty(&self, is_kept: impl Fn(&Path) -> bool) -> Result<(), RuntimeDirError> {
        let entries = self.folder.read_dir().map_err(failed("list", &self.folder))?;
        for entry in entries {
            let path = entry.map_err(failed("list", &self.folder))?.path();
            if path.file_name().is_some_and(|name| name == LOCK) || is_kept(&path) {
                continue;
            }
            let is_folder = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
            let removed =
                if is_folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for RuntimeDir {
    /// The lock file goes last and while the lock is held; whoever waits for it looks again (see `take_lock`).
    fn drop(&mut self) {
        let done = self.empty(|_| false).is_ok() && std::fs::remove_file(self.folder.join(LOCK)).is_ok();
        if done {
            let _ = std::fs::remove_dir(&self.folder);
        }
        let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
    }
}

/// Where the folders of all projects lie. `XDG_RUNTIME_DIR` counts only if it is there and ours: after `su` it often
/// names the folder of somebody else.
pub(super) fn base() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let us = rustix::process::geteuid().as_raw();
    let ours = |folder: &PathBuf| folder.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == us);
    from(BASE_VARIABLE)
        .or_else(|| Some(from("XDG_RUNTIME_DIR").filter(ours)?.join("jackfield")))
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/jackfield-{us}")))
}

fn folder_in(base: &Path, project: &Path) -> Result<PathBuf, RuntimeDirError> {
    let base = std::path::absolute(base).map_err(failed("find", base))?;
    let project = locate(project)?;
    let folder = base.join(short_hash(&project.to_string_lossy()));
    let length = folder.as_os_str().len() + 1 + LONGEST_NAME;
    if length > MAX_SOCKET_PATH {
        return Err(RuntimeDirError::TooLong { folder, length });
    }
    Ok(folder)
}

/// The one name of a project file. One that is gone still names the run that was started for it.
fn locate(project: &Path) -> Result<PathBuf, RuntimeDirError> {
    let folder = match (project.canonicalize(), project.parent().map(Path::canonicalize)) {
        (Ok(project), _) => return Ok(project),
        (Err(error), Some(Ok(folder))) if error.kind() == io::ErrorKind::NotFound => folder,
        (Err(error), _) => return Err(failed("find", project)(error)),
    };
    Ok(project.file_name().map(|name| folder.join(name)).unwrap_or(folder))
}

/// In hexadecimal: 48 bits. A project has few links, and a clash would only make the second bind fail.
pub(super) const HASH_DIGITS: usize = 12;

fn short_hash(text: &str) -> String {
    let mut digits = hex::encode(Sha256::digest(text.as_bytes()));
    digits.truncate(HASH_DIGITS);
    digits
}

fn random_header() -> io::Result<String> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("x-jackfield-cf-{}", hex::encode(bytes)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn project() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
        let file = folder.path().join("jackfield.toml");
        std::fs::write(&file, "").unwrap();
        let base = folder.path().join("run");
        (folder, base, file)
    }

    #[test]
    fn one_owner_at_a_time_and_nothing_stays() {
        let (_keep, base, file) = project();
        let first = RuntimeDir::claim_in(&base, &file).unwrap();
        let folder = first.folder().to_owned();
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        std::fs::write(folder.join("p-stale"), "").unwrap();
        let said = RuntimeDir::claim_in(&base, &file).unwrap_err().to_string();
        assert!(said.contains(&format!("(process {})", std::process::id())), "{said}");
        assert!(folder.join("p-stale").exists());
        drop(first);
        assert!(!folder.exists());
        RuntimeDir::claim_in(&base, &file).unwrap();
    }

    #[test]
    fn a_folder_that_others_can_reach_is_refused() {
        let (_keep, base, file) = project();
        std::fs::create_dir(&base).unwrap();
        std::fs::set_permissions(&base, std::fs::Permissions::from_mode(0o750)).unwrap();
        let said = RuntimeDir::claim_in(&base, &file).unwrap_err().to_string();
        assert!(said.contains("mode 750") && said.contains("chmod 700"), "{said}");
        std::fs::remove_dir(&base).unwrap();
        std::os::unix::fs::symlink("/tmp", &base).unwrap();
        let said = RuntimeDir::claim_in(&base, &file).unwrap_err().to_string();
        assert!(said.contains("it is a link"), "{said}");
    }

    #[test]
    fn a_base_too_long_for_sockets_is_refused_with_the_way_out() {
        let (_keep, base, file) = project();
        let long = base.join("x".repeat(60));
        let said = RuntimeDir::claim_in(&long, &file).unwrap_err().to_string();
        assert!(said.contains("too long for sockets") && said.contains(BASE_VARIABLE), "{said}");
    }

    #[test]
    fn a_registry_that_a_command_holds_stays_when_its_daemon_is_killed() {
        let (_keep, base, file) = project();
        let first = RuntimeDir::claim_in(&base, &file).unwrap();
        let (held, left) = (first.view(1), first.view(2));
        for view in [&held, &left] {
            std::fs::create_dir(view).unwrap();
            std::fs::write(view.join("api"), "{}").unwrap();
        }
        let hold = Held::of(&held).unwrap();
        rustix::fs::flock(&first.lock, FlockOperation::Unlock).unwrap();
        let second = RuntimeDir::claim_in(&base, &file).unwrap();
        assert!(held.join("api").exists() && !left.exists());
        assert!(second.is_view(&held));
        for other in ["view-", "view-1x", "view-1/x", "x"] {
            assert!(!second.is_view(&second.folder().join(other)), "{other}");
        }
        assert!(!second.is_view(&base.join("view-1")));
        // An end in order takes all with it.
        drop(second);
        assert!(!held.exists());
        drop(hold);
    }

    #[test]
    fn an_orphan_is_ended_and_a_stranger_with_its_number_is_not() {
        let (_keep, base, file) = project();
        let spawn = || std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (mut orphan, mut stranger) = (spawn(), spawn());
        let first = RuntimeDir::claim_in(&base, &file).unwrap();
        let identity = |child: &std::process::Child| orphans::identify(child.id().cast_signed()).unwrap();
        first.adopt(identity(&orphan)).unwrap();
        first.adopt(Identity { started: "another time".into(), ..identity(&stranger) }).unwrap();
        // As if killed: the lock goes, the files stay.
        rustix::fs::flock(&first.lock, FlockOperation::Unlock).unwrap();
        let second = RuntimeDir::claim_in(&base, &file).unwrap();
        assert!(!orphan.wait().unwrap().success());
        assert!(stranger.try_wait().unwrap().is_none());
        assert!(!second.folder().join(CHILDREN).exists());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
