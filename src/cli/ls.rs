//! `jackfield ls`

use std::time::{Duration, SystemTime};

use super::failure::Failure;
use super::links::file_name;
use super::place::Place;
use super::screen::{self, Cell, FAINT, STRONG};
use crate::control::shape::{SessionRow, Sessions, millis};

pub(super) async fn run(place: &Place, as_json: bool) -> Result<(), Failure> {
    let sessions = place.client().sessions().await?;
    if as_json {
        return Ok(screen::json(&sessions)?);
    }
    screen::data(&table(&sessions))?;
    for SessionRow { session, why, .. } in &sessions.sessions {
        if let Some(why) = why {
            screen::note(&format!("{session}: {why}"));
        }
    }
    Ok(())
}

fn table(sessions: &Sessions) -> String {
    let now = millis(SystemTime::now());
    let rows = sessions.sessions.iter().map(|row| {
        [
            Cell::new(&row.session).style(STRONG),
            Cell::or_dash(row.generation).right(),
            Cell::state(row.state),
            Cell::new(screen::ago(Duration::from_millis(now.saturating_sub(row.since_ms)))).right(),
            Cell::or_dash(row.pid).right(),
            match &row.fake {
                Some(file) => Cell::new(format!("any ({})", file_name(file))),
                None => Cell::or_dash(Some(row.entrypoints.join(",")).filter(|names| !names.is_empty())),
            },
            Cell::or_dash(row.url.as_ref()).style(FAINT),
        ]
    });
    screen::table(["SESSION", "GENERATION", "STATE", "SINCE", "PID", "ENTRYPOINTS", "URL"], rows.collect())
}
