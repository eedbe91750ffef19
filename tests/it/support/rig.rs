//! A project with its sessions running and its links served by a router: all of it but the command line.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::header::HeaderName;
use jackfield::router::switch::{Counts, Settings, Shared, TraceFile};
use jackfield::router::{Aim, Change, Class, Face, LinkName, Links, Moved, Router, Target, retarget};
use jackfield::session::config::connect_host;
use jackfield::session::{
    Generation, Host, Project, RuntimeDir, SessionName, SessionSink, SessionState, Sessions, Times,
};
use tokio::net::UnixStream;

use super::sessions::{DEADLINE, get, http};
use super::talk::Talk;
use super::workerd::workerd_path;

pub struct Rig {
    _folder: tempfile::TempDir,
    pub runtime: Arc<RuntimeDir>,
    pub links: Arc<Links>,
    pub router: Arc<Router>,
    /// Every generation with all its sockets.
    generations: Arc<Generations>,
    sessions: Sessions,
    _faces: Vec<Face>,
}

/// Tells the router of generations, perhaps without their HTTP sockets.
struct Generations {
    links: Arc<Links>,
    converts: bool,
    all: Mutex<HashMap<(SessionName, u64), Arc<Generation>>>,
}

impl SessionSink for Generations {
    fn publish(&self, session: &SessionName, state: SessionState) {
        let state = match state {
            SessionState::Up(up) => {
                self.all.lock().unwrap().insert((session.clone(), up.number), up.clone());
                let mut told = (*up).clone();
                if self.converts {
                    told.http_sockets.clear();
                }
                SessionState::Up(Arc::new(told))
            }
            other => other,
        };
        self.links.publish(session, state);
    }
}

struct Silent;

impl jackfield::session::OutputSink for Silent {
    fn line(&self, session: &SessionName, _: jackfield::session::Level, line: &str) {
        if std::env::var_os("JACKFIELD_TEST_OUTPUT").is_some() {
            eprintln!("{session} | {line}");
        }
    }
}

impl Rig {
    /// Writes the project, opens the faces and starts the sessions.
    pub async fn start(project: &str, files: &[(&str, &str)]) -> Self {
        Self::with(project, files, Settings::default()).await
    }

    pub async fn with(project: &str, files: &[(&str, &str)], settings: Settings) -> Self {
        Self::build(project, files, settings, false).await
    }

    /// The same, where the router knows of no HTTP sockets: it converts what comes over HTTP.
    pub async fn converting(project: &str, files: &[(&str, &str)]) -> Self {
        Self::build(project, files, Settings::default(), true).await
    }

    async fn build(project: &str, files: &[(&str, &str)], mut settings: Settings, converts: bool) -> Self {
        if let Some(path) = std::env::var_os("JACKFIELD_TEST_FRAMES") {
            settings.trace = Some(TraceFile::create(path.as_ref()).unwrap());
        }
        // Socket paths are short, so not under a TMPDIR of any length.
        let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let file = folder.path().join("jackfield.toml");
        std::fs::write(&file, project).unwrap();
        let project = Project::load(&file).unwrap_or_else(|error| panic!("{error}"));
        let runtime = Arc::new(RuntimeDir::claim_in(&folder.path().join("run"), &file).unwrap());
        let links = Arc::new(Links::new());
        links.change(changes(&project), None).unwrap();
        let router = Router::start(links.clone(), settings).unwrap();
        let faces = open_faces(&router, &runtime, &project);
        let host = Host::new(
            workerd_path().to_owned(),
            folder.path(),
            runtime.clone(),
            Arc::new(Silent),
            Times::default(),
        );
        let host = Arc::new(host.unwrap());
        let generations = Arc::new(Generations { links: links.clone(), converts, all: Mutex::default() });
        let sessions = Sessions::start(host, generations.clone(), router.clone(), &project).await.unwrap();
        Rig { _folder: folder, runtime, links, router, generations, sessions, _faces: faces }
    }

    /// The newest generation of a session, once it is up.
    pub async fn up(&self, session: &str) -> Arc<Generation> {
        let name: SessionName = session.parse().unwrap();
        let up = self.links.until(|snapshot| match &snapshot.session(&name)?.state {
            SessionState::Up(generation) => Some(generation.clone()),
            _ => None,
        });
        tokio::time::timeout(DEADLINE, up).await.expect("the session comes up")
    }

    /// The HTTP socket of a session's default export.
    pub async fn socket(&self, session: &str) -> PathBuf {
        let up = self.up(session).await;
        let all = self.generations.all.lock().unwrap();
        http(&all[&(up.session.clone(), up.number)], None)
    }

    /// What a session answers to a GET of `path`.
    pub async fn get(&self, session: &str, path: &str) -> String {
        let answer = get(&self.socket(session).await, &format!("http://test{path}"), "").await;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or(answer)
    }

    /// Points a link elsewhere, and returns when every later event goes there.
    pub async fn retarget(&self, link: &str, to: &str) {
        self.move_all(&[(link, to)], false).await;
    }

    /// Points several links elsewhere in one step, and breaks what began before if asked to.
    pub async fn move_all(&self, moves: &[(&str, &str)], cut: bool) -> Moved {
        let change = |(link, to): &(&str, &str)| Change::Retarget {
            link: link.parse().unwrap(),
            to: to.parse::<Aim>().unwrap(),
            props: None,
        };
        let changes = moves.iter().map(change).collect();
        retarget(&self.links, &*self.router, &*self.router, changes, None, cut).await.unwrap()
    }

    /// A request to a session's worker that is told what to do.
    pub async fn talk(&self, session: &str) -> Talk {
        Talk::with(&self.socket(session).await).await
    }

    /// Says what state a session is in, whatever its process does.
    pub fn publish(&self, session: &str, state: SessionState) {
        self.links.publish(&session.parse().unwrap(), state);
    }

    /// Ends the process of a session as `kill -9` does, and returns once that is known.
    pub async fn kill(&self, session: &str) {
        let before = self.up(session).await.number;
        let name: SessionName = session.parse().unwrap();
        assert!(self.sessions.kill(&name).await);
        let gone = self.links.until(|links| (!links.is_newest(&name, before)).then_some(()));
        tokio::time::timeout(DEADLINE, gone).await.expect("the end of a process is seen");
    }

    /// The process of a session: whoever listens on its debug port.
    pub async fn pid(&self, session: &str) -> rustix::process::Pid {
        let socket = UnixStream::connect(self.up(session).await.debug_port.path().unwrap()).await.unwrap();
        let pid = socket.peer_cred().unwrap().pid().unwrap();
        rustix::process::Pid::from_raw(pid).unwrap()
    }

    pub fn counts(&self) -> Counts {
        self.router.shared().counts()
    }

    /// Waits for a state that others bring about.
    pub async fn until(&self, what: &str, mut state: impl FnMut(&Shared) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        let mut looks = tokio::time::interval(Duration::from_millis(1));
        while !state(self.router.shared()) {
            assert!(Instant::now() < deadline, "{what} did not come about");
            looks.tick().await;
        }
    }
}

fn changes(project: &Project) -> Vec<Change> {
    let mut changes = Vec::new();
    for session in &project.sessions {
        let class = |class: &jackfield::session::project::ClassSpec| Class {
            name: class.class.clone(),
            storage: class.storage.clone(),
        };
        let classes = session.classes.iter().map(class).collect();
        changes.push(Change::DefineSession {
            session: session.name.clone(),
            classes,
            exports: session.exports.clone(),
        });
    }
    for session in &project.sessions {
        for link in &session.services {
            let target = Target::Entrypoint {
                session: link.target.clone(),
                entrypoint: link.entrypoint.clone(),
                props: link.props.clone().map(serde_json::Value::Object),
            };
            let accepts_props = link.accepts_props;
            let link = LinkName::new(session.name.clone(), &link.binding);
            changes.push(Change::DefineLink { link, target, accepts_props });
        }
        for link in &session.actors {
            let target = Target::ActorClass { session: link.target.clone(), class: link.class.clone() };
            let link = LinkName::new(session.name.clone(), &link.binding);
            changes.push(Change::DefineLink { link, target, accepts_props: false });
        }
    }
    changes
}

fn open_faces(router: &Arc<Router>, runtime: &RuntimeDir, project: &Project) -> Vec<Face> {
    let cf_header = HeaderName::try_from(runtime.cf_header()).unwrap();
    let mut faces = Vec::new();
    for session in &project.sessions {
        for link in &session.services {
            let path = runtime.link_face(&session.name, &link.binding);
            let name = LinkName::new(session.name.clone(), &link.binding);
            let host = connect_host(&session.name, &link.binding);
            faces.push(router.serve_link(&path, name, host, cf_header.clone()).unwrap());
        }
        let path = runtime.debug_face(&session.name);
        faces.push(router.serve_port(&path, session.name.clone()).unwrap());
    }
    faces
}
