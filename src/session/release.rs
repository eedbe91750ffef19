//! Which workerd a process runs, and which of them understand each other.

use std::fmt;
use std::path::Path;

use serde_json::Value;

use super::listener;
use super::workerd::probe;

/// The first that can call methods of those from [`FIRST_AT_ONCE`] on.
///
/// A session of RPC used to be a call that returned when the session was over, and is a call now that returns at once, with
/// a handle. Who knows only the old way takes the answer for the end, and its calls for broken.
const FIRST_EITHER_WAY: u32 = 20_260_505;
/// The first whose sessions of RPC return at once.
const FIRST_AT_ONCE: u32 = 20_260_602;

/// The largest file that is read to learn a version.
const MAX_MANIFEST: u64 = 256 * 1024;

/// A release of workerd. They are numbered by their day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    day: u32,
    text: String,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "workerd {}", self.text)
    }
}

impl Release {
    /// Reads `1.20260420.1`, or `2026-04-20` as workerd says of itself.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        let day = match text.strip_prefix("1.") {
            Some(rest) => rest.split('.').next()?.to_owned(),
            None => text.replace('-', ""),
        };
        let day = Some(day).filter(|day| digits(day))?.parse().ok()?;
        Some(Self { day, text: text.to_owned() })
    }

    /// What the name says of an executable that we have fetched, or what stands beside one that npm has installed.
    pub fn of_executable(path: &Path) -> Option<Self> {
        let mut words = path.file_name()?.to_str()?.split('-').filter(|word| word.starts_with("1."));
        if let Some(release) = words.find_map(Self::parse) {
            return Some(release);
        }
        let package = path.parent()?.parent()?;
        let (name, version) = manifest(&package.join("package.json"))?;
        Self::parse(&version).filter(|_| name.contains("workerd"))
    }

    /// That of a process; one that npm has not installed is asked for it, which takes some milliseconds.
    pub fn of_process(pid: u32) -> Option<Self> {
        let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        Self::of_executable(&path).or_else(|| {
            // Nothing else is run that happens to listen.
            path.file_name().filter(|name| *name == "workerd")?;
            let said = probe::output(&path, &["--version"]).ok()?;
            Self::parse(said.trim().strip_prefix("workerd ")?)
        })
    }

    /// Whether its workers can call methods of workers that run on `target`. `fetch()` and WebSockets always pass.
    pub fn can_call(&self, target: &Self) -> bool {
        self.day >= FIRST_EITHER_WAY || target.day < FIRST_AT_ONCE
    }

    /// What to do where it cannot.
    pub fn needed() -> String {
        let (year, month, day) =
            (FIRST_EITHER_WAY / 10_000, FIRST_EITHER_WAY / 100 % 100, FIRST_EITHER_WAY % 100);
        format!("workerd {year}-{month:02}-{day:02} or newer")
    }
}

/// The tool that has started a workerd, such as `wrangler 4.84.0`, where it is a package of npm's.
pub fn tool(pid: u32) -> Option<String> {
    let parent = listener::parent(pid.cast_signed())?;
    let words = std::fs::read(format!("/proc/{parent}/cmdline")).ok()?;
    let words = words.split(|byte| *byte == 0).filter_map(|word| std::str::from_utf8(word).ok());
    // The first is node's own path, which npm may have installed as well.
    words.skip(1).take(8).filter(|word| word.starts_with('/')).find_map(|word| {
        let (before, inside) = word.rsplit_once("/node_modules/")?;
        let mut parts = inside.split('/');
        let package = match parts.next()? {
            scope if scope.starts_with('@') => format!("{scope}/{}", parts.next()?),
            name => name.to_owned(),
        };
        let (name, version) =
            manifest(&Path::new(before).join("node_modules").join(package).join("package.json"))?;
        let is_plain =
            |text: &str| text.len() < 100 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        (is_plain(&name) && is_plain(&version)).then(|| format!("{name} {version}"))
    })
}

/// Name and version of a package.
fn manifest(file: &Path) -> Option<(String, String)> {
    let small = |meta: &std::fs::Metadata| meta.is_file() && meta.len() <= MAX_MANIFEST;
    file.metadata().ok().filter(small)?;
    let fields: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let text = |key: &str| fields.get(key)?.as_str().map(str::to_owned);
    Some((text("name")?, text("version")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_told_apart_by_their_day() {
        let release = |text: &str| Release::parse(text).unwrap();
        assert_eq!(release("1.20260420.1").day, release("2026-04-20").day);
        assert_eq!(release("1.20260420.1").to_string(), "workerd 1.20260420.1");
        for text in ["", "1.", "1.2026.1", "4.84.0", "today", "2026-4-20", "1.-0260420.1"] {
            assert_eq!(Release::parse(text), None, "{text}");
        }
        // As tried with these releases.
        let [old, between, new] = ["1.20260504.1", "1.20260505.1", "1.20260602.1"].map(release);
        assert!(!old.can_call(&new));
        assert!(old.can_call(&old) && old.can_call(&release("1.20260601.1")));
        assert!(between.can_call(&new) && new.can_call(&old) && new.can_call(&new));
        assert_eq!(Release::needed(), "workerd 2026-05-05 or newer");
    }

    #[test]
    fn what_npm_has_installed_is_known_without_running_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("package.json");
        let executable = folder.path().join("bin/workerd");
        assert_eq!(Release::of_executable(&executable), None);
        let fetched = Path::new("/cache/workerd-linux-64-1.20261117.1-8192c0f17d75");
        assert_eq!(Release::of_executable(fetched), Release::parse("1.20261117.1"));
        std::fs::write(&file, r#"{"name":"@cloudflare/workerd-linux-64","version":"1.20260420.1"}"#).unwrap();
        assert_eq!(Release::of_executable(&executable), Release::parse("1.20260420.1"));
        std::fs::write(&file, r#"{"name":"other","version":"1.20260420.1"}"#).unwrap();
        assert_eq!(Release::of_executable(&executable), None);
    }
}
