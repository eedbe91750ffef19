//! What the ingress itself answers: which sessions there are, and where.

use std::fmt::Write;
use std::net::SocketAddr;

use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderMap};
use serde_json::json;

use super::hosts::{Hosts, Meant};
use super::http::Page;
use super::snapshot::Session;
use crate::session::{Nearest, SessionState};

/// Plain, readable in the dark, and without a script.
const STYLE: &str = "\
:root{color-scheme:light dark;--faint:light-dark(#667,#99a);--line:light-dark(#e4e4ea,#33333c);\
--link:light-dark(#0b57d0,#8ab4f8)}\
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:4rem auto;padding:0 1.5rem}\
h1{font-size:1.4rem;margin:0 0 .25rem}p{margin:0 0 2rem;color:var(--faint)}\
ul{list-style:none;margin:0;padding:0;border-top:1px solid var(--line);\
display:grid;grid-template-columns:fit-content(45%) 1fr auto;column-gap:1.5rem}\
li{display:grid;grid-column:1/-1;grid-template-columns:subgrid;align-items:baseline;padding:.75rem 0;\
border-bottom:1px solid var(--line)}\
.name{font-weight:600}.at,.sub{overflow-wrap:anywhere}\
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}\
.sub{grid-column:2/-1;font-size:.9rem;color:var(--faint)}\
.state{font-size:.85rem;color:var(--faint)}.up{color:light-dark(#137333,#81c995)}.down{color:light-dark(#b3261e,#f28b82)}\
code{font:.95em ui-monospace,monospace}\
@media(max-width:36rem){ul{grid-template-columns:1fr auto}.at{grid-area:2/1/3/-1}.sub{grid-column:1/-1}}";

/// A host that is none of ours: what asks for it may be a page that has rebound its name to this machine, and learns
/// nothing.
pub(super) fn refused(why: &str, port: u16) -> Page {
    let text = format!("Refused: {why}. Sessions are reached at http://NAME.localhost:{port}/.\n");
    Page { status: StatusCode::FORBIDDEN, content_type: "text/plain; charset=utf-8", body: text }
}

/// The same at the address of one session.
pub(super) fn not_here(why: &str, address: SocketAddr) -> Page {
    let port = address.port();
    let text = format!(
        "Refused: {why}. This session is reached at http://{address}/, http://localhost:{port}/ and \
         http://ANYTHING.localhost:{port}/: another name could be that of a page on the web which has pointed it here. \
         A proxy or a tunnel can be told to send `Host: localhost`, and `jackfield fetch SESSION URL` sends any host.\n"
    );
    Page { status: StatusCode::FORBIDDEN, content_type: "text/plain; charset=utf-8", body: text }
}

/// What there is, and what was not found.
pub(super) fn listing(
    hosts: &Hosts,
    port: u16,
    status: StatusCode,
    missed: Option<&str>,
    headers: &HeaderMap,
) -> Page {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let rows: Vec<_> = hosts.sessions.iter().map(|session| Row::of(session, hosts, port)).collect();
    if accept.contains("application/json") && !accept.contains("text/html") {
        let all: Vec<_> = rows.iter().map(Row::json).collect();
        let error = missed.map(|message| json!({ "code": "not_found", "message": message }));
        let body = json!({ "error": error, "sessions": all }).to_string();
        return Page { status, content_type: "application/json", body };
    }
    Page { status, content_type: "text/html; charset=utf-8", body: html(&rows, missed) }
}

/// Why a host leads nowhere.
pub(super) fn missed(hosts: &Hosts, typed: &str, meant: &Meant) -> String {
    match meant {
        Meant::Several(names) => {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            format!("{typed} may mean {}: say which one, with its scope.", names.join(", "))
        }
        Meant::NoEntrypoint(session, label) => {
            match hosts.sessions.iter().find(|known| known.name == *session) {
                Some(known) => {
                    let names = known.entrypoint_names();
                    let nearest = Nearest::of(label, &names);
                    format!("Session {session} has no entrypoint {label}{nearest}")
                }
                None => format!("Session {session} has gone."),
            }
        }
        Meant::Session(..) | Meant::Nobody => {
            let known = hosts.sessions.iter().filter_map(|session| hosts.shortest(&session.name, None));
            format!("There is no session {typed}{}", Nearest::of(typed, known))
        }
    }
}

struct Row<'a> {
    session: &'a Session,
    /// Its URL, and those of its entrypoints.
    url: Option<String>,
    entrypoints: Vec<(String, String)>,
}

impl<'a> Row<'a> {
    fn of(session: &'a Session, hosts: &Hosts, port: u16) -> Self {
        let url = |entrypoint: Option<&str>| Some(url(&hosts.shortest(&session.name, entrypoint)?, port));
        let names = session.entrypoint_names();
        let named = names.into_iter().filter(|name| name != "default");
        let entrypoints = named.filter_map(|name| url(Some(&name)).map(|url| (name, url)));
        Self { session, entrypoints: entrypoints.collect(), url: url(None) }
    }

    fn state(&self) -> &'static str {
        match self.session.state {
            SessionState::Starting => "starting",
            SessionState::Up(_) => "up",
            SessionState::Down { .. } => "down",
        }
    }

    fn json(&self) -> serde_json::Value {
        let entrypoint = |(name, url): &(String, String)| json!({ "name": name, "url": url });
        let entrypoints: Vec<_> = self.entrypoints.iter().map(entrypoint).collect();
        json!({ "session": self.session.name, "state": self.state(), "url": self.url, "entrypoints": entrypoints })
    }

    fn html(&self) -> String {
        let (state, name) = (self.state(), escaped(&self.session.name.to_string()));
        let at = self.url.as_ref().map(|url| anchor(url, url)).unwrap_or_default();
        let mut text = format!(
            "<li><span class=\"name\">{name}</span><span class=\"at\">{at}</span>\
             <span class=\"state {state}\">{state}</span>"
        );
        if let SessionState::Down { why } = &self.session.state {
            let _ = write!(text, "<span class=\"sub\">{}</span>", escaped(why));
        }
        if !self.entrypoints.is_empty() {
            let all: Vec<_> = self.entrypoints.iter().map(|(name, url)| anchor(url, name)).collect();
            let _ = write!(text, "<span class=\"sub\">entrypoints: {}</span>", all.join(", "));
        }
        text + "</li>\n"
    }
}

fn html(rows: &[Row<'_>], missed: Option<&str>) -> String {
    let title = missed.map_or_else(|| "jackfield".to_owned(), escaped);
    let below = match (rows.is_empty(), missed) {
        (true, _) => {
            "No session runs. Start one with <code>jackfield dev</code> or <code>jackfield run -- COMMAND</code>."
        }
        (false, None) => "The sessions that there are.",
        (false, Some(_)) => {
            "These are the sessions that there are. <code>jackfield ls</code> lists them, too."
        }
    };
    let list: String = rows.iter().map(Row::html).collect();
    let list = if rows.is_empty() { list } else { format!("<ul>\n{list}</ul>\n") };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<h1>{title}</h1>\n<p>{below}</p>\n{list}</html>\n"
    )
}

/// Where a host of ours leads.
pub(super) fn url(host: &str, port: u16) -> String {
    format!("http://{host}.localhost:{port}/")
}

fn anchor(url: &str, text: &str) -> String {
    format!("<a href=\"{}\">{}</a>", escaped(url), escaped(text))
}

/// As text, or as a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::{Change, Links, Origin};
    use crate::session::SessionSink;

    #[test]
    fn what_sessions_say_of_themselves_is_text() {
        let links = Links::new();
        let name = "api@x".parse().unwrap();
        links.change(vec![Change::JoinSession(name, Origin::Run)], None).unwrap();
        let why = "<script>alert('1')</script> & \"more\"".to_owned();
        links.publish(&"api@x".parse().unwrap(), SessionState::Down { why });
        let hosts = Hosts::of(&links.snapshot());
        let told = missed(&hosts, "apl", &Meant::Nobody);
        assert_eq!(told, "There is no session apl; did you mean api?");
        let page = listing(&hosts, 80, StatusCode::NOT_FOUND, Some("<b>"), &HeaderMap::new());
        assert!(page.body.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;more&quot;"));
        assert!(page.body.contains("<h1>&lt;b&gt;</h1>") && !page.body.contains("<script"));
        let headers =
            HeaderMap::from_iter([(ACCEPT, hyper::header::HeaderValue::from_static("application/json"))]);
        let page = listing(&hosts, 80, StatusCode::NOT_FOUND, Some("no"), &headers);
        let told: serde_json::Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(
            (&told["error"]["message"], &told["sessions"][0]["state"]),
            (&"no".into(), &"down".into())
        );
    }
}
