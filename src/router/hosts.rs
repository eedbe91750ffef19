//! Which session a host of the ingress means: `web.localhost`, `api.feature.localhost`, `admin.api.localhost`.
//!
//! Hosts know no case, and neither do these rules; where case alone would tell two apart, it decides if it was typed.
//! The first that fits:
//!
//! 1. a session with its scope: `api.feature` is `api@feature`;
//! 2. a session without a scope: `api` is `api`;
//! 3. the only session of that name, whatever its scope;
//! 4. an entrypoint before one of these: `admin.api` is `api#Admin`.
//!
//! So a scope hides an entrypoint of the same name; that one is reached with the scope of its session.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use hyper::header::{HOST, HeaderMap};
use hyper::{Method, Uri};

use super::link::Revision;
use super::snapshot::{Session, Snapshot};
use crate::session::SessionName;
use crate::session::name::check_identifier;

/// Who is asked, by the head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The ingress itself.
    Ingress,
    /// What stands before `.localhost`, as it was typed.
    Name(String),
}

/// Who is asked. Only hosts that cannot be anybody else's are believed: another one that leads here is a page's trick
/// to read what a worker answers (DNS rebinding).
///
/// # Errors
/// Why the request is refused.
pub(super) fn asked(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    port: u16,
) -> Result<Asked, &'static str> {
    if *method == Method::CONNECT {
        return Err("this is no proxy");
    }
    let host = only(uri, headers)?;
    let name = match host.rsplit_once(':') {
        Some((name, digits)) if digits == port.to_string() => name,
        // Browsers leave out the port that everybody knows.
        None if port == 80 => host,
        _ => return Err("the Host header has another port"),
    };
    Ok(match before_localhost(name)? {
        Some(typed) => Asked::Name(typed.to_owned()),
        None => Asked::Ingress,
    })
}

/// Whether a request that came to the address of one session was meant for it: hosts under `localhost`, and those of
/// loopback, are this machine's for every browser. The port may be any, since it may have been forwarded from another one
/// (by ssh, or into a container), and no page can say that it is of one of these hosts.
///
/// # Errors
/// Why the request is refused.
pub(super) fn is_here(uri: &Uri, headers: &HeaderMap, address: IpAddr) -> Result<(), &'static str> {
    let host = only(uri, headers)?;
    let end = host.rfind(']').unwrap_or_default();
    let name =
        match host.rfind(':').filter(|colon| *colon > end || end == 0).map(|colon| host.split_at(colon)) {
            Some((name, port)) if port.get(1..).is_some_and(|digits| digits.parse::<u16>().is_ok()) => name,
            Some(_) => return Err("the Host header is no host"),
            None => host,
        };
    match name.parse::<Ipv4Addr>() {
        Ok(host) if IpAddr::V4(host) == address => Ok(()),
        _ => before_localhost(name).map(drop),
    }
}

/// The one host of a request.
fn only<'a>(uri: &Uri, headers: &'a HeaderMap) -> Result<&'a str, &'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err("a request has one Host header");
    };
    let host = host.to_str().map_err(|_| "the Host header is no host")?;
    match uri.authority().is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(host)) {
        true => Err("the Host header is another than the URL's"),
        false => Ok(host),
    }
}

/// What stands before `.localhost`; `None` for the hosts of loopback themselves.
fn before_localhost(name: &str) -> Result<Option<&str>, &'static str> {
    if ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| name.eq_ignore_ascii_case(host)) {
        return Ok(None);
    }
    let split = name.len().checked_sub(".localhost".len()).and_then(|at| name.split_at_checked(at));
    let (part, _) = split
        .filter(|(_, end)| end.eq_ignore_ascii_case(".localhost"))
        .ok_or("the Host header is not under `localhost`")?;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$');
    match part.split('.').all(|label| !label.is_empty() && label.chars().all(good)) {
        true => Ok(Some(part)),
        false => Err("the Host header is no host"),
    }
}

/// What a host means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// A session's default export, or one of its entrypoints.
    Session(SessionName, Option<String>),
    /// One of several, and nothing tells which.
    Several(Vec<SessionName>),
    /// There is a session, without that entrypoint.
    NoEntrypoint(SessionName, String),
    /// Nobody.
    Nobody,
}

/// The hosts of one moment.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    revision: Revision,
    pub sessions: Vec<Arc<Session>>,
    /// Into `sessions`, by hosts in lower case.
    scoped: HashMap<String, Vec<usize>>,
    plain: HashMap<String, Vec<usize>>,
    named: HashMap<String, Vec<usize>>,
}

impl Hosts {
    pub fn of(snapshot: &Snapshot) -> Self {
        let sessions: Vec<_> = snapshot.sessions().into_iter().cloned().collect();
        let mut hosts = Self { revision: snapshot.revision, ..Self::default() };
        for (index, session) in sessions.iter().enumerate() {
            let name = &session.name;
            let by_rule = match name.scope() {
                Some(_) => &mut hosts.scoped,
                None => &mut hosts.plain,
            };
            by_rule.entry(host(name).to_ascii_lowercase()).or_default().push(index);
            hosts.named.entry(name.name().to_ascii_lowercase()).or_default().push(index);
        }
        Self { sessions, ..hosts }
    }

    pub fn is_of(&self, snapshot: &Snapshot) -> bool {
        self.revision == snapshot.revision
    }

    /// What is meant by what stands before `.localhost`.
    pub fn find(&self, typed: &str) -> Meant {
        if let Some(found) = self.session(typed) {
            return match found {
                Ok(session) => Meant::Session(session.name.clone(), None),
                Err(several) => Meant::Several(several),
            };
        }
        let Some((entrypoint, rest)) = typed.split_once('.') else { return Meant::Nobody };
        match self.session(rest) {
            None => Meant::Nobody,
            Some(Err(several)) => Meant::Several(several),
            Some(Ok(session)) => match entrypoint_of(session, entrypoint) {
                Some(entrypoint) => Meant::Session(session.name.clone(), entrypoint),
                None => Meant::NoEntrypoint(session.name.clone(), entrypoint.to_owned()),
            },
        }
    }

    /// Whether it is known what a session exports.
    pub fn knows_exports(&self, session: &SessionName) -> bool {
        self.sessions.iter().any(|known| known.name == *session && known.exports.is_some())
    }

    fn session(&self, typed: &str) -> Option<Result<&Session, Vec<SessionName>>> {
        let lower = typed.to_ascii_lowercase();
        let found = [&self.scoped, &self.plain, &self.named].into_iter().find_map(|rule| rule.get(&lower))?;
        let found: Vec<&Session> =
            found.iter().filter_map(|index| self.sessions.get(*index)).map(AsRef::as_ref).collect();
        let exact = |session: &&&Session| host(&session.name) == typed || session.name.name() == typed;
        let mut as_typed = found.iter().filter(exact);
        Some(match (found.as_slice(), as_typed.next(), as_typed.next()) {
            ([only], ..) => Ok(*only),
            (_, Some(only), None) => Ok(*only),
            _ => Err(found.iter().map(|session| session.name.clone()).collect()),
        })
    }

    /// The shortest host that means a session, or its entrypoint; without `.localhost`.
    pub fn shortest(&self, session: &SessionName, entrypoint: Option<&str>) -> Option<String> {
        let entrypoint = entrypoint.filter(|name| *name != "default");
        let wanted = Meant::Session(session.clone(), entrypoint.map(str::to_owned));
        let hosts = [session.name().to_owned(), host(session)];
        let hosts = hosts.map(|host| match entrypoint {
            Some(entrypoint) => format!("{entrypoint}.{host}").to_ascii_lowercase(),
            None => host.to_ascii_lowercase(),
        });
        hosts.into_iter().find(|host| self.find(host) == wanted)
    }
}

fn host(session: &SessionName) -> String {
    match session.scope() {
        Some(scope) => format!("{}.{scope}", session.name()),
        None => session.name().to_owned(),
    }
}

/// The export that a label means; `Some(None)` is the default one. Where nobody knows the exports, it is given as it was
/// typed, and its debug port is asked how that is spelled.
fn entrypoint_of(session: &Session, label: &str) -> Option<Option<String>> {
    let known = session.entrypoint_names();
    let mut alike = known.iter().filter(|name| name.eq_ignore_ascii_case(label));
    let found = match (alike.next(), alike.next()) {
        (Some(only), None) => Some(only.clone()),
        (Some(_), Some(_)) => known.iter().find(|name| *name == label).cloned(),
        _ => (session.exports.is_none() && check_identifier(label).is_ok()).then(|| label.to_owned()),
    };
    found.map(|name| Some(name).filter(|name| name != "default"))
}

#[cfg(test)]
mod tests;
