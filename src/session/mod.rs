//! Sessions: one running workerd each. This room finds workerd, writes its configuration, starts it, watches it and
//! stops it. It is the only room that starts processes.

mod background;
pub mod config;
mod exports;
pub mod foreground;
pub mod host;
mod keeper;
mod lines;
mod listener;
mod memory;
pub mod name;
mod nearest;
mod orphans;
pub mod output;
mod private_folder;
pub mod process;
pub mod project;
pub mod runtime_dir;
mod runtime_survey;
pub mod scope;
mod source_map;
mod spawner;
pub mod state;
pub mod supervisor;
pub mod survey;
mod vital;
pub mod workerd;
pub mod wrangler;

pub use background::background;
pub use exports::Exports;
pub use host::{Host, Times};
pub use listener::Listener;
pub use memory::resident;
pub use name::{NameError, SessionName};
pub use nearest::Nearest;
pub use output::{OutputSink, Stream};
pub use private_folder::is_own_socket;
pub use process::StartError;
pub use project::{Project, ProjectError, SessionSpec};
pub use runtime_dir::{RuntimeDir, RuntimeDirError};
pub use runtime_survey::{Owner, ProjectFolder, RuntimeSurvey};
pub use source_map::SourceMap;
pub use state::{Generation, Services, SessionSink, SessionState};
pub use supervisor::{Applied, Drain, Sessions, StartFailures};
pub use survey::{SurveyError, survey};
pub use vital::{Process, ended};
