use std::io;
use std::time::Duration;

use super::address::Address;
use super::stream::plain;
use crate::wire::exception::Exception;

const UNREACHABLE: &str = "is the session running, and is this its debug port?";
const SILENT: &str = "if the process stands at a breakpoint, resume it; else look what listens there";
const NOT_DEBUG_PORT: &str =
    "give the address that workerd prints for `--debug-port`, not that of its HTTP socket or inspector";
const VANISHED: &str = "look whether it runs, and connect again";
const NO_RUNTIME: &str = "connect from within a runtime that goes on";

/// Why there is no session at an address.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody could be reached.
    #[error("cannot connect to {address}: {source}; {UNREACHABLE}")]
    Unreachable {
        /// Whom.
        address: Address,
        /// Why not.
        source: io::Error,
    },
    /// Somebody accepted, and said nothing.
    #[error(
        "{address} accepted the connection and said nothing for {} s: either it is not a debug port, or its process \
         stands still; {SILENT}", waited.as_secs_f32()
    )]
    Silent {
        /// Who.
        address: Address,
        /// For how long.
        waited: Duration,
    },
    /// Somebody answered something else.
    #[error("{address} is not a debug port ({why}); {NOT_DEBUG_PORT}")]
    NotDebugPort {
        /// Who.
        address: Address,
        /// What it did.
        why: String,
    },
    /// The connection ended before the first answer.
    #[error(
        "{address} closed the connection before it answered ({why}): its process ended just now, or it is not a debug \
         port; {VANISHED}"
    )]
    Vanished {
        /// Who.
        address: Address,
        /// What it said.
        why: String,
    },
    /// The runtime that this is called on takes no more tasks.
    #[error(
        "the connection to {address} cannot be served: there is no runtime to run its task; {NO_RUNTIME}"
    )]
    NoRuntime {
        /// Whom.
        address: Address,
    },
}

impl ConnectError {
    /// Whether another try may succeed without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Silent { .. } | Self::Vanished { .. })
    }

    /// What to do next, as the message ends with it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => UNREACHABLE,
            Self::Silent { .. } => SILENT,
            Self::NotDebugPort { .. } => NOT_DEBUG_PORT,
            Self::Vanished { .. } => VANISHED,
            Self::NoRuntime { .. } => NO_RUNTIME,
        }
    }

    pub(super) fn vanished(address: &Address, why: &Exception) -> Self {
        Self::Vanished { address: address.clone(), why: plain(why).to_owned() }
    }
}
