//! What a generation that has to end still does: WebSockets are told from the rest.

use super::Shared;
use super::guards::HttpEvent;
use crate::session::{InFlight, SessionName};

impl Shared {
    /// Ready when all that is held of that generation are WebSockets.
    ///
    /// # Cancellation
    /// Safe: nothing is kept.
    pub async fn answered(&self, session: &SessionName, number: u64) {
        self.until(|| self.in_flight(session, Some(number)).calls == 0).await;
    }

    /// What a session still has to do, in one generation or all of them.
    pub fn in_flight(&self, session: &SessionName, number: Option<u64>) -> InFlight {
        let is_meant =
            |of: &SessionName, in_: u64| of == session && number.is_none_or(|number| number == in_);
        let is_socket =
            |event: &HttpEvent| event.stands && is_meant(&event.generation.session, event.generation.number);
        // Each socket has a lease as well. They are counted after the leases: one that ends meanwhile makes the calls too
        // many, which is told when its lease goes, and never too few.
        let leases = self.lock_leases();
        let held = leases.iter().filter(|(held, _)| is_meant(&held.session, held.number));
        let held: usize = held.map(|(_, count)| count).sum();
        drop(leases);
        let web_sockets = self.lock_cuttable().iter().filter(|(_, event)| is_socket(event)).count();
        InFlight { calls: held.saturating_sub(web_sockets), web_sockets }
    }

    /// Breaks the WebSockets of that generation.
    pub fn hang_up(&self, session: &SessionName, number: u64) {
        for (_, event) in self.lock_cuttable().iter() {
            if event.stands && event.generation.session == *session && event.generation.number == number {
                event.token.cancel();
            }
        }
    }
}
