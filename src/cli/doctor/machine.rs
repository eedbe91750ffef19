//! What the machine has.

use std::path::Path;

use rustix::process::{Resource, getrlimit};

use super::Check;
use crate::session::workerd::{self, Options, Tool};

/// What current versions of wrangler run on.
const NODE_WANTED: (u32, u32) = (22, 12);

/// Each session takes a few files, and each call that is under way may take one more.
const FILES_WANTED: u64 = 1_024;

/// Workerd, and what fetches it.
pub(super) fn programs(root: &Path) -> Vec<Check> {
    let options = match Options::from_env(root) {
        Ok(options) => options,
        Err(error) => return vec![Check::error("workerd", error.to_string(), "use another machine, or WSL")],
    };
    let (node, npm) = (workerd::tool(&options, "node"), workerd::tool(&options, "npm"));
    let workerd = match workerd::find(&options) {
        Ok(Some(found)) => {
            Check::ok("workerd", format!("{}, {}: {}", found.version, found.source, found.path.display()))
        }
        Ok(None) if npm.is_some() => Check::warning(
            "workerd",
            "none is here yet",
            "`jackfield up` or `jackfield demo` fetches one with npm",
        ),
        Ok(None) => Check::error(
            "workerd",
            "none is here, and no npm that could fetch one",
            "install Node with npm, or name a workerd in JACKFIELD_WORKERD",
        ),
        Err(error) => {
            Check::error("workerd", error.to_string(), "put it right, or name another in JACKFIELD_WORKERD")
        }
    };
    vec![workerd, self::node(node), self::npm(npm)]
}

fn node(found: Option<Tool>) -> Check {
    let (major, minor) = NODE_WANTED;
    let Some(Tool { path, version }) = found else {
        return Check::warning(
            "node",
            "it is not on PATH",
            "install it for wrangler, vite and npm; workerd needs none",
        );
    };
    let version = match version {
        Ok(version) => version,
        Err(why) => return Check::warning("node", format!("{}: {why}", path.display()), "install it anew"),
    };
    let what = format!("{version}: {}", path.display());
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    let found: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    match found >= NODE_WANTED {
        true => Check::ok("node", what),
        false => Check::warning("node", what, format!("current wrangler wants {major}.{minor} or newer")),
    }
}

fn npm(found: Option<Tool>) -> Check {
    match found {
        Some(Tool { path, version: Ok(version) }) => {
            Check::ok("npm", format!("{version}: {}", path.display()))
        }
        Some(Tool { path, version: Err(why) }) => {
            Check::warning("npm", format!("{}: {why}", path.display()), "install it anew; it fetches workerd")
        }
        None => Check::warning("npm", "it is not on PATH", "install it with Node; it fetches workerd"),
    }
}

/// How many files a process may have open.
pub(super) fn files() -> Check {
    let limit = getrlimit(Resource::Nofile);
    let shown = |limit: Option<u64>| limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    let what = format!("{} open files ({} at most)", shown(limit.current), shown(limit.maximum));
    match limit.current {
        Some(current) if current < FILES_WANTED => {
            Check::warning("limits", what, format!("run `ulimit -n {FILES_WANTED}` before `jackfield up`"))
        }
        _ => Check::ok("limits", what),
    }
}
