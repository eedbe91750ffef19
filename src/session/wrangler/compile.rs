//! workerd's own compiler of projects: bundles one with esbuild and writes the configuration for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::request::Tools;
use super::rules::Rules;
use super::worker::Worker;
use crate::session::orphans;
use crate::session::project::Module;
use crate::session::workerd::child;

/// A large project takes seconds. Whatever takes longer than this does not end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Before the number of the process in the name of our folder.
const PREFIX: &str = "jackfield-";
/// How many folders lie between a project and the compiler's bundle: `.wrangler/tmp/OURS/.wrangler/tmp/BUNDLE`.
pub(super) const BUNDLE_DEPTH: usize = 6;
/// Where in it the files are that esbuild puts beside the bundle.
const MODULES: &str = "modules";
/// The largest configuration, and the most that is repeated of what esbuild says.
const MAX_OUTPUT: u64 = 256 << 20;
const MAX_SAID: usize = 8_000;

/// What came of a project.
#[derive(Debug)]
pub(super) struct Output {
    /// workerd's configuration.
    pub(super) message: Vec<u8>,
    /// The files that went into the bundle.
    pub(super) inputs: BTreeSet<PathBuf>,
    /// The names that it exports, if esbuild said so.
    pub(super) exports: Option<BTreeSet<String>>,
    /// From the bundle back to its sources, if esbuild made one.
    pub(super) source_map: Option<Vec<u8>>,
}

/// Why nothing came of it.
#[derive(Debug)]
pub(super) enum Failed {
    /// The compiler refuses the project, in its own words.
    Refused(String),
    /// The command that makes the sources has failed.
    Build(String),
    /// It could not be asked.
    Io(String),
}

/// Compiles the project in `root`, as long as `go_on` agrees. Paths in the worker's configuration must be absolute.
///
/// The compiler takes the folder of the configuration for that of the project. Ours lies elsewhere, so esbuild is called
/// through a script that goes to the right folder first.
pub(super) fn compile(
    tools: &Tools,
    root: &Path,
    worker: &Worker,
    variables: &BTreeMap<String, String>,
    go_on: &dyn Fn() -> bool,
) -> Result<Output, Failed> {
    let io = |doing: &str| {
        let doing = doing.to_owned();
        move |error: io::Error| Failed::Io(format!("cannot {doing}: {error}"))
    };
    let folder = Folder::new(root).map_err(io("create a folder below .wrangler/tmp"))?;
    let file = folder.0.join("wrangler.json");
    let text = serde_json::to_vec(&worker.compiled).map_err(|error| Failed::Io(error.to_string()))?;
    fs::write(&file, text).map_err(io("write the configuration"))?;
    let script = folder.write_script(tools, root, &worker.esbuild).map_err(io("write a script"))?;
    let (out, err) = (folder.0.join("out"), folder.0.join("err"));
    let mut command = Command::new(&tools.workerd);
    command
        .args(["compile", "--config-only"])
        .arg(&file)
        .env_clear()
        .envs(variables)
        .env("WORKERD_ESBUILD", &script)
        .current_dir(root)
        // With the bundler in it, which outlives the compiler.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(File::create(&out).map_err(io("write its output"))?)
        .stderr(File::create(&err).map_err(io("write its output"))?);
    let mut process = child::start(&mut command).map_err(io("start workerd"))?;
    let deadline = Instant::now() + PATIENCE;
    let group = Pid::from_raw(process.id().cast_signed());
    let status = child::wait(&mut process, || {
        let in_time = go_on() && Instant::now() < deadline;
        if let (false, Some(group)) = (in_time, group) {
            // The compiler was not waited for yet, so its number is its own.
            let _ = kill_process_group(group, Signal::KILL);
        }
        in_time
    });
    let status = status.map_err(io("wait for workerd"))?;
    let said = String::from_utf8_lossy(&fs::read(&err).unwrap_or_default()).into_owned();
    match status {
        Some(status) if status.success() => {}
        Some(_) => return Err(Failed::Refused(folder.without_name(&said))),
        None => return Err(Failed::Io(format!("the compiler did not end within {PATIENCE:?}"))),
    }
    let meta = fs::read(folder.0.join("meta.json")).ok();
    let meta = meta.and_then(|text| serde_json::from_slice::<Meta>(&text).ok()).unwrap_or_default();
    let message = read_bounded(&out).map_err(io("read the compiled configuration"))?;
    Ok(Output {
        message: folder.at_home(message, root, worker)?,
        inputs: inputs(&meta, root),
        exports: meta.exports(),
        source_map: read_bounded(&folder.0.join("index.js.map")).ok(),
    })
}

/// A folder that goes when it is done with. It lies where wrangler has its own such folders: in the project, so that
/// nobody else may write there, and where no tool looks for sources.
struct Folder(PathBuf);

impl Folder {
    fn new(root: &Path) -> io::Result<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let parent = root.join(".wrangler/tmp");
        fs::create_dir_all(&parent)?;
        sweep(&parent);
        let number = LAST.fetch_add(1, Relaxed);
        let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn write_script(&self, tools: &Tools, root: &Path, arguments: &[String]) -> io::Result<PathBuf> {
        let path = self.0.join("esbuild");
        let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let arguments: String = arguments.iter().map(|text| format!(" {}", quote(text))).collect();
        let text = format!(
            "#!/bin/sh\n\
             cd {root} || exit 1\n\
             {esbuild} \"$@\" --sourcemap=external{arguments}\n\
             status=$?\n\
             for argument in \"$@\"; do\n\
             case $argument in --metafile=*)\n\
             meta=${{argument#--metafile=}}\n\
             cp \"$meta\" {folder}/meta.json 2>/dev/null\n\
             mkdir -p {folder}/{MODULES} && cp \"${{meta%/*}}\"/*-????????.* {folder}/{MODULES} 2>/dev/null\n\
             mv \"${{meta%/*}}/index.js.map\" {folder}/index.js.map 2>/dev/null\n\
             esac\n\
             done\n\
             exit $status\n",
            root = quote(&root.display().to_string()),
            esbuild = quote(&tools.esbuild.display().to_string()),
            folder = quote(&self.0.display().to_string()),
        );
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o700).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }

    /// The compiler puts stored objects below the folder of its configuration. They belong into the project. And of the
    /// files that esbuild puts beside the bundle it takes WebAssembly alone.
    fn at_home(&self, message: Vec<u8>, root: &Path, worker: &Worker) -> Result<Vec<u8>, Failed> {
        let bad =
            |error: crate::wire::tree::TreeError| Failed::Io(format!("the compiled configuration: {error}"));
        let mut tree = crate::wire::tree::read(&message).map_err(bad)?;
        let moved = crate::session::config::move_disks(&mut tree, &self.0, root);
        for path in moved {
            let mut private = DirBuilder::new();
            private
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(|error| Failed::Io(format!("cannot create {}: {error}", path.display())))?;
        }
        let modules = self.modules(&worker.rules).map_err(|error| Failed::Io(error.to_string()))?;
        crate::session::config::add_modules(&mut tree, worker.name.name(), &modules)
            .map_err(|error| Failed::Io(format!("a module cannot be added: {error}")))?;
        crate::wire::tree::write(&tree).map_err(bad)
    }

    fn modules(&self, rules: &Rules) -> io::Result<Vec<Module>> {
        let mut modules = Vec::new();
        for entry in fs::read_dir(self.0.join(MODULES)).into_iter().flatten() {
            let entry = entry?;
            let name = entry.file_name().into_string().unwrap_or_default();
            if let Some(kind) = rules.kind(&name) {
                let path = entry.path();
                modules.push(Module { name, kind, content: read_bounded(&path)?, path });
            }
        }
        Ok(modules)
    }

    /// What the compiler says without the file that only it has seen, and without its own bookkeeping.
    fn without_name(&self, said: &str) -> String {
        let own = self.0.display().to_string();
        let said = said.replace(&format!("{own}/wrangler.json: "), "").replace(&own, "…");
        said.trim().chars().take(MAX_SAID).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what processes left there that were killed.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        if number.is_some_and(|pid: i32| orphans::identify(pid).is_none()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MAX_OUTPUT {
        return Err(io::Error::other(format!("it is larger than {} MiB", MAX_OUTPUT >> 20)));
    }
    fs::read(path)
}

/// Without `..`, as changes are told.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// What esbuild tells of a bundle.
#[derive(Default, Deserialize)]
struct Meta {
    inputs: Map<String, Json>,
    outputs: BTreeMap<String, Made>,
}

#[derive(Deserialize)]
struct Made {
    #[serde(rename = "entryPoint")]
    entry_point: Option<String>,
    #[serde(default)]
    exports: BTreeSet<String>,
}

impl Meta {
    fn exports(self) -> Option<BTreeSet<String>> {
        self.outputs.into_values().find(|made| made.entry_point.is_some()).map(|made| made.exports)
    }
}

fn inputs(meta: &Meta, root: &Path) -> BTreeSet<PathBuf> {
    // Names like `(disabled):crypto` are of no file.
    meta.inputs.keys().map(|name| plain(&root.join(name))).filter(|path| path.is_file()).collect()
}
