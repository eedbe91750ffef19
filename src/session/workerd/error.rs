//! Why there is no workerd, and what helps.

use std::io;
use std::path::{Path, PathBuf};

use super::Source;

/// Why no workerd could be had. Every message names a way out.
#[derive(Debug, thiserror::Error)]
pub enum WorkerdError {
    /// There is no workerd for this machine, or none that we can drive.
    #[error("jackfield does not run on {platform}: {why}")]
    Unsupported {
        /// Operating system and processor.
        platform: String,
        /// The reason, and what runs instead.
        why: &'static str,
    },

    /// `JACKFIELD_WORKERD` leads nowhere.
    #[error(
        "JACKFIELD_WORKERD={} is no workerd: {why}; set it to the native workerd binary, or unset it to let jackfield look for one",
        path.display()
    )]
    Explicit {
        /// The value of the variable.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },

    /// The binary is there and does not run.
    #[error(
        "{} ({found}) does not run as workerd: {why}; set JACKFIELD_WORKERD to a workerd binary that runs on this machine",
        path.display()
    )]
    CannotRun {
        /// The binary.
        path: PathBuf,
        /// How it was found.
        found: Source,
        /// What happened.
        why: String,
    },

    /// The binary is older than the options that we start it with.
    #[error(
        "{} ({found}) is workerd {version}, which has no {missing}; update it (in a project: npm install workerd@latest), \
         or set JACKFIELD_WORKERD to a newer binary",
        path.display()
    )]
    TooOld {
        /// The binary.
        path: PathBuf,
        /// How it was found.
        found: Source,
        /// What it answered to `--version`.
        version: String,
        /// The option it lacks.
        missing: &'static str,
    },

    /// No variable says where a cache could be.
    #[error(
        "no workerd was found, and there is no folder to fetch one into: neither HOME nor XDG_CACHE_HOME is set to an \
         absolute path; set one of them, or set JACKFIELD_WORKERD to a workerd binary"
    )]
    NoCacheFolder,

    /// The cache folder may be changed by others.
    #[error(
        "the cache folder {} is not safe to run a program from: {why}; repair it (chmod go-w), move it away, or set \
         JACKFIELD_WORKERD to a workerd binary", path.display()
    )]
    UnsafeCache {
        /// The folder.
        path: PathBuf,
        /// Who could change it.
        why: String,
    },

    /// The cache folder cannot be used.
    #[error(
        "cannot {doing} {}: {source}; set XDG_CACHE_HOME to a folder that can be written, or JACKFIELD_WORKERD to a \
         workerd binary", path.display()
    )]
    Cache {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// The file system is full.
    #[error(
        "no room for workerd below {}: fetching and unpacking it takes {} MB; free some space, set XDG_CACHE_HOME to a \
         folder on another disk, or set JACKFIELD_WORKERD to a workerd binary", path.display(), needed.div_ceil(1_000_000)
    )]
    NoRoom {
        /// The cache folder.
        path: PathBuf,
        /// Bytes it takes.
        needed: u64,
    },

    /// The machine has no npm.
    #[error(
        "no workerd was found (looked at JACKFIELD_WORKERD, PATH, node_modules and the cache), and there is no npm on \
         PATH to fetch {package} {version} with; install Node.js with npm, put workerd on PATH, or set JACKFIELD_WORKERD"
    )]
    NoNpm {
        /// What would have been fetched.
        package: String,
        /// At which version.
        version: String,
    },

    /// npm could not reach its registry.
    #[error(
        "npm could not reach its registry to fetch {package} {version}; check the network and `npm config get registry`, \
         put workerd on PATH or in the project's node_modules, or set JACKFIELD_WORKERD to a workerd binary\nnpm said: {said}"
    )]
    NoNetwork {
        /// What was to be fetched.
        package: String,
        /// At which version.
        version: String,
        /// npm's own words.
        said: String,
    },

    /// npm failed for another reason.
    #[error(
        "`npm pack {package}@{version}` failed ({why}); try it by hand, put workerd on PATH or in the project's \
         node_modules, or set JACKFIELD_WORKERD to a workerd binary\nnpm said: {said}"
    )]
    Npm {
        /// What was to be fetched.
        package: String,
        /// At which version.
        version: String,
        /// How npm ended.
        why: String,
        /// npm's own words.
        said: String,
    },

    /// What came is not what was pinned.
    #[error(
        "the package {package} {version} that npm handed out is not the pinned one (sha512 {found}, expected {expected}), \
         so it was thrown away; if a mirror stands between, compare with `npm view {package}@{version} dist.integrity`, \
         else put workerd on PATH or set JACKFIELD_WORKERD"
    )]
    WrongHash {
        /// What was fetched.
        package: String,
        /// At which version.
        version: String,
        /// The pinned hash, in hex.
        expected: String,
        /// The hash of what came, in hex.
        found: String,
    },

    /// The package has the right hash and not the contents that belong to it.
    #[error(
        "the package {package} {version} cannot be unpacked: {why}; put workerd on PATH or set JACKFIELD_WORKERD to a \
         workerd binary"
    )]
    BadPackage {
        /// What was fetched.
        package: String,
        /// At which version.
        version: String,
        /// What is wrong with it.
        why: String,
    },
}

impl WorkerdError {
    pub(super) fn unsupported(os: &str, arch: &str) -> Self {
        let (name, why) = match os {
            "windows" => (
                "Windows",
                "links and debug ports are private unix sockets guarded by file modes and the peer's uid, and Windows \
                 has none that workerd can use; run it in WSL, where it is an ordinary Linux program",
            ),
            _ => (os, "workerd is published for Linux and macOS on x64 and arm64 only"),
        };
        Self::Unsupported { platform: format!("{name} ({arch})"), why }
    }

    /// An error of the file system below the cache folder; a full disk gets its own words.
    pub(super) fn from_cache(doing: &'static str, path: &Path, needed: u64, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoRoom { path: path.to_owned(), needed }
            }
            _ => Self::Cache { doing, path: path.to_owned(), source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let error = WorkerdError::from_cache("write", Path::new("/c"), 209_000_001, full);
        assert!(matches!(error, WorkerdError::NoRoom { .. }));
        assert!(error.to_string().contains("210 MB"), "{error}");
    }
}
