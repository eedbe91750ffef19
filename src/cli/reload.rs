//! `jackfield reload`

use std::fmt::Display;

use super::failure::Failure;
use super::place::Place;
use super::screen;
use crate::control::shape::Reloaded;

pub(super) async fn run(place: &Place, as_json: bool) -> Result<(), Failure> {
    let reloaded = place.client().reload().await?;
    if as_json {
        return Ok(screen::json(&reloaded)?);
    }
    screen::data(&account(&reloaded))?;
    Ok(())
}

/// What a reload changed, a line each; also what `up` says of one.
pub(super) fn account(reloaded: &Reloaded) -> String {
    let Reloaded { revision: _, added, restarted, removed, relinked } = reloaded;
    let lines = [
        line("added", added),
        line("new generation", restarted),
        line("removed", removed),
        line("links changed", relinked),
    ];
    let lines: Vec<_> = lines.into_iter().flatten().collect();
    if lines.is_empty() { "nothing has changed".to_owned() } else { lines.join("\n") }
}

fn line(what: &str, names: &[impl Display]) -> Option<String> {
    let all = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("{what}: {all}"))
}
