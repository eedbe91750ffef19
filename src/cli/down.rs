//! `jackfield down`

use super::failure::Failure;
use super::names::Names;
use super::place::Place;
use super::screen;

pub(super) async fn run(place: &Place, as_json: bool) -> Result<(), Failure> {
    let stopped = place.client().down().await?;
    if as_json {
        return Ok(screen::json(&stopped)?);
    }
    let known = Names::among(stopped.sessions.iter());
    let names: Vec<_> = stopped.sessions.iter().map(|session| known.session(session)).collect();
    screen::data(&match names.is_empty() {
        true => "stopped; no session was ours".to_owned(),
        false => format!("stopped {}", names.join(", ")),
    })?;
    Ok(())
}
