//! A session's modules, read from disk.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::Module;
use super::problem::Problems;
use crate::session::nearest::Nearest;

/// The largest module. workerd takes what fits into one message of 64 MiB over its debug port, and the platform
/// itself stops at 10 MiB compressed; 32 MiB leaves room for source maps and a WebAssembly module.
const MAX_MODULE_BYTES: u64 = 32 << 20;

/// What a module is, told by its file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleKind {
    /// JavaScript with imports and exports.
    EsModule,
    /// Importing it gives a string.
    Text,
    /// Importing it gives what the JSON says.
    Json,
    /// Importing it gives a `WebAssembly.Module`.
    Wasm,
    /// Importing it gives an `ArrayBuffer`.
    Data,
}

impl ModuleKind {
    fn of(path: &Path) -> Option<Self> {
        Some(match path.extension()?.to_str()? {
            "js" | "mjs" => Self::EsModule,
            "txt" | "html" | "css" | "sql" => Self::Text,
            "json" => Self::Json,
            "wasm" => Self::Wasm,
            "bin" => Self::Data,
            _ => return None,
        })
    }

    fn is_binary(self) -> bool {
        matches!(self, Self::Wasm | Self::Data)
    }
}

/// Reads all modules of one session, the main one first.
pub(super) fn load(root: &Path, scripts: &[Spanned<String>], problems: &mut Problems) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    for (index, script) in scripts.iter().enumerate() {
        let Some(module) = load_one(root, script, problems) else { continue };
        if modules.iter().any(|other| other.path == module.path) {
            problems.add(
                script.span(),
                format!("`{}` is listed twice", script.get_ref()),
                "a module has one name; remove one of the two",
            );
            continue;
        }
        if index == 0 {
            check_main(&module, script, problems);
        }
        modules.push(module);
    }
    name_by_common_folder(&mut modules);
    modules
}

fn load_one(root: &Path, script: &Spanned<String>, problems: &mut Problems) -> Option<Module> {
    let (at, text) = (script.span(), script.get_ref());
    let Some(kind) = ModuleKind::of(Path::new(text)) else {
        let why = match Path::new(text).extension().and_then(|extension| extension.to_str()) {
            Some("ts" | "tsx" | "jsx" | "mts") => "bundle it to JavaScript first and name the bundle",
            Some("cjs") => "CommonJS is not supported; bundle it to an ES module and name the bundle",
            _ => "use .js or .mjs for ES modules, or .json, .txt, .html, .css, .sql, .wasm, .bin",
        };
        problems.add(at, format!("`{text}` is not a kind of module that can be loaded"), why);
        return None;
    };
    let given = root.join(text);
    let path = match given.canonicalize() {
        Ok(path) => path,
        Err(error) => {
            missing(&given, at, text, &error, problems);
            return None;
        }
    };
    let content = match read_bounded(&path) {
        Ok(content) => content,
        Err(error) => {
            problems.add(at, format!("`{text}` cannot be read"), error.to_string());
            return None;
        }
    };
    if !kind.is_binary() && std::str::from_utf8(&content).is_err() {
        problems.add(at, format!("`{text}` is not UTF-8 text"), "save it as UTF-8, or name it .bin");
        return None;
    }
    Some(Module { name: String::new(), kind, path, content })
}

fn missing(given: &Path, at: Range<usize>, text: &str, error: &std::io::Error, problems: &mut Problems) {
    if error.kind() != std::io::ErrorKind::NotFound {
        problems.add(at, format!("`{text}` cannot be opened"), error.to_string());
        return;
    }
    let wrong = given.file_name().and_then(|name| name.to_str()).unwrap_or(text);
    let names: Vec<String> = given
        .parent()
        .and_then(|folder| folder.read_dir().ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| ModuleKind::of(Path::new(name)).is_some())
        .collect();
    let nearest = Nearest::of(wrong, names);
    let nearest = nearest.0.map(|name| Path::new(text).with_file_name(name).display().to_string());
    let why = format!("looked for {}", given.display());
    problems.add_near(at, format!("there is no file `{text}`"), why, nearest);
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a plain file"));
    }
    let mut content = Vec::new();
    file.take(MAX_MODULE_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_MODULE_BYTES {
        return Err(std::io::Error::other(format!("it is larger than {} MiB", MAX_MODULE_BYTES >> 20)));
    }
    Ok(content)
}

/// workerd would take a main module without exports and then have nothing to call, so the most common mistake, a
/// script for service workers or Node, is caught here. What the text means is workerd's to say.
fn check_main(module: &Module, script: &Spanned<String>, problems: &mut Problems) {
    let text = String::from_utf8_lossy(&module.content);
    if module.kind == ModuleKind::EsModule && text.contains("export") {
        return;
    }
    problems.add(
        script.span(),
        format!("`{}` is not an ES module that exports something", script.get_ref()),
        "a worker's main module is JavaScript with `export default { … }` or exported classes",
    );
}

/// Modules import each other by relative paths, so their names are paths from the folder that holds them all.
fn name_by_common_folder(modules: &mut [Module]) {
    let Some(first) = modules.first().and_then(|module| module.path.parent()) else { return };
    let mut common: PathBuf = first.to_owned();
    for module in modules.iter() {
        while !module.path.starts_with(&common) && common.pop() {}
    }
    for module in modules {
        let name = module.path.strip_prefix(&common).unwrap_or(&module.path);
        module.name = name.to_string_lossy().into_owned();
    }
}
