//! `jackfield attach`

use std::time::Duration;

use super::background;
use super::failure::Failure;
use super::place::Place;
use super::screen::{self, PENDING};
use crate::control::shape::{Attach, State};
use crate::session::SessionName;

/// By then the daemon knows whether somebody listens there, and nearly always what.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// How often to ask it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn run(place: &Place, attach: &Attach, as_json: bool) -> Result<(), Failure> {
    let attached = background::ask(place, None, |daemon| async move { daemon.attach(attach).await }).await?;
    if as_json {
        return Ok(screen::json(&attached)?);
    }
    screen::note(&format!("{} is the debug port {} from now on", attached.session, attach.address));
    if let Some(why) = tokio::time::timeout(FIRST_LOOK, down(place, &attached.session)).await.ok().flatten() {
        screen::note(&format!("{PENDING}it is down:{PENDING:#} {why}; it is looked for again and again"));
    }
    Ok(())
}

/// Waits until it is known whether the session is there, and returns why it is not.
async fn down(place: &Place, session: &SessionName) -> Option<String> {
    loop {
        let sessions = place.client().sessions().await.ok()?.sessions;
        match sessions.into_iter().find(|row| row.session == *session) {
            Some(row) if row.state == State::Down => return row.why,
            Some(row) if row.state != State::Starting => return None,
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
