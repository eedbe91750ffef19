//! Telling a native workerd from the scripts that stand in for it.
//!
//! npm's `workerd` package is a Node script that starts the native binary of a platform package. Running that script
//! would put a Node process between us and workerd, which then gets neither our signals nor our file descriptors.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// Enough for a `#!` line and for every magic number.
const HEAD: u64 = 256;

/// The native binary behind a candidate.
///
/// Follows Node shims, and the shell scripts that pnpm puts into `.bin`, to the platform package beside them. Another
/// script is taken as it is: a wrapper that somebody wrote on purpose.
///
/// # Errors
/// Says what is wrong with the candidate.
pub(super) fn resolve(candidate: &Path, package: &str) -> Result<PathBuf, String> {
    let canonical = fs::canonicalize(candidate).map_err(|error| error.to_string())?;
    if !is_executable_file(&canonical) {
        return Err("it is not an executable file".to_owned());
    }
    let head = head(&canonical).map_err(|error| format!("it cannot be read: {error}"))?;
    let Some(script) = head.strip_prefix(b"#!") else {
        return Ok(canonical);
    };
    let first_line = script.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let runs_node = String::from_utf8_lossy(first_line)
        .split_whitespace()
        .any(|word| word.rsplit('/').next() == Some("node"));
    if !runs_node && !is_in_node_modules(&canonical) {
        return Ok(canonical);
    }
    beside(&canonical, package).or_else(|| beside_dependents(candidate, package)).ok_or_else(|| {
        format!("it is a script of npm's, and the package @cloudflare/{package} is not installed beside it")
    })
}

/// The platform package's binary, looked for as Node would from `path`: in every node_modules above it.
pub(super) fn beside(path: &Path, package: &str) -> Option<PathBuf> {
    path.ancestors()
        .map(|folder| folder.join("node_modules/@cloudflare").join(package).join("bin/workerd"))
        .find(|binary| is_native(binary))
}

/// A shim in `node_modules/.bin` that is no link does not show where its package lies; the packages beside it do.
fn beside_dependents(shim: &Path, package: &str) -> Option<PathBuf> {
    let modules = shim.parent()?.parent()?;
    dependents(modules).find_map(|dependent| beside(&dependent, package))
}

/// The packages of a node_modules folder that have workerd among their dependencies, where they really lie. pnpm links
/// them, and what they depend on is found only from there.
pub(super) fn dependents(modules: &Path) -> impl Iterator<Item = PathBuf> {
    const DEPENDENTS: [&str; 4] = ["workerd", "wrangler", "miniflare", "@cloudflare/vite-plugin"];
    DEPENDENTS.into_iter().filter_map(move |name| fs::canonicalize(modules.join(name)).ok())
}

/// Whether this is a file that may be run. Follows links.
pub(super) fn is_executable_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Whether this is an executable of the machine and not of an interpreter.
pub(super) fn is_native(path: &Path) -> bool {
    const ELF: [u8; 4] = *b"\x7fELF";
    const MACH_O_64: [u8; 4] = [0xcf, 0xfa, 0xed, 0xfe];
    const MACH_O_UNIVERSAL: [u8; 4] = [0xca, 0xfe, 0xba, 0xbe];
    is_executable_file(path)
        && head(path)
            .is_ok_and(|head| [ELF, MACH_O_64, MACH_O_UNIVERSAL].iter().any(|magic| head.starts_with(magic)))
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

fn is_in_node_modules(path: &Path) -> bool {
    path.components().any(|part| part == Component::Normal("node_modules".as_ref()))
}
