//! From the table to the rows of the API.

use super::shape::{Changed, LinkRow, Links, SessionRow, Sessions, State, millis};
use crate::router::{Class, Link, LinkName, Revision, Session, Snapshot};
use crate::session::project::Storage;
use crate::session::{Generation, SessionName, SessionState};

/// All sessions of a snapshot; `url` is where one is reached from outside.
pub fn sessions(snapshot: &Snapshot, url: impl Fn(&SessionName) -> Option<String>) -> Sessions {
    let rows = snapshot.sessions().into_iter().map(|session| session_row(session, url(&session.name)));
    Sessions { revision: snapshot.revision, sessions: rows.collect() }
}

fn unique_key(class: &Class) -> Option<(String, String)> {
    match &class.storage {
        Storage::Stored { unique_key } => Some((class.name.clone(), unique_key.clone())),
        Storage::Ephemeral => None,
    }
}

/// All links of a snapshot.
pub fn links(snapshot: &Snapshot, leases: impl Fn(&LinkName) -> usize) -> Links {
    let rows = snapshot.links().into_iter().map(|link| link_row(snapshot, link, leases(&link.name)));
    Links { revision: snapshot.revision, links: rows.collect() }
}

/// The links of `names` that a snapshot has, after a change that published `revision`.
pub fn changed(
    snapshot: &Snapshot,
    revision: Revision,
    names: &[LinkName],
    leases: impl Fn(&LinkName) -> usize,
) -> Changed {
    let found = names.iter().filter_map(|name| snapshot.link(name));
    let rows = found.map(|link| link_row(snapshot, link, leases(&link.name)));
    Changed { revision, links: rows.collect() }
}

fn session_row(session: &Session, url: Option<String>) -> SessionRow {
    let (state, why) = state(&session.state);
    let generation = generation(&session.state);
    SessionRow {
        session: session.name.clone(),
        generation: generation.map(|generation| generation.number),
        state,
        why,
        since_ms: millis(session.since),
        pid: generation.map(|generation| generation.pid),
        entrypoints: entrypoints(session, generation),
        classes: session.classes.iter().map(|class| class.name.clone()).collect(),
        joined: session.joined,
        unique_keys: session.classes.iter().filter_map(unique_key).collect(),
        fake: session.fake.as_deref().map(Into::into),
        url,
    }
}

fn link_row(snapshot: &Snapshot, link: &Link, leases: usize) -> LinkRow {
    let target = link.target.session();
    let aimed = snapshot.session(target);
    let (state, why) = aimed.map_or((State::Down, None), |session| state(&session.state));
    // Where the rules have found nobody, the link is aimed at nothing yet.
    let sought = link.rule.as_ref().filter(|choice| choice.session().is_none());
    let (state, why) = sought.map_or((state, why), |choice| (State::Down, Some(choice.to_string())));
    let name = link.worker.as_ref().unwrap_or(&link.name.binding);
    let mut aim = link.target.aim();
    if let Some(name) = sought.and_then(|_| name.parse().ok()) {
        aim.session = name;
    }
    LinkRow {
        link: link.name.clone(),
        kind: link.target.kind(),
        target: aim,
        props: link.target.props().cloned(),
        accepts_props: link.accepts_props,
        revision: link.revision,
        state,
        why,
        fake: aimed.and_then(|session| session.fake.as_deref()).map(Into::into),
        leases,
    }
}

fn state(state: &SessionState) -> (State, Option<String>) {
    match state {
        SessionState::Starting => (State::Starting, None),
        SessionState::Up(_) => (State::Up, None),
        SessionState::Down { why } => (State::Down, Some(why.clone())),
    }
}

fn generation(state: &SessionState) -> Option<&Generation> {
    match state {
        SessionState::Up(generation) => Some(generation),
        SessionState::Starting | SessionState::Down { .. } => None,
    }
}

/// The default export first, then by name. Where the exports are not known, those that plain HTTP reaches.
fn entrypoints(session: &Session, generation: Option<&Generation>) -> Vec<String> {
    if let Some(exports) = &session.exports {
        return exports.entrypoint_names().map(str::to_owned).collect();
    }
    let mut names: Vec<_> =
        generation.into_iter().flat_map(|generation| generation.http_sockets.keys()).collect();
    names.sort();
    names.into_iter().map(|name| name.clone().unwrap_or_else(|| "default".to_owned())).collect()
}
