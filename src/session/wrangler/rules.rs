//! Which files are modules of which kind: wrangler's `rules`.
//!
//! esbuild tells files apart by the ends of their names alone, so a rule is followed that says no more than that. Of the
//! rules of one kind the first that does not fall through is the last that counts, as under wrangler.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::text::Value;
use super::worker::Reading;
use crate::session::project::ModuleKind;

const RULE: [&str; 3] = ["type", "globs", "fallthrough"];

/// What is taken so without any rule.
const DEFAULTS: [(&str, ModuleKind); 5] = [
    ("txt", ModuleKind::Text),
    ("html", ModuleKind::Text),
    ("sql", ModuleKind::Text),
    ("bin", ModuleKind::Data),
    ("wasm", ModuleKind::Wasm),
];

/// Sources: whatever is one of these is bundled.
const SOURCES: [&str; 8] = ["js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts"];
/// What esbuild knows how to bundle besides, so that it matters in which folder such a file is.
const BUNDLED: [&str; 2] = ["json", "css"];

const WAY_OUT: &str = "remove it, or run without all rules: `--without rules`";

/// The rules of a project.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Kinds by the ends of names, without the dot before them.
    kinds: BTreeMap<String, ModuleKind>,
    /// What a rule is for that does not count.
    ignored: BTreeSet<String>,
}

impl Rules {
    /// For a project that says nothing of them.
    fn defaults() -> Self {
        let kinds = DEFAULTS.map(|(end, kind)| (end.to_owned(), kind));
        Self { kinds: kinds.into(), ignored: BTreeSet::new() }
    }

    /// What esbuild is told.
    pub(super) fn loaders(&self) -> impl Iterator<Item = String> {
        self.kinds.iter().map(|(end, kind)| {
            let loader = if *kind == ModuleKind::Text { "text" } else { "copy" };
            format!("--loader:.{end}={loader}")
        })
    }

    /// What kind of module a file beside the bundle is, unless the compiler knows it by itself.
    pub(super) fn kind(&self, name: &str) -> Option<ModuleKind> {
        let found = self.kinds.iter().filter(|(end, _)| ends(name, end));
        let (end, kind) = found.max_by_key(|(end, _)| end.len())?;
        (*kind != ModuleKind::Text && end != "wasm").then_some(*kind)
    }

    /// The first of these files which only a rule is for that does not count.
    pub(super) fn ignored<'f>(&self, files: impl Iterator<Item = &'f PathBuf>) -> Option<&'f Path> {
        let is_ignored = |name: &str| {
            let is_one_of = |end: &String| ends(name, end);
            self.ignored.iter().any(is_one_of) && !self.kinds.keys().any(is_one_of)
        };
        let mut paths = files.map(PathBuf::as_path);
        paths.find(|file| file.file_name().and_then(|name| name.to_str()).is_some_and(is_ignored))
    }
}

fn ends(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'))
}

impl Reading<'_> {
    pub(super) fn rules(&mut self, rules: Option<&Value>, is_bundled: bool) -> Rules {
        let mut read = Rules::default();
        let mut complete = Vec::new();
        for rule in rules.map(|rules| self.list("rules", rules)).unwrap_or_default() {
            self.know(rule, &RULE);
            if !is_bundled {
                let why = "without a bundle modules are what the ends of their names say";
                self.problem(rule.at, "this rule cannot be followed", format!("{why}\n{WAY_OUT}"));
            }
            let kind = match rule.get("type").and_then(Value::text).unwrap_or_default() {
                "Text" => ModuleKind::Text,
                "Data" => ModuleKind::Data,
                "CompiledWasm" => ModuleKind::Wasm,
                // They are bundled all the same.
                "ESModule" | "CommonJS" => continue,
                other => {
                    let why = "types: Text, Data, CompiledWasm, ESModule, CommonJS";
                    self.problem(rule.at, format!("there are no rules of the type `{other}` here"), why);
                    continue;
                }
            };
            let counts = !complete.contains(&kind);
            if !counts {
                let why = "a rule of the same type before it does not fall through; add \"fallthrough\": true to that";
                self.warnings.add(rule.at..rule.at, "this rule is ignored", why);
            }
            for glob in rule.get("globs").map(Value::items).unwrap_or_default() {
                self.glob(glob, kind, counts, &mut read);
            }
            if rule.get("fallthrough").is_none_or(Value::is_empty) {
                complete.push(kind);
            }
        }
        for (end, kind) in Rules::defaults().kinds {
            match complete.contains(&kind) {
                true => _ = read.ignored.insert(end),
                false => _ = read.kinds.entry(end).or_insert(kind),
            }
        }
        read
    }

    fn glob(&mut self, glob: &Value, kind: ModuleKind, counts: bool, rules: &mut Rules) {
        let found = glob.text().and_then(end);
        let why = match found {
            None => "files are told apart by the ends of their names, as in **/*.md",
            Some(end) if kind != ModuleKind::Wasm && end == "wasm" => "what ends so is WebAssembly",
            Some(end) if kind != ModuleKind::Text && end.contains('.') => {
                "of such names only texts can be had"
            }
            Some(end) if !counts => {
                rules.ignored.insert(end.to_owned());
                return;
            }
            Some(end) => match rules.kinds.insert(end.to_owned(), kind) {
                Some(other) if other != kind => "another rule has files that end so, for another type",
                _ => return,
            },
        };
        self.problem(glob.at, "this rule cannot be followed", format!("{why}\n{WAY_OUT}"));
    }
}

/// How the names end that a glob is for, if that is all it says, or all that matters.
fn end(glob: &str) -> Option<&str> {
    let glob = glob.strip_suffix("?module").unwrap_or(glob);
    let (folder, name) = glob.rsplit_once('/').unwrap_or_default();
    let name = if folder.is_empty() && name.is_empty() { glob } else { name };
    let end = name.strip_prefix("*.")?;
    let is_plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    let anywhere = folder.split('/').all(|part| matches!(part, "" | "." | "*" | "**"));
    let is_told_apart = !SOURCES.contains(&end) && (anywhere || !BUNDLED.contains(&end));
    (end.split('.').all(is_plain) && is_told_apart).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_that_say_no_more_than_how_names_end() {
        let good = [
            ("**/*.md", "md"),
            ("*.md", "md"),
            ("shaders/*.glsl", "glsl"),
            ("**/*.wasm?module", "wasm"),
            ("**/*.a.b", "a.b"),
            ("**/*.json", "json"),
        ];
        for (glob, wanted) in good {
            assert_eq!(end(glob), Some(wanted), "{glob}");
        }
        for bad in ["a/*", "**/*", "**/*.{a,b}", "**/*.js", "a/*.json", "**/x.md", "**/*.", "*.a..b", ""] {
            assert_eq!(end(bad), None, "{bad}");
        }
    }
}
