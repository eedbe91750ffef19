//! Where sessions come from.

use serde::{Deserialize, Serialize};

/// How a session came to be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The project says so: it is started with the others.
    #[default]
    Project,
    /// `jackfield dev` runs it.
    Dev,
    /// `jackfield dev` ran it and has ended, a short time ago.
    Left,
    /// It is no worker, but answers by a file.
    Fake,
    /// It runs under `jackfield run`.
    Run,
    /// It registered by itself, where everybody does.
    Registry,
    /// An operator named its debug port.
    Attached,
}

impl Origin {
    /// Whether the daemon starts and stops it.
    pub fn is_declared(self) -> bool {
        matches!(self, Self::Project | Self::Dev)
    }

    /// Whether it runs by itself. Then nobody said what it calls and what it offers: links come as it calls, and
    /// every export may be one.
    pub fn is_joined(self) -> bool {
        matches!(self, Self::Run | Self::Registry | Self::Attached)
    }
}
