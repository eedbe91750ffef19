//! Fetching the pinned release with the machine's npm client, whose registry, proxy and credentials are its own
//! business.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::cache::{self, Lock};
use super::{FetchProgress, FetchStep, Options, Pin, Source, WorkerdError, child, native, unpack};

/// How much of npm's own words an error repeats.
const SAID: usize = 1_000;

/// Fetches the pinned release into the cache, or waits for another process that is at it.
pub(super) fn into_cache(
    options: &Options,
    cache: &Path,
    progress: &mut dyn FetchProgress,
) -> Result<(PathBuf, Source), WorkerdError> {
    let pin = &options.pin;
    let npm = options
        .path_folders()
        .map(|folder| folder.join("npm"))
        .find(|npm| native::is_executable_file(npm))
        .ok_or_else(|| WorkerdError::NoNpm { package: pin.package.clone(), version: pin.version.clone() })?;
    let fetched = fetch(options, &npm, cache, progress);
    progress.finish();
    fetched
}

fn fetch(
    options: &Options,
    npm: &Path,
    cache: &Path,
    progress: &mut dyn FetchProgress,
) -> Result<(PathBuf, Source), WorkerdError> {
    let pin = &options.pin;
    let lock = Lock::take(cache, progress)?;
    if let Some(path) = cache::binary(cache, pin)? {
        return Ok((path, Source::Cache));
    }
    let needed = pin.packed_bytes + pin.binary_bytes;
    let fail = |doing, path: &Path, source| WorkerdError::from_cache(doing, path, needed, source);
    let work = lock.work_folder().map_err(|source| fail("create a work folder in", cache, source))?;
    // npm keeps a second copy of the package in the private cache that it is given.
    check_room(cache, needed + pin.packed_bytes)?;
    progress.step(
        FetchStep::Downloading { package: pin.package.clone(), version: pin.version.clone() },
        pin.packed_bytes,
    );
    let npm = Npm { program: npm, options, work: work.path() };
    let packed = npm.pack(progress)?;
    let binary = work.path().join("workerd");
    unpack::binary_from(&packed, &binary, pin, progress)?;
    let path = lock.publish(&binary, pin).map_err(|source| fail("write to", cache, source))?;
    Ok((path, Source::Fetched))
}

/// Better before the download than after it.
fn check_room(cache: &Path, needed: u64) -> Result<(), WorkerdError> {
    match rustix::fs::statvfs(cache) {
        Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < needed => {
            Err(WorkerdError::NoRoom { path: cache.to_owned(), needed })
        }
        // A file system that cannot say is no reason not to try.
        _ => Ok(()),
    }
}

struct Npm<'a> {
    program: &'a Path,
    options: &'a Options,
    work: &'a Path,
}

impl Npm<'_> {
    /// Has the package packed into the work folder, and says where it lies.
    ///
    /// First from the user's npm cache, without network: what was installed once need not be downloaded again. Then
    /// with a private cache, whose growth is the progress, and which leaves nothing behind.
    fn pack(&self, progress: &mut dyn FetchProgress) -> Result<PathBuf, WorkerdError> {
        let kept = self.run(&["--offline".as_ref()], &mut || {})?;
        if kept.status.code().is_none() {
            // A signal ended it, which Ctrl-C sends to npm as well as to us.
            return Err(self.explain(kept));
        }
        if !kept.status.success() || self.packed().is_none() {
            let private = self.work.join("npm");
            let loaded = self.run(&["--cache".as_ref(), private.as_os_str()], &mut || {
                progress.advance_to(size_of(&private));
            })?;
            if !loaded.status.success() {
                return Err(self.explain(loaded));
            }
        }
        self.packed().ok_or_else(|| self.failure("it left no package behind".to_owned(), String::new()))
    }

    fn run(&self, extra: &[&std::ffi::OsStr], tick: &mut dyn FnMut()) -> Result<Ended, WorkerdError> {
        let Pin { package, version, .. } = &self.options.pin;
        let log = self.work.join("npm.log");
        let said = |error: io::Error| self.failure(error.to_string(), String::new());
        let mut command = Command::new(self.program);
        command
            .arg("pack")
            .arg(format!("{package}@{version}"))
            .args(["--ignore-scripts", "--loglevel=error", "--no-audit", "--no-fund", "--no-update-notifier"])
            .args(extra)
            // npm packs into the folder it stands in. Standing in the project, it would read a configuration that
            // came with somebody's repository.
            .current_dir(self.work)
            .env("PATH", &self.options.path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).map_err(said)?);
        let mut child = child::start(&mut command).map_err(said)?;
        let status = child::wait(&mut child, || {
            tick();
            true
        })
        .map_err(said)?
        .ok_or_else(|| self.failure("it was stopped".to_owned(), String::new()))?;
        Ok(Ended { status, said: excerpt(&fs::read(&log).unwrap_or_default()) })
    }

    /// The packed package. npm derives its name from the package's, in a way that has changed between its versions.
    fn packed(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.work).ok()?;
        entries.flatten().map(|entry| entry.path()).find(|path| {
            path.extension().is_some_and(|extension| extension == "tgz")
                && fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
        })
    }

    fn explain(&self, ended: Ended) -> WorkerdError {
        const FULL: [&str; 2] = ["ENOSPC", "EDQUOT"];
        const UNREACHED: [&str; 8] = [
            "ENOTFOUND",
            "EAI_AGAIN",
            "ECONNREFUSED",
            "ECONNRESET",
            "ETIMEDOUT",
            "ENETUNREACH",
            "EHOSTUNREACH",
            "ENOTCACHED",
        ];
        let Pin { package, version, packed_bytes, binary_bytes, .. } = self.options.pin.clone();
        let mentions = |codes: &[&str]| codes.iter().any(|code| ended.said.contains(code));
        if mentions(&FULL) {
            let path = self.work.parent().unwrap_or(self.work).to_owned();
            return WorkerdError::NoRoom { path, needed: packed_bytes + binary_bytes };
        }
        if mentions(&UNREACHED) {
            return WorkerdError::NoNetwork { package, version, said: ended.said };
        }
        self.failure(ended.status.to_string(), ended.said)
    }

    fn failure(&self, why: String, said: String) -> WorkerdError {
        let Pin { package, version, .. } = self.options.pin.clone();
        WorkerdError::Npm { package, version, why, said }
    }
}

struct Ended {
    status: ExitStatus,
    said: String,
}

/// The lines that say something, without the pointer to a log that goes away with the work folder.
fn excerpt(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines =
        text.lines().filter(|line| !line.trim().is_empty() && !line.contains("complete log of this run"));
    lines.collect::<Vec<_>>().join("\n").chars().take(SAID).collect()
}

/// The bytes of all files below a folder that is being written to.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size_of(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}
