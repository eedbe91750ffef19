//! The two ends, real workerds, and the middles between them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use jackfield::session::workerd::{Options, locate};
use serde_json::json;

use crate::forward::Speaks;
use crate::middle::{Middle, Pair};
use crate::router::{self, CF_HEADER, Sockets};
use crate::sockets::Address;

pub const STREAM_BYTES: usize = 64 << 20;

/// What lies between caller and target, and over which transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub middle: &'static str,
    pub transport: &'static str,
}

impl Route {
    /// All there are. Our faces are unix sockets only.
    pub const ALL: [Route; 7] = [
        Route::new("direct", "tcp"),
        Route::new("direct", "unix"),
        Route::new("splice", "tcp"),
        Route::new("splice", "unix"),
        Route::new("switch", "unix"),
        Route::new("capnp-rpc", "tcp"),
        Route::new("capnp-rpc", "unix"),
    ];

    const fn new(middle: &'static str, transport: &'static str) -> Self {
        Route { middle, transport }
    }

    /// The name of its binding.
    pub fn binding(self) -> String {
        format!("{}_{}", self.middle.replace('-', "_"), self.transport)
    }
}

/// Everything that runs. Dropping it ends it.
pub struct World {
    _ends: Vec<Workerd>,
    pub middles: BTreeMap<&'static str, Middle>,
    pub caller: PathBuf,
    pub targets: [PathBuf; 2],
    _folder: tempfile::TempDir,
}

struct Workerd {
    child: Child,
    /// Kept open: workerd would die of a closed pipe.
    _control: BufReader<ChildStdout>,
}

impl World {
    pub fn start() -> io::Result<Self> {
        // Socket paths are short, so not under a TMPDIR of any length.
        let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp")?;
        let at = folder.path();
        let options = Options::from_env(Path::new(env!("CARGO_MANIFEST_DIR"))).map_err(io::Error::other)?;
        let workerd = locate(&options, &mut ()).map_err(io::Error::other)?.path;
        let unix = |name: &str| Address::Unix(Sockets(at).at(name));

        std::fs::write(at.join("target.js"), include_str!("target.js"))?;
        std::fs::write(at.join("caller.js"), include_str!("caller.js"))?;
        let mut ends = Vec::new();
        // One debug port a process, so that over TCP takes a process of its own.
        let (tcp_http, tcp_port) = (Address::free_port()?, Address::free_port()?);
        for (name, http, port) in [
            ("blue", unix("blue-http"), unix("blue-port")),
            ("green", unix("green-http"), unix("green-port")),
            ("remote", tcp_http.clone(), tcp_port.clone()),
        ] {
            let file = at.join(format!("{name}.capnp"));
            std::fs::write(&file, target_config(name, &http))?;
            ends.push(Workerd::start(&workerd, &file, Some(&port), 2)?);
        }

        let direct = Legs { link: [unix("blue-http"), tcp_http], port: [unix("blue-port"), tcp_port] };
        let mut legs = BTreeMap::from([("direct", direct.clone())]);
        let mut middles = BTreeMap::new();
        for kind in ["splice", "capnp-rpc"] {
            let own = Legs {
                link: [unix(&format!("{kind}-link")), Address::free_port()?],
                port: [unix(&format!("{kind}-port")), Address::free_port()?],
            };
            middles.insert(kind, Middle::start(kind, at, &own.pairs(&direct))?);
            legs.insert(kind, own);
        }
        middles.insert("switch", Middle::start("switch", at, &[])?);
        // No caller uses a TCP leg of the switch: there is none.
        let (link, port) = (unix("switch-link"), unix("switch-port"));
        legs.insert("switch", Legs { link: [link.clone(), link], port: [port.clone(), port] });

        let file = at.join("caller.capnp");
        std::fs::write(&file, caller_config(&legs, &unix("caller"), &unix("switch-moving")))?;
        ends.push(Workerd::start(&workerd, &file, None, 1)?);
        let targets = ["blue", "green"].map(|name| Sockets(at).at(&format!("{name}-http")));
        Ok(World { _ends: ends, middles, caller: Sockets(at).at("caller"), targets, _folder: folder })
    }
}

/// Where a middle, or the target itself, takes callers: over unix sockets and over TCP.
#[derive(Clone)]
struct Legs {
    link: [Address; 2],
    port: [Address; 2],
}

impl Legs {
    fn pairs(&self, to: &Legs) -> Vec<Pair> {
        let pair = |speaks, from: &Address, to: &Address| Pair { speaks, from: from.clone(), to: to.clone() };
        let links = self.link.iter().zip(&to.link).map(|(from, to)| pair(Speaks::Link, from, to));
        let ports = self.port.iter().zip(&to.port).map(|(from, to)| pair(Speaks::Port, from, to));
        links.chain(ports).collect()
    }
}

const HTTP: &str = "style = proxy, cfBlobHeader = ";

fn target_config(name: &str, http: &Address) -> String {
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "{name}", worker = (
    modules = [(name = "target.js", esModule = embed "target.js")], compatibilityDate = "2026-11-01"))],
  sockets = [(name = "http", address = "{http}", service = "{name}",
    http = ({HTTP}"{CF_HEADER}", capnpConnectHost = "target"))]);
"#
    )
}

fn caller_config(legs: &BTreeMap<&str, Legs>, caller: &Address, moving: &Address) -> String {
    let (mut services, mut bindings) = (String::new(), String::new());
    let mut external = |name: &str, address: &Address, host: &str| {
        let _ = writeln!(
            services,
            r#"  (name = "{name}", external = (address = "{address}",
    http = ({HTTP}"{CF_HEADER}", capnpConnectHost = "{host}"))),"#
        );
        let _ = writeln!(bindings, r#"      (name = "{name}", service = "{name}"),"#);
    };
    let mut ports = serde_json::Map::new();
    for path in Route::ALL {
        let Some(legs) = legs.get(path.middle) else { continue };
        let tcp = usize::from(path.transport == "tcp");
        let ours = path.middle == "switch";
        let host = if ours { router::connect_host("API") } else { "target".to_owned() };
        external(&path.binding(), &legs.link[tcp], &host);
        let service = match (ours, tcp) {
            (true, _) => "API",
            (false, 1) => "remote",
            (false, _) => "blue",
        };
        ports.insert(path.binding(), json!({ "address": legs.port[tcp].to_string(), "service": service }));
    }
    external("moving", moving, &router::connect_host("MOVING"));
    let ports = serde_json::Value::from(ports).to_string().replace('"', "\\\"");
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
{services}  (name = "caller", worker = (
    modules = [(name = "caller.js", esModule = embed "caller.js")], compatibilityDate = "2026-11-01",
    bindings = [
{bindings}      (name = "PORT", workerdDebugPort = void),
      (name = "PORTS", json = "{ports}"),
      (name = "STREAM_BYTES", json = "{STREAM_BYTES}")]))],
  sockets = [(name = "caller", address = "{caller}", service = "caller")]);
"#
    )
}

impl Workerd {
    /// Starts one, and waits until it listens on that many sockets.
    fn start(workerd: &Path, config: &Path, port: Option<&Address>, sockets: usize) -> io::Result<Self> {
        let mut child = Command::new(workerd)
            .args(["serve", "--experimental", "--control-fd=1"])
            .args(port.map(|port| format!("--debug-port={port}")))
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let control = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut started = Workerd { child, _control: BufReader::new(control) };
        for _ in 0..sockets {
            if started._control.read_line(&mut String::new())? == 0 {
                return Err(io::Error::other(format!("workerd ended early with {}", config.display())));
            }
        }
        Ok(started)
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection over which requests are made one after the other.
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    pub fn dial(socket: &Path) -> io::Result<Self> {
        Ok(Client { stream: BufReader::new(UnixStream::connect(socket)?) })
    }

    /// The body of the answer to a GET; anything but a 200 is an error.
    pub fn get(&mut self, path: &str) -> io::Result<String> {
        let request = format!("GET http://bench{path} HTTP/1.1\r\nHost: bench\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut length, mut chunked) = (String::new(), 0, false);
        self.stream.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
                Some(("transfer-encoding", "chunked")) => chunked = true,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        match status.split(' ').nth(1) {
            Some("200") if !chunked => Ok(body),
            _ => Err(io::Error::other(format!("{path}: {} {body}", status.trim_end()))),
        }
    }
}
