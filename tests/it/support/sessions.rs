//! A project in a temporary folder, its sessions, and what they published and wrote.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jackfield::session::{
    Drain, Generation, Host, InFlight, Level, OutputSink, Project, RuntimeDir, SessionName, SessionSink,
    SessionState, Sessions, StartFailures, Times,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;

use super::workerd::workerd_path;

/// Far beyond what anything here takes; only a hang meets it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Everything that happened, in order, for tests to wait on.
pub struct Journal<T>(watch::Sender<Vec<T>>);

impl<T: Clone> Journal<T> {
    fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    fn push(&self, entry: T) {
        self.0.send_modify(|entries| entries.push(entry));
    }

    /// What is there now.
    pub fn now(&self) -> Vec<T> {
        self.0.borrow().clone()
    }

    /// The first entry, past or future, for which `pick` has a value.
    ///
    /// # Panics
    /// After [`DEADLINE`].
    pub async fn wait<R>(&self, what: &str, mut pick: impl FnMut(&T) -> Option<R>) -> R {
        let mut reader = self.0.subscribe();
        let mut found = None;
        let wait = reader.wait_for(|entries| {
            found = entries.iter().find_map(&mut pick);
            found.is_some()
        });
        assert!(tokio::time::timeout(DEADLINE, wait).await.is_ok(), "no {what} in time");
        found.unwrap()
    }
}

impl SessionSink for Journal<(SessionName, SessionState)> {
    fn publish(&self, session: &SessionName, state: SessionState) {
        self.push((session.clone(), state));
    }
}

impl OutputSink for Journal<(SessionName, Level, String)> {
    fn line(&self, session: &SessionName, level: Level, line: &str) {
        self.push((session.clone(), level, line.to_owned()));
    }
}

/// Says that calls are over once the test says so.
pub struct Gate(pub watch::Sender<bool>);

impl Drain for Gate {
    fn drained(&self, _generation: &Arc<Generation>) -> BoxFuture<'static, ()> {
        let mut open = self.0.subscribe();
        Box::pin(async move {
            let _ = open.wait_for(|open| *open).await;
        })
    }

    fn in_flight(&self, _generation: &Arc<Generation>) -> InFlight {
        InFlight { calls: usize::from(!*self.0.borrow()), web_sockets: 0 }
    }
}

/// A project and its run.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub runtime: Arc<RuntimeDir>,
    pub states: Arc<Journal<(SessionName, SessionState)>>,
    pub output: Arc<Journal<(SessionName, Level, String)>>,
    pub gate: Arc<Gate>,
}

impl Bench {
    /// Writes `jackfield.toml` and the other files. Nothing is started.
    pub fn new(project: &str, files: &[(&str, &str)]) -> Self {
        // Socket paths are short, so not under a TMPDIR of any length.
        let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let file = folder.path().join("jackfield.toml");
        std::fs::write(&file, project).unwrap();
        let runtime = Arc::new(RuntimeDir::claim_in(&folder.path().join("run"), &file).unwrap());
        Self {
            folder,
            runtime,
            states: Arc::new(Journal::new()),
            output: Arc::new(Journal::new()),
            gate: Arc::new(Gate(watch::Sender::new(true))),
        }
    }

    /// The project as it is on disk now.
    pub fn project(&self) -> Project {
        let loaded = Project::load(&self.folder.path().join("jackfield.toml"));
        loaded.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Changes a file.
    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// Starts what the project declares.
    pub async fn start(&self) -> Result<Sessions, StartFailures> {
        self.start_with(workerd_path(), Times::default()).await
    }

    /// The same with another executable and other times.
    pub async fn start_with(&self, workerd: &Path, times: Times) -> Result<Sessions, StartFailures> {
        let host = self.host(workerd, times);
        Sessions::start(host, self.states.clone(), self.gate.clone(), &self.project()).await
    }

    pub fn host(&self, workerd: &Path, times: Times) -> Arc<Host> {
        let root = self.folder.path();
        let host = Host::new(workerd.to_owned(), root, self.runtime.clone(), self.output.clone(), times);
        Arc::new(host.unwrap())
    }

    /// The generation with that number, once it is up.
    pub async fn up(&self, session: &str, number: u64) -> Arc<Generation> {
        let wait = self.states.wait("generation", |(name, state)| match state {
            SessionState::Up(up) if name.to_string() == session && up.number == number => Some(up.clone()),
            _ => None,
        });
        wait.await
    }

    /// The names of the files in the private folder that belong to generations.
    pub fn generation_files(&self) -> Vec<String> {
        let entries = self.runtime.folder().read_dir().unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("g-")).collect()
    }
}

/// One GET of an absolute URL over a unix socket: the whole answer, head and all.
pub async fn get(socket: &Path, url: &str, headers: &str) -> String {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        let request = format!("GET {url} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(DEADLINE, exchange).await.expect("an answer in time").unwrap()
}

/// The HTTP socket of an entrypoint.
pub fn http(generation: &Generation, entrypoint: Option<&str>) -> PathBuf {
    generation.http_sockets[&entrypoint.map(str::to_owned)].clone()
}
