//! `.dev.vars` and `.env`: values for one developer, beside the configuration.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::expand;

/// wrangler's way to leave the `.env` files out.
const LOAD: &str = "CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV";
/// wrangler's way to give a worker all variables of whoever starts it.
const INCLUDE: &str = "CLOUDFLARE_INCLUDE_PROCESS_ENV";

/// All files that may hold values, there or not.
pub(super) fn files(root: &Path, environment: Option<&str>) -> Vec<PathBuf> {
    dev_vars(root, environment).into_iter().chain(dot_env(root, environment)).collect()
}

fn dev_vars(root: &Path, environment: Option<&str>) -> Vec<PathBuf> {
    let own = environment.map(|name| root.join(format!(".dev.vars.{name}")));
    own.into_iter().chain([root.join(".dev.vars")]).collect()
}

fn dot_env(root: &Path, environment: Option<&str>) -> Vec<PathBuf> {
    let mut files = vec![root.join(".env"), root.join(".env.local")];
    if let Some(name) = environment {
        files.extend([root.join(format!(".env.{name}")), root.join(format!(".env.{name}.local"))]);
    }
    files
}

/// As wrangler has it: the environment's `.dev.vars`, else the common one; only without either the `.env` files, of
/// which later ones win, and where it is asked for the variables of whoever asks, which come before all of them.
pub(super) fn load(
    root: &Path,
    environment: Option<&str>,
    variables: &BTreeMap<String, String>,
    with_variables: bool,
) -> std::io::Result<BTreeMap<String, String>> {
    for file in dev_vars(root, environment) {
        if let Some(text) = read(&file)? {
            return Ok(parse(&text).into_iter().collect());
        }
    }
    let says = |name: &str, text: &str| variables.get(name).is_some_and(|value| value == text);
    if says(LOAD, "false") {
        return Ok(BTreeMap::new());
    }
    let mut raw = BTreeMap::new();
    for file in dot_env(root, environment) {
        if let Some(text) = read(&file)? {
            raw.extend(parse(&text));
        }
    }
    if with_variables || says(INCLUDE, "true") {
        raw.extend(variables.clone());
        return Ok(expand::all(&raw, variables));
    }
    Ok(expand::all(&raw, &BTreeMap::new()))
}

fn read(file: &Path) -> std::io::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(std::io::Error::new(error.kind(), format!("{}: {error}", file.display()))),
    }
}

/// `KEY=value` lines, with `export`, comments, and three kinds of quotes of which text may go over several lines. What
/// is no such line is passed over, as everybody does.
fn parse(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.split('\n').next().unwrap_or_default();
        let after_line = rest.get(line.len() + 1..).unwrap_or_default();
        let entry = line.trim_start();
        let entry = entry.strip_prefix("export ").map_or(entry, str::trim_start);
        let split = entry.split_once('=').filter(|(key, _)| is_key(key.trim())).or(entry.split_once(": "));
        let split = split.map(|(key, value)| (key.trim(), value.trim_start()));
        let Some((key, value)) = split.filter(|(key, _)| is_key(key)) else {
            rest = after_line;
            continue;
        };
        // Quoted text may end lines further on, so it is looked for in all that is left.
        let start = line.len() - value.len();
        let whole = rest.get(start..).unwrap_or(value);
        match quoted(whole) {
            Some((value, length)) => {
                found.push((key.to_owned(), value));
                let tail = whole.get(length..).unwrap_or_default();
                rest = tail.split_once('\n').map_or("", |(_, rest)| rest);
            }
            None => {
                let value = value.split('#').next().unwrap_or_default().trim();
                found.push((key.to_owned(), value.to_owned()));
                rest = after_line;
            }
        }
    }
    found
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// The text between quotes at the beginning, and the length with them; nothing if more than a comment follows them.
fn quoted(text: &str) -> Option<(String, usize)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let inner = text.get(1..)?;
    let mut escaped = false;
    let end = inner.find(|c: char| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let value = inner.get(..end)?;
    let behind = text.get(end + 2..)?.split('\n').next()?.trim();
    if !behind.is_empty() && !behind.starts_with('#') {
        return None;
    }
    let value = match quote {
        '"' => value.replace("\\n", "\n").replace("\\r", "\r"),
        _ => value.to_owned(),
    };
    Some((value, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_quotes_and_comments() {
        let text = "# a comment\nA=1\nexport B = two words # said\nC='x # y'\nD=\"l1\\nl2\"\nE=\"one\ntwo\"\nno line\nF=\n";
        let wanted =
            [("A", "1"), ("B", "two words"), ("C", "x # y"), ("D", "l1\nl2"), ("E", "one\ntwo"), ("F", "")];
        let wanted: Vec<_> = wanted.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(parse(text), wanted);
    }

    #[test]
    fn quotes_end_a_line_or_are_none() {
        let text = "G='tis\nSECRET=abc\nO=don't\nQ=\"it\" more\nJ=\"{\\\"a\\\":1}\"\nK: value\n";
        let wanted = [
            ("G", "'tis"),
            ("SECRET", "abc"),
            ("O", "don't"),
            ("Q", "\"it\" more"),
            ("J", "{\\\"a\\\":1}"),
            ("K", "value"),
        ];
        let wanted: Vec<_> = wanted.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(parse(text), wanted);
    }

    #[test]
    fn the_environment_has_its_own_and_env_files_come_last() {
        let keep = tempfile::tempdir().unwrap();
        let root = keep.path();
        let put = |name: &str, text: &str| fs::write(root.join(name), text).unwrap();
        let none = BTreeMap::new();
        let value = |environment| load(root, environment, &none, false).unwrap().get("A").cloned();
        assert_eq!(value(None), None);
        put(".env", "A=env");
        put(".env.local", "A=local");
        put(".env.prod", "A=prod");
        assert_eq!((value(None).unwrap(), value(Some("prod")).unwrap()), ("local".into(), "prod".into()));
        put(".dev.vars", "A=dev");
        assert_eq!((value(None).unwrap(), value(Some("prod")).unwrap()), ("dev".into(), "dev".into()));
        put(".dev.vars.prod", "A=devprod");
        assert_eq!((value(None).unwrap(), value(Some("prod")).unwrap()), ("dev".into(), "devprod".into()));
    }
}
