//! From the table to the rows of the API.

use std::collections::BTreeMap;

use super::shape::{Changed, LinkRow, Links, Rule, SessionRow, Sessions, State, millis};
use crate::router::{Class, Link, LinkName, Revision, Session, Snapshot};
use crate::session::config::FIRE;
use crate::session::project::Storage;
use crate::session::{Generation, SessionName, SessionState, is_stopped, resident, tool};

/// Where sessions are reached from outside.
pub trait Addresses {
    /// Where the project says that the default export is.
    fn listen(&self, session: &SessionName) -> Option<String>;
    /// Where the ingress has an entrypoint; `None` is the default export.
    fn url(&self, session: &SessionName, entrypoint: Option<&str>) -> Option<String>;
}

/// All sessions of a snapshot.
pub fn sessions(snapshot: &Snapshot, addresses: &impl Addresses) -> Sessions {
    let rows = snapshot.sessions().into_iter().map(|session| session_row(session, addresses));
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

pub(super) fn session_row(session: &Session, addresses: &impl Addresses) -> SessionRow {
    let url = |entrypoint| addresses.url(&session.name, entrypoint);
    let entrypoints = session.entrypoint_names();
    let named = entrypoints.iter().filter(|name| *name != "default");
    let named = named.filter_map(|name| Some((name.clone(), url(Some(name))?)));
    // Somebody who asks for a joined session finds out whether it has a default export.
    let has_default = session.exports.as_ref().is_none_or(|exports| exports.default);
    let default = url(None).filter(|_| has_default).map(|url| ("default".to_owned(), url));
    let urls: BTreeMap<_, _> = default.into_iter().chain(named).collect();
    let (state, why) = state(&session.state);
    let generation = generation(&session.state);
    SessionRow {
        session: session.name.clone(),
        generation: generation.map(|generation| generation.number),
        state,
        why,
        since_ms: millis(session.since),
        pid: generation.map(|generation| generation.pid),
        entrypoints,
        classes: session.classes.iter().map(|class| class.name.clone()).collect(),
        joined: session.origin.is_joined(),
        origin: session.origin,
        services: generation.map(services).unwrap_or_default(),
        workerd: generation.and_then(|generation| generation.release.as_ref()).map(ToString::to_string),
        tool: generation.filter(|_| session.origin.is_joined()).and_then(|generation| tool(generation.pid)),
        memory_bytes: generation.and_then(|generation| resident(generation.pid)),
        unique_keys: session.classes.iter().filter_map(unique_key).collect(),
        fake: session.fake.as_deref().map(Into::into),
        url: addresses.listen(&session.name).or_else(|| urls.get("default").cloned()),
        urls,
    }
}

fn link_row(snapshot: &Snapshot, link: &Link, leases: usize) -> LinkRow {
    let aimed = snapshot.session(link.target.session());
    let (mut state, mut why) = aimed.map_or((State::Down, None), |session| state(&session.state));
    let mut target = link.target.aim();
    // Where the rules find no session, the name that was looked for is all there is to show.
    let lost = link.rule.as_ref().filter(|choice| choice.session().is_none());
    if let Some(choice) = lost {
        (state, why) = (State::Down, Some(choice.to_string()));
        target.session = link.wanted().parse().unwrap_or(target.session);
    }
    LinkRow {
        link: link.name.clone(),
        kind: link.target.kind(),
        rule: link.rule.as_ref().map(Rule::from),
        target,
        props: link.target.props().cloned(),
        accepts_props: link.accepts_props,
        revision: link.revision,
        state,
        why,
        fake: aimed.and_then(|session| session.fake.as_deref()).map(Into::into),
        leases,
    }
}

pub(super) fn state(state: &SessionState) -> (State, Option<String>) {
    match state {
        SessionState::Starting => (State::Starting, None),
        SessionState::Up(generation) if is_stopped(generation.pid) => {
            let pid = generation.pid;
            let why = format!("process {pid} is stopped; events wait in it until `kill -CONT {pid}`");
            (State::Stopped, Some(why))
        }
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

/// That of the default export first, each once.
fn services(Generation { services, .. }: &Generation) -> Vec<String> {
    let mut all = vec![services.default.clone()];
    for name in std::iter::once(&services.named).chain(&services.others) {
        // The helper is no worker of anybody's.
        if name != FIRE && !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}
