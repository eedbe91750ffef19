//! A real workerd with one worker, on a debug port and on a plain HTTP socket.

use std::io::{BufRead, BufReader, Error, Result};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use jackfield::client::{Address, Entrypoint, Session};
use jackfield::session::workerd::{Options, locate};
use tokio::task::LocalSet;

use super::capnp::Client;

const SCRIPT: &str = r#"
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
const CHUNK = new Uint8Array(1 << 16);
class Adder extends RpcTarget {
    add(a, b) { return a + b; }
}
export default class extends WorkerEntrypoint {
    add(a, b) { return a + b; }
    adder() { return new Adder(); }
    async fetch(request) {
        const url = new URL(request.url);
        switch (url.pathname) {
            case "/down": {
                const { readable, writable } = new FixedLengthStream(Number(url.searchParams.get("size")));
                (async () => {
                    const writer = writable.getWriter();
                    for (let left = Number(url.searchParams.get("size")); left > 0; left -= CHUNK.length)
                        await writer.write(CHUNK.subarray(0, Math.min(left, CHUNK.length)));
                    await writer.close();
                })().catch(() => {});
                return new Response(readable);
            }
            case "/up": {
                let size = 0;
                for await (const chunk of request.body) size += chunk.length;
                return new Response(String(size));
            }
            default: return new Response("hello");
        }
    }
}
"#;

/// Measures our client and capnp-rpc's on the debug port of one worker.
pub fn with_worker(measure: impl AsyncFnOnce(&Entrypoint, &Client, &Worker) -> Result<()>) -> Result<()> {
    let worker = Worker::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let session = Session::connect(&Address::Unix(worker.debug_port())).await.map_err(Error::other)?;
        let ours = session.entrypoint("api", None, None);
        let theirs = Client::connect(&worker.debug_port()).await?;
        measure(&ours, &theirs, &worker).await
    })
}

/// Dropping it ends the process.
pub struct Worker {
    child: Child,
    /// Kept open: workerd would die of a closed pipe.
    _control: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

impl Worker {
    fn start() -> Result<Self> {
        // Socket paths are short, so not under a TMPDIR of any length.
        let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp")?;
        let at = folder.path();
        let options = Options::from_env(Path::new(env!("CARGO_MANIFEST_DIR"))).map_err(Error::other)?;
        let workerd = locate(&options, &mut ()).map_err(Error::other)?.path;
        std::fs::write(at.join("worker.js"), SCRIPT)?;
        std::fs::write(at.join("config.capnp"), config(at))?;
        let mut child = Command::new(workerd)
            .arg("serve")
            .arg(at.join("config.capnp"))
            .arg("--control-fd=1")
            .arg(format!("--debug-port=unix:{}", at.join("debug").display()))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut control = BufReader::new(child.stdout.take().ok_or_else(|| Error::other("no pipe"))?);
        // Each of its two sockets says that it listens.
        for _ in 0..2 {
            let mut line = String::new();
            if control.read_line(&mut line)? == 0 {
                return Err(Error::other("workerd ended before it listened"));
            }
        }
        Ok(Worker { child, _control: control, folder })
    }

    fn debug_port(&self) -> PathBuf {
        self.folder.path().join("debug")
    }

    pub fn http(&self) -> PathBuf {
        self.folder.path().join("http")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both only fail for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(at: &Path) -> String {
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "api", worker = (
    modules = [(name = "worker.js", esModule = embed "worker.js")],
    compatibilityDate = "2026-11-01"))],
  sockets = [(name = "http", address = "unix:{}", http = (), service = "api")]);
"#,
        at.join("http").display()
    )
}
