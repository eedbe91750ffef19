//! The real tools that tests drive, from npm, at pinned versions: installed once into the user's cache.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};

/// Old wranglers under names of their own. Both say in their registries what their debug ports are.
const PACKAGES: &str = r#"{
  "private": true,
  "dependencies": {
    "wrangler": "4.164.0",
    "wrangler-4-84": "npm:wrangler@4.84.0",
    "vite": "8.3.8",
    "@cloudflare/vite-plugin": "1.64.0",
    "NODE": "24.21.0"
  }
}"#;

/// Where the tools lie.
pub struct Tools {
    folder: PathBuf,
    pub node: PathBuf,
}

impl Tools {
    /// A package by its name, or a file of one.
    pub fn module(&self, path: &str) -> PathBuf {
        self.folder.join("node_modules").join(path)
    }
}

/// The tools, installed if they are not there. Several test runs wait for each other.
///
/// # Panics
/// Without npm, or where it fails: a test of the real tools must not pass for want of them.
pub fn tools() -> &'static Tools {
    static FOUND: OnceLock<Tools> = OnceLock::new();
    FOUND.get_or_init(|| install(&cache()))
}

fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache"))).expect("a home folder");
    cache.join("jackfield").join("test-tools")
}

fn install(folder: &Path) -> Tools {
    let (os, cpu) = (std::env::consts::OS, std::env::consts::ARCH);
    let os = if os == "macos" { "darwin" } else { os };
    let cpu = if cpu == "x86_64" { "x64" } else { "arm64" };
    let node = format!("node-{os}-{cpu}");
    let wanted = PACKAGES.replace("NODE", &node);
    std::fs::create_dir_all(folder).expect("the cache is writable");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).expect("the lock of the tools");
    let done = folder.join("installed.json");
    if std::fs::read_to_string(&done).ok().as_deref() != Some(&wanted) {
        let _ = std::fs::remove_dir_all(folder.join("node_modules"));
        let _ = std::fs::remove_file(folder.join("package-lock.json"));
        std::fs::write(folder.join("package.json"), &wanted).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
        let output = npm.output().expect("npm runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "npm could not install the tools of the tests:\n{said}");
        std::fs::write(&done, &wanted).unwrap();
    }
    drop::<File>(lock);
    Tools { folder: folder.to_owned(), node: folder.join("node_modules").join(node).join("bin/node") }
}
