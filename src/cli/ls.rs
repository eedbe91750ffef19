//! `jackfield ls`

use std::time::{Duration, SystemTime};

use super::failure::Failure;
use super::links::file_name;
use super::names::Names;
use super::place::Place;
use super::screen::{self, Cell, FAINT, STRONG};
use crate::control::shape::{SessionRow, Sessions, millis};
use crate::router::Origin;

/// Names of entrypoints that a row has room for; `--json` has all.
const ROOM: usize = 14;

pub(super) async fn run(place: &Place, as_json: bool) -> Result<(), Failure> {
    let sessions = place.client().sessions().await?;
    if as_json {
        return Ok(screen::json(&sessions)?);
    }
    if sessions.sessions.is_empty() {
        screen::note("there are no sessions; start one with `jackfield dev` or `jackfield run -- COMMAND`");
        return Ok(());
    }
    let names = Names::of(&sessions.sessions);
    screen::data(&table(&sessions, &names))?;
    for SessionRow { session, why, .. } in &sessions.sessions {
        if let Some(why) = why {
            screen::note(&format!("{}: {}", names.session(session), why));
        }
    }
    Ok(())
}

fn table(sessions: &Sessions, names: &Names) -> String {
    let now = millis(SystemTime::now());
    let rows = sessions.sessions.iter().map(|row| {
        [
            Cell::new(names.session(&row.session)).style(STRONG),
            Cell::state(row.state),
            Cell::or_dash(row.generation).right(),
            Cell::new(screen::ago(Duration::from_millis(now.saturating_sub(row.since_ms)))).right(),
            Cell::or_dash(row.memory_bytes.map(megabytes)).right(),
            Cell::new(origin(row.origin)),
            match &row.fake {
                Some(file) => Cell::new(format!("any ({})", file_name(file))),
                None => Cell::or_dash(shortened(&row.entrypoints)),
            },
            Cell::or_dash(row.url.as_ref()).style(FAINT),
        ]
    });
    screen::table(
        ["SESSION", "STATE", "GEN", "SINCE", "MEMORY", "FROM", "ENTRYPOINTS", "URL"],
        rows.collect(),
    )
}

/// As many as there is room for, one at least, and how many more there are.
fn shortened(names: &[String]) -> Option<String> {
    let mut text = names.first()?.clone();
    for (index, name) in names.iter().enumerate().skip(1) {
        if text.len() + 1 + name.len() > ROOM {
            return Some(format!("{text} +{}", names.len() - index));
        }
        text = format!("{text},{name}");
    }
    Some(text)
}

/// In the unit that processes are compared in.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Project => "project",
        Origin::Dev | Origin::Left => "dev",
        Origin::Fake => "fake",
        Origin::Run => "run",
        Origin::Registry => "registry",
        Origin::Attached => "attached",
    }
}

/// The same as a sentence would have it.
pub(super) fn origin_in_words(origin: Origin) -> &'static str {
    match origin {
        Origin::Project => "the project that the daemon runs",
        Origin::Dev => "`jackfield dev`",
        Origin::Left => "`jackfield dev`, which has ended",
        Origin::Fake => "a fake",
        Origin::Run => "`jackfield run`",
        Origin::Registry => "the dev registry, where it registered by itself",
        Origin::Attached => "`jackfield attach`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_and_counted() {
        let shown =
            |names: &[&str]| shortened(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(shown(&[]), None);
        assert_eq!(shown(&["default", "Admin"]).unwrap(), "default,Admin");
        assert_eq!(shown(&["default", "Administration", "B"]).unwrap(), "default +2");
        assert_eq!(shown(&["AVeryLongNameOfAnEntrypoint"]).unwrap(), "AVeryLongNameOfAnEntrypoint");
    }
}
