//! What the process wrote, read.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::session::exports::Exports;
use crate::session::name::SessionName;
use crate::session::output::is_warning;

/// Begins the line in which a session's exports stand; see `workers/survey`.
const EXPORTS: &str = "jackfield:exports ";

/// Something that workerd does not like about a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) session: SessionName,
    /// In workerd's words, perhaps with the lines of a stack.
    pub(super) text: String,
}

/// All that was said.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) complaints: Vec<Complaint>,
    pub(super) exports: BTreeMap<SessionName, Exports>,
}

#[derive(Deserialize)]
struct Exported {
    session: SessionName,
    exports: Vec<(String, Kind)>,
    handlers: BTreeSet<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Entrypoint,
    Class,
}

impl Said {
    pub(super) fn read(names: &[&SessionName], out: &[String], err: &[String]) -> Self {
        // A session whose exports cannot be read has exports that are not known.
        let exported = out.iter().filter_map(|line| {
            let exported: Exported = serde_json::from_str(line.strip_prefix(EXPORTS)?).ok()?;
            let exports = Exports { handlers: Some(exported.handlers), ..sort(exported.exports) };
            Some((exported.session, exports))
        });
        Self { exports: exported.collect(), complaints: complaints(names, err) }
    }
}

fn sort(exported: Vec<(String, Kind)>) -> Exports {
    let mut exports = Exports::default();
    for (name, kind) in exported {
        match kind {
            Kind::Entrypoint if name == "default" => exports.default = true,
            Kind::Entrypoint => drop(exports.entrypoints.insert(name)),
            // As a default export it can neither be called nor be a class of objects.
            Kind::Class if name == "default" => {}
            Kind::Class => drop(exports.classes.insert(name)),
        }
    }
    exports
}

/// `service NAME: TEXT`, and all lines that follow until the next of the kind.
fn complaints(names: &[&SessionName], err: &[String]) -> Vec<Complaint> {
    let mut complaints: Vec<Complaint> = Vec::new();
    // Whether the lines that follow belong to the last complaint.
    let mut goes_on = false;
    for line in err {
        let begins = names.iter().find_map(|name| {
            let text = line.strip_prefix(&format!("service {name}: "))?;
            Some(Complaint { session: SessionName::clone(name), text: text.to_owned() })
        });
        if let Some(complaint) = begins {
            goes_on = !is_warning(&complaint.text);
            if goes_on {
                complaints.push(complaint);
            }
        } else if is_warning(line) {
            goes_on = false;
        } else if goes_on && let Some(last) = complaints.last_mut() {
            last.text.push('\n');
            last.text.push_str(line);
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn complaints_have_their_stacks_and_no_warnings() {
        let names: [SessionName; 2] = ["web", "api@x"].map(|name| name.parse().unwrap());
        let err = lines(
            "service web: The compatibility flag rpc became the default as of 2024-04-03 so does not need to be specified anymore.\n\
             service api@x: Uncaught TypeError: oh\n  at m.js:2:21 in f\n\
             server.rs:468: warning: something else\n\
             service web: No such compatibility flag: foo\n",
        );
        let said = Said::read(&names.each_ref(), &[], &err);
        let texts: Vec<_> = said.complaints.iter().map(|one| (one.session.to_string(), &*one.text)).collect();
        let expected = [
            ("api@x".to_owned(), "Uncaught TypeError: oh\n  at m.js:2:21 in f"),
            ("web".to_owned(), "No such compatibility flag: foo"),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn exports_are_sorted_by_what_they_are_good_for() {
        let out = lines(
            "something that a script wrote\n\
             jackfield:exports {\"session\":\"web\",\"exports\":[[\"Room\",\"class\"],[\"Admin\",\"entrypoint\"],[\"default\",\"entrypoint\"]],\"handlers\":[\"queue\"]}\n\
             jackfield:exports {\"session\":\"api\",\"exports\":[[\"default\",\"class\"]],\"handlers\":[]}\n\
             jackfield:exports {\"session\":\"cut\",\"exp",
        );
        let exports = Said::read(&[], &out, &[]).exports;
        let web = &exports[&"web".parse().unwrap()];
        assert_eq!(web.entrypoint_names().collect::<Vec<_>>(), ["default", "Admin"]);
        assert!(web.classes.contains("Room") && web.classes.len() == 1);
        assert_eq!(web.handlers, Some(BTreeSet::from(["queue".to_owned()])));
        let nothing = Exports { handlers: Some(BTreeSet::new()), ..Exports::default() };
        assert_eq!(exports[&"api".parse().unwrap()], nothing);
        assert_eq!(exports.len(), 2);
    }
}
