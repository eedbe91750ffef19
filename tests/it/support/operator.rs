//! An operator with a real link table and no sessions behind it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jackfield::control::explain::{Facts, explain};
use jackfield::control::rows::{self, Addresses};
use jackfield::control::shape::{
    Attach, Attached, ChangeRequest, Changed, EndDev, Ending, Events, Explanation, FakeRequest, Links,
    Placed, Places, Reloaded, Run, Running, SessionRow, Sessions, Status, Stopped, millis,
};
use jackfield::control::{Code, Operator, Problem, Telling};
use jackfield::router::{self, Change, Class, Failure, Kind, Link, LinkName, Origin, Revision, Target};
use jackfield::session::project::Storage;
use jackfield::session::wrangler::Request;
use jackfield::session::{Generation, Services, SessionName, SessionSink, SessionState};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, Notify};

/// web → api@blue over two links; api@green is starting for ever.
pub struct Desk {
    table: router::Links,
    gate: Mutex<()>,
    begun: Notify,
    dropped: Notify,
}

impl Desk {
    pub fn new() -> Self {
        let table = router::Links::new();
        let session = |name: &str, classes: &[&str]| Change::DefineSession {
            session: name.parse().unwrap(),
            classes: classes
                .iter()
                .map(|class| Class { name: (*class).to_owned(), storage: Storage::Ephemeral })
                .collect(),
            exports: None,
        };
        let link = |name: &str, target| Change::DefineLink {
            link: name.parse().unwrap(),
            target,
            accepts_props: false,
        };
        let api = Target::Entrypoint {
            session: "api@blue".parse().unwrap(),
            entrypoint: None,
            props: Some(json!({ "tenant": 7 })),
        };
        let rooms = Kind::Actor.target("api@blue#Room".parse().unwrap(), None).unwrap();
        let changes = vec![
            Change::JoinSession("site@main".parse().unwrap(), Origin::Run),
            session("web", &[]),
            session("api@blue", &["Room"]),
            session("api@green", &["Room"]),
            link("web/API", api),
            link("web/ROOMS", rooms),
        ];
        table.change(changes, None).unwrap();
        for name in ["web", "api@blue"] {
            let name: SessionName = name.parse().unwrap();
            table.publish(&name, SessionState::Up(Arc::new(generation(&name))));
        }
        Self { table, gate: Mutex::new(()), begun: Notify::new(), dropped: Notify::new() }
    }

    pub fn revision(&self) -> Revision {
        self.table.snapshot().revision
    }

    /// Changes wait until the guard is dropped.
    pub async fn hold_changes(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().await
    }

    pub async fn change_begun(&self) {
        self.begun.notified().await;
    }

    pub async fn change_dropped(&self) {
        self.dropped.notified().await;
    }
}

fn generation(session: &SessionName) -> Generation {
    let sockets = [None, Some("Admin".to_owned())];
    Generation {
        session: session.clone(),
        number: 3,
        pid: 4242,
        release: None,
        debug_port: PathBuf::from("debug.sock").into(),
        services: Services::alike(session.to_string()),
        http_sockets: sockets.into_iter().map(|name| (name, PathBuf::from("http.sock"))).collect(),
        front_socket: Some(PathBuf::from("front.sock")),
        cf_header: "cf".to_owned(),
    }
}

fn leases(_: &LinkName) -> usize {
    2
}

/// As if everything had happened a while ago, so that a table of it has the same text every time.
fn settle(row: &mut SessionRow) {
    row.since_ms = millis(SystemTime::now() - Duration::from_secs(125));
    // Whoever has that number.
    row.memory_bytes = row.pid.map(|_| 54_321_000);
    row.tool = None;
}

impl Addresses for Desk {
    fn listen(&self, session: &SessionName) -> Option<String> {
        (session.to_string() == "web").then(|| "http://127.0.0.1:8787".to_owned())
    }

    fn url(&self, session: &SessionName, entrypoint: Option<&str>) -> Option<String> {
        let entrypoint = entrypoint.map(|name| format!("{}.", name.to_lowercase())).unwrap_or_default();
        let host = session.to_string().replace('@', ".");
        Some(format!("http://{entrypoint}{host}.localhost:8000/"))
    }
}

impl Facts for Desk {
    fn is_declared(&self, link: &Link) -> bool {
        link.name.binding == "API"
    }

    fn waiting_on(&self, link: &LinkName) -> usize {
        usize::from(link.binding == "ROOMS") * 2
    }

    fn waiting_outside(&self, _session: &SessionName) -> usize {
        1
    }

    fn last_failure(&self, link: &LinkName) -> Option<Failure> {
        let at = SystemTime::now() - Duration::from_secs(65);
        (link.binding == "ROOMS").then(|| Failure { text: "Network connection lost.".to_owned(), at })
    }

    fn last_failure_outside(&self, _session: &SessionName) -> Option<Failure> {
        None
    }

    fn refused(&self, worker: &str) -> Vec<(String, String)> {
        let old = ("/registry/old".to_owned(), "it was written by a version without a debug port".to_owned());
        Vec::from_iter((worker == "old").then_some(old))
    }
}

/// Tells when the future that holds it is dropped, finished or not.
struct Tell<'a>(&'a Notify);

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Operator for Desk {
    fn status(&self) -> Status {
        let snapshot = self.table.snapshot();
        Status {
            version: "0.0.0".to_owned(),
            pid: 1,
            project: PathBuf::from("/project/jackfield.toml"),
            port: PathBuf::from("port.sock"),
            ingress: Some("http://localhost:8000/".to_owned()),
            since_ms: 0,
            revision: snapshot.revision,
            sessions: snapshot.sessions().len(),
            sessions_up: 2,
            links: snapshot.links().len(),
            events: Events { began: 12, ..Events::default() },
        }
    }

    fn sessions(&self) -> Sessions {
        let mut sessions = rows::sessions(&self.table.snapshot(), self);
        sessions.sessions.iter_mut().for_each(settle);
        sessions
    }

    fn links(&self) -> Links {
        rows::links(&self.table.snapshot(), leases)
    }

    async fn explain(&self, asked: String) -> Result<Explanation, Problem> {
        let mut told = explain(&asked, &self.table.snapshot(), self)?;
        told.session.iter_mut().for_each(settle);
        Ok(told)
    }

    async fn change(&self, request: ChangeRequest) -> Result<Changed, Problem> {
        let _tell = Tell(&self.dropped);
        self.begun.notify_one();
        let _gate = self.gate.lock().await;
        let names: Vec<_> = request.changes.iter().map(|change| change.link.clone()).collect();
        let changes = request.changes.into_iter().map(|change| Change::Retarget {
            link: change.link,
            to: change.target,
            props: change.props,
        });
        let revision = self.table.change(changes.collect(), request.expected_revision)?;
        Ok(rows::changed(&self.table.snapshot(), revision, &names, leases))
    }

    async fn fake(&self, _: FakeRequest) -> Result<Changed, Problem> {
        Err(Problem::new(Code::Failed, "nothing is faked here"))
    }

    async fn run(&self, _run: Run) -> Result<Running, Problem> {
        Ok(Running { registry: PathBuf::from("view") })
    }

    async fn attach(&self, attach: Attach) -> Result<Attached, Problem> {
        Ok(Attached { session: attach.name.parse().expect("a session's name") })
    }

    fn places(&self, Places { texts, .. }: Places) -> Placed {
        Placed { texts }
    }

    fn dev(self: Arc<Self>, _request: Request) -> Result<(u64, Telling), Problem> {
        Err(Problem::new(Code::Failed, "nothing is compiled here"))
    }

    fn end_dev(&self, EndDev { guest }: EndDev) -> Result<Ending, Problem> {
        Err(Problem::new(Code::NotFound, format!("there is no guest {guest}")))
    }

    async fn reload(&self) -> Result<Reloaded, Problem> {
        Ok(Reloaded { revision: self.revision(), ..Default::default() })
    }

    async fn end(&self) -> Ending {
        std::future::pending().await
    }

    async fn down(&self) -> Result<Stopped, Problem> {
        let sessions = self.table.snapshot().sessions().iter().map(|session| session.name.clone()).collect();
        Ok(Stopped { pid: 1, sessions })
    }
}
