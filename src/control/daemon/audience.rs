//! Who is told what of which session.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;

use crate::control::Teller;
use crate::router::Links;
use crate::session::{InFlight, Level, OutputSink, Project, SessionName, SessionSink, SessionState};

/// Everybody whom sessions tell something.
pub(super) struct Audience {
    /// Told first: whoever hears of a state can rely on it.
    table: Arc<Links>,
    /// For the sessions of the daemon's own project.
    output: Arc<dyn OutputSink>,
    watcher: Arc<dyn SessionSink>,
    /// For those of guests.
    guests: RwLock<HashMap<SessionName, Teller>>,
}

impl Audience {
    pub(super) fn new(table: Arc<Links>, output: Arc<dyn OutputSink>, watcher: Arc<dyn SessionSink>) -> Self {
        Self { table, output, watcher, guests: RwLock::default() }
    }

    /// Says who hears of the sessions of guests from now on. Who heard of one that is nobody's now still does: it may be
    /// on its way out.
    pub(super) fn seat(&self, guests: HashMap<SessionName, Teller>, own: &Project) {
        let mut seats = self.guests.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *seats, guests);
        for (session, teller) in before {
            if !teller.is_over() && own.session(&session).is_none() {
                seats.entry(session).or_insert(teller);
            }
        }
    }

    fn guest(&self, session: &SessionName) -> Option<Teller> {
        let seats = self.guests.read().unwrap_or_else(PoisonError::into_inner);
        seats.get(session).filter(|teller| !teller.is_over()).cloned()
    }
}

impl OutputSink for Audience {
    fn line(&self, session: &SessionName, level: Level, line: &str) {
        match self.guest(session) {
            Some(teller) => teller.line(session, level, line),
            None => self.output.line(session, level, line),
        }
    }

    fn room(&self, session: &SessionName) -> BoxFuture<'static, ()> {
        match self.guest(session) {
            Some(teller) => OutputSink::room(&teller, session),
            None => self.output.room(session),
        }
    }
}

impl SessionSink for Audience {
    fn publish(&self, session: &SessionName, state: SessionState) {
        self.table.publish(session, state.clone());
        match self.guest(session) {
            Some(teller) => teller.publish(session, state),
            None => self.watcher.publish(session, state),
        }
    }

    fn waiting(&self, session: &SessionName, in_flight: InFlight, at_most: Duration) {
        match self.guest(session) {
            Some(teller) => teller.waiting(session, in_flight, at_most),
            None => self.watcher.waiting(session, in_flight, at_most),
        }
    }
}
