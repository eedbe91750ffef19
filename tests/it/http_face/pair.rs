//! Two real workerds: a caller with two bindings to the same target, one straight to its socket, one through a face.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::workerd::workerd_path;

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Far more than a loaded machine needs to start a workerd.
const START: Duration = Duration::from_secs(30);

pub const CALLER_CF: &str = "x-cf-of-the-caller";
pub const TARGET_CF: &str = "x-cf-of-the-target";

/// The two processes, stopped when dropped.
pub struct Pair {
    folder: TempDir,
    _caller: Child,
    _target: Child,
}

impl Pair {
    pub async fn start() -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("caller.js"), include_str!("caller.js"))?;
        std::fs::write(folder.path().join("target.js"), include_str!("target.js"))?;
        let target = start(folder.path(), "target", &target(folder.path())).await?;
        let caller = start(folder.path(), "caller", &caller(folder.path())).await?;
        Ok(Self { folder, _caller: caller, _target: target })
    }

    /// Where the caller looks for the face.
    pub fn face(&self) -> PathBuf {
        self.folder.path().join("face")
    }

    /// The target's HTTP socket.
    pub fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    /// The target's debug port.
    pub fn target_debug(&self) -> PathBuf {
        self.folder.path().join("target-debug")
    }

    /// Asks the calling worker. The host picks its binding: `direct` or `link`.
    pub async fn ask(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Outcome<Response<Bytes>> {
        let socket = UnixStream::connect(self.folder.path().join("caller")).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::get(format!("/{path}")).header(HOST, host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, body) = sender.send_request(request.body(Empty::<Bytes>::new())?).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        drop(sender);
        connection.await??;
        Ok(Response::from_parts(head, body))
    }
}

async fn start(folder: &Path, name: &str, config: &str) -> Outcome<Child> {
    let file = folder.join(format!("{name}.capnp"));
    std::fs::write(&file, config)?;
    let mut child = Command::new(workerd_path())
        .arg("serve")
        .arg(&file)
        .args(["--experimental", "--control-fd=1"])
        .arg(format!("--debug-port=unix:{}", folder.join(format!("{name}-debug")).display()))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().ok_or("stdout was piped")?;
    let mut lines = BufReader::new(output).lines();
    // Its HTTP socket, and its debug port.
    for _ in 0..2 {
        let listening = timeout(START, lines.next_line()).await??;
        listening.filter(|line| line.contains("listen")).ok_or("workerd ended before it was listening")?;
    }
    Ok(child)
}

fn caller(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "caller", worker = (
      modules = [(name = "caller.js", esModule = embed "caller.js")],
      compatibilityDate = "2026-11-01",
      bindings = [(name = "LINK", service = "link"), (name = "DIRECT", service = "direct")])),
    (name = "link", external = (address = "unix:{folder}/face",
      http = (style = proxy, cfBlobHeader = "{CALLER_CF}", capnpConnectHost = "link"))),
    (name = "direct", external = (address = "unix:{folder}/target",
      http = (style = proxy, cfBlobHeader = "{TARGET_CF}", capnpConnectHost = "link")))],
  sockets = [(name = "http", address = "unix:{folder}/caller", http = (), service = "caller")]);
"#
    )
}

fn target(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "target", worker = (
      modules = [(name = "target.js", esModule = embed "target.js")],
      compatibilityDate = "2026-11-01",
      compatibilityFlags = ["enable_request_signal"]))],
  sockets = [(name = "http", address = "unix:{folder}/target",
    http = (style = proxy, cfBlobHeader = "{TARGET_CF}"), service = "target")]);
"#
    )
}
