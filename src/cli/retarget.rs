//! `jackfield retarget`

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::ProgressBar;

use super::failure::Failure;
use super::links;
use super::names::Names;
use super::place::Place;
use super::screen;
use crate::control::ClientError;
use crate::control::shape::{ChangeRequest, Changed};

/// Before this a bar would only flicker.
const PATIENCE: Duration = Duration::from_secs(1);

/// A WebSocket that nobody closes may last as long as its worker.
const WAITING: &str = "moved; waiting for calls, streams and WebSockets that began before (Ctrl-C stops only the \
                       waiting; `--cut` breaks them)";

pub(super) async fn run(place: &Place, change: &ChangeRequest, as_json: bool) -> Result<(), Failure> {
    report(place, place.client().change(change), change.wait, as_json).await
}

/// Waits for a change of links, and shows the links that it moved.
pub(super) async fn report(
    place: &Place,
    request: impl Future<Output = Result<Changed, ClientError>>,
    wait: bool,
    as_json: bool,
) -> Result<(), Failure> {
    let mut request = std::pin::pin!(request);
    let changed = tokio::select! {
        changed = &mut request => changed?,
        () = tokio::time::sleep(PATIENCE), if wait => {
            // A bar is hidden by itself where standard error is not a terminal; a line is not.
            if !std::io::stderr().is_terminal() {
                screen::note(WAITING);
            }
            let bar = ProgressBar::new_spinner().with_message(WAITING);
            bar.enable_steady_tick(Duration::from_millis(100));
            let changed = request.await;
            bar.finish_and_clear();
            changed?
        }
    };
    if as_json {
        return Ok(screen::json(&changed)?);
    }
    screen::data(&links::table(&changed.links, &Names::at(place).await?))?;
    Ok(())
}
