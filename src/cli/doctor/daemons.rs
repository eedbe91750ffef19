//! Daemons that run or have run, and sessions that registered by themselves.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::cli::args::INGRESS_PORT;
use crate::client::{ConnectError, Session};
use crate::control::Client;
use crate::control::shape::{SessionRow, State};
use crate::net::Endpoint;
use crate::registry;
use crate::session::{Listener, Owner, ProjectFolder, RuntimeDir, RuntimeSurvey};

/// So many complaints about one registry are a screen.
const SHOWN: usize = 20;

/// So many listeners of one registry are asked whether they are debug ports: more are nobody's sessions.
const PROVED: usize = 64;

/// How long each may take to say so. It needs a millisecond; one that is stopped says nothing.
const PROOF: Duration = Duration::from_millis(500);

/// The folder of all projects, and what killed daemons left in it.
pub(super) fn folders() -> Vec<Check> {
    let RuntimeSurvey { base, exists, trouble, projects } = RuntimeSurvey::take();
    let base = base.display();
    let mut checks = vec![match (trouble, exists) {
        (Some(trouble), _) => {
            Check::error("folder", trouble.to_string(), "nothing starts until this is put right")
        }
        (None, true) => Check::ok("folder", format!("{base}, for this user alone")),
        (None, false) => Check::ok("folder", format!("{base}; it is made when a daemon starts")),
    }];
    for ProjectFolder { folder, project, pid, owner } in projects {
        let folder = folder.display();
        let project =
            project.map_or_else(|| "an unknown project".to_owned(), |project| project.display().to_string());
        let pid = pid.unwrap_or_default();
        checks.extend(match owner {
            Owner::Answers => None,
            Owner::Silent => Some(Check::warning(
                "daemon",
                format!("process {pid} holds {folder} for {project}, and does not answer"),
                format!("wait a moment; if it stays so, `kill {pid}` and start again"),
            )),
            Owner::Gone => Some(Check::warning(
                "folder",
                format!("{folder} was left by a daemon of {project} that was killed"),
                format!("`jackfield up` in that project clears it; or `rm -r {folder}`"),
            )),
        });
    }
    checks
}

/// The daemons that run.
pub(super) async fn answers() -> Vec<Check> {
    let own = env!("CARGO_PKG_VERSION");
    let mut checks = Vec::new();
    let mut ports = Vec::new();
    for (project, socket) in RuntimeDir::running() {
        let (project, client) = (project.display(), Client::new(socket));
        let mut checks_of_sessions = Vec::new();
        checks.push(match client.status().await {
            Ok(status) => {
                let at = status.ingress.as_deref().unwrap_or("no port for browsers");
                ports.extend(status.ingress.clone());
                checks_of_sessions =
                    client.sessions().await.map(|all| sessions(&all.sessions)).unwrap_or_default();
                let up = format!("{} of {} sessions up", status.sessions_up, status.sessions);
                let what = format!("{project}: {up}, process {}, {at}", status.pid);
                match status.version == own {
                    true => Check::ok("daemon", what),
                    false => Check::warning(
                        "daemon",
                        format!("{what}; it is version {}, and this is {own}", status.version),
                        "`jackfield down`, and start it again",
                    ),
                }
            }
            Err(error) => Check::error(
                "daemon",
                format!("{project}: {error}"),
                "end its process, and start it again with this version",
            ),
        });
        checks.append(&mut checks_of_sessions);
    }
    if checks.is_empty() {
        checks.push(Check::ok("daemon", "none runs; commands that need one start it"));
    }
    checks.extend(wanted_port(&ports));
    checks
}

/// Why what listens there is no session that others could call; one that says nothing may be.
async fn no_session(port: &Endpoint, service: &str) -> Option<String> {
    match Session::connect_within(&port.into(), PROOF).await {
        Ok(session) => {
            let is_there = session.exports(service, None).await;
            (is_there == Ok(false)).then(|| format!("{port} has no service `{service}`"))
        }
        Err(ConnectError::NotDebugPort { .. } | ConnectError::Vanished { .. }) => {
            Some(format!("{port} is no debug port"))
        }
        Err(_) => None,
    }
}

/// Those of a daemon that take no events.
fn sessions(all: &[SessionRow]) -> Vec<Check> {
    let check = |row: &SessionRow| {
        let state = match row.state {
            State::Up | State::Starting => return None,
            State::Stopped => "stopped",
            State::Down => "down",
        };
        let (session, why) = (&row.session, row.why.as_deref().unwrap_or("nobody knows why"));
        let next = format!("`jackfield explain {session}` says what to do");
        Some(Check::warning("session", format!("{session} is {state}: {why}"), next))
    };
    all.iter().filter_map(check).take(SHOWN).collect()
}

/// The port that every daemon is told to take.
fn wanted_port(ours: &[String]) -> Option<Check> {
    let text = std::env::var(INGRESS_PORT).ok()?;
    let unset = format!("unset {INGRESS_PORT}, or set it to a port that is free");
    let Some(port) = text.parse::<u16>().ok() else {
        return Some(Check::error("ports", format!("{INGRESS_PORT} is `{text}`, not a port"), unset));
    };
    let is_ours = ours.iter().any(|url| url.ends_with(&format!(":{port}/")));
    Some(match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Check::ok("ports", format!("{port} is free ({INGRESS_PORT})")),
        Err(_) if is_ours => Check::ok("ports", format!("{port} is taken by a daemon ({INGRESS_PORT})")),
        Err(error) => {
            Check::error("ports", format!("{port} cannot be taken ({INGRESS_PORT}): {error}"), unset)
        }
    })
}

/// What has registered where everybody does.
pub(super) async fn registries() -> Vec<Check> {
    let mut checks = Vec::new();
    for folder in registry::defaults() {
        checks.extend(registry(&folder).await);
    }
    checks
}

async fn registry(folder: &Path) -> Vec<Check> {
    let shown = folder.display();
    let found = match registry::list(folder) {
        Ok(found) => found,
        Err(error) => {
            let next = "sessions that register there are not seen; make it readable";
            return vec![Check::error("registry", format!("{shown} cannot be read: {error}"), next)];
        }
    };
    if !folder.exists() {
        return vec![Check::ok("registry", format!("{shown} is not there; nobody has registered"))];
    }
    // A daemon is nobody's child either.
    let own: Vec<_> = RuntimeSurvey::take().projects.iter().filter_map(|project| project.pid).collect();
    let mut checks = Vec::new();
    let mut reached = 0;
    for (worker, entry) in &found.entries {
        let port = &entry.debug_port;
        let file = folder.join(worker);
        match port.connect() {
            Err(error) => checks.push(Check::warning(
                "registry",
                format!("{worker} is registered at {port}, where nobody listens: {error}"),
                format!("its tool was killed; wait for 90 s, or `rm {}`", file.display()),
            )),
            Ok(_) => {
                reached += 1;
                let listener = Listener::of(port);
                let is_own = |pid: u32| own.contains(&pid.cast_signed());
                if listener.as_ref().is_some_and(|listener| is_own(listener.pid)) {
                    let what = format!("{worker} leads to jackfield itself ({port})");
                    checks.push(Check::warning("registry", what, format!("`rm {}`", file.display())));
                } else if let Some(listener) = listener.filter(Listener::is_orphan) {
                    let what = format!("{worker} was left behind by its tool, and serves old code ({port})");
                    checks.push(Check::warning("registry", what, format!("`kill {}`", listener.pid)));
                } else if reached <= PROVED
                    && let Some(why) = no_session(port, &entry.services.default).await
                {
                    reached -= 1;
                    let what = format!("{worker} is registered, and is no session: {why}");
                    checks.push(Check::warning("registry", what, format!("`rm {}`", file.display())));
                }
            }
        }
    }
    for (file, error) in &found.refused {
        let what = format!("{shown}/{file} is passed over: {error}");
        checks.push(Check::warning("registry", what, "update the tool that wrote it, or remove the file"));
    }
    if found.is_cut {
        let what = format!("{shown} has more than {} entries", registry::MAX_ENTRIES);
        checks.push(Check::warning("registry", what, "remove what is left over"));
    }
    let more = checks.len().saturating_sub(SHOWN);
    checks.truncate(SHOWN);
    if more > 0 {
        let what = format!("{more} more entries of {shown} lead nowhere, or cannot be used");
        checks.push(Check::warning("registry", what, "remove what is left over"));
    }
    let noun = if reached == 1 { "session" } else { "sessions" };
    checks.insert(0, Check::ok("registry", format!("{shown}: {reached} {noun} that can be reached")));
    checks
}
