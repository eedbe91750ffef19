//! `jackfield links`

use std::path::Path;

use super::failure::Failure;
use super::names::Names;
use super::place::Place;
use super::screen::{self, Cell, STRONG};
use crate::control::shape::{LinkRow, State};

pub(super) async fn run(place: &Place, as_json: bool) -> Result<(), Failure> {
    let links = place.client().links().await?;
    if as_json {
        return Ok(screen::json(&links)?);
    }
    if links.links.is_empty() {
        screen::note(
            "there are no links; they come as sessions call, or stand in [sessions.NAME.services] of the project file",
        );
        return Ok(());
    }
    screen::data(&table(&links.links, &Names::at(place).await?))?;
    for LinkRow { link, why, .. } in links.links.iter().filter(|row| row.state != State::Up) {
        if let Some(why) = why {
            screen::note(&format!("{link}: {}", why));
        }
    }
    Ok(())
}

/// Also what `retarget` shows of the links that it moved.
pub(super) fn table(links: &[LinkRow], names: &Names) -> String {
    let rows = links.iter().map(|row| {
        [
            Cell::new(names.link(&row.link)).style(STRONG),
            Cell::new(row.kind),
            Cell::new(target(row, names)),
            Cell::state(row.state),
            Cell::new(row.revision).right(),
            Cell::new(row.leases).right(),
        ]
    });
    let heads = ["LINK", "KIND", "TARGET", "STATE", "REVISION", "LEASES"];
    screen::table(heads, rows.collect())
}

/// What a fake is known by.
pub(super) fn file_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Props can be long and secret; that there are some is what matters in a list.
fn target(row: &LinkRow, names: &Names) -> String {
    let aim = names.aim(&row.target);
    match (&row.props, &row.fake) {
        (Some(_), _) => format!("{aim} +props"),
        (None, Some(file)) => format!("{aim} ({})", file_name(file)),
        (None, None) => aim,
    }
}
