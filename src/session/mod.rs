//! Sessions: one running workerd each. This room finds workerd, writes its configuration, starts it, watches it and
//! stops it. It is the only room that starts processes.

pub mod name;
pub mod project;
pub mod state;
pub mod workerd;

pub use name::{NameError, SessionName};
pub use project::{Project, ProjectError, SessionSpec};
pub use state::{Generation, SessionSink, SessionState};
