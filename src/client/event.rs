use super::session::Session;
use crate::net::local::Stub;

/// An event that has started, for one use.
pub struct Event {
    dispatcher: Stub,
    session: Session,
}

impl Event {
    pub(super) fn new(dispatcher: Stub, session: Session) -> Self {
        Event { dispatcher, session }
    }

    /// The EventDispatcher. Dropping the last stub of it and of what came of it ends the event.
    pub fn dispatcher(&self) -> &Stub {
        &self.dispatcher
    }

    /// The session that it is of.
    pub fn session(&self) -> &Session {
        &self.session
    }
}
