//! `jackfield attach`

use super::background;
use super::failure::Failure;
use super::place::Place;
use super::screen;
use crate::control::shape::Attach;

pub(super) async fn run(place: &Place, attach: &Attach, as_json: bool) -> Result<(), Failure> {
    let attached = background::ask(place, None, |daemon| async move { daemon.attach(attach).await }).await?;
    if as_json {
        return Ok(screen::json(&attached)?);
    }
    screen::note(&format!("{} is the debug port {} from now on", attached.session, attach.address));
    Ok(())
}
