use std::io;
use std::time::Duration;

use super::address::Address;
use super::stream::plain;
use crate::wire::exception::Exception;

/// Why there is no session at an address.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody could be reached.
    #[error("cannot connect to {address}: {source}; is the session running, and is this its debug port?")]
    Unreachable {
        /// Whom.
        address: Address,
        /// Why not.
        source: io::Error,
    },
    /// Somebody accepted, and said nothing.
    #[error(
        "{address} accepted the connection and said nothing for {} s: either it is not a debug port, or its process \
         stands still, at a breakpoint for instance; resume it, or look what listens there",
        waited.as_secs_f32()
    )]
    Silent {
        /// Who.
        address: Address,
        /// For how long.
        waited: Duration,
    },
    /// Somebody answered something else.
    #[error(
        "{address} is not a debug port ({why}): give the address that workerd prints for `--debug-port`, not that of \
         its HTTP socket or inspector"
    )]
    NotDebugPort {
        /// Who.
        address: Address,
        /// What it did.
        why: String,
    },
    /// The connection ended before the first answer.
    #[error(
        "{address} closed the connection before it answered ({why}): its process ended just now, or it is not a debug \
         port; look whether it runs, and connect again"
    )]
    Vanished {
        /// Who.
        address: Address,
        /// What it said.
        why: String,
    },
    /// The runtime that this is called on takes no more tasks.
    #[error("the connection to {address} cannot be served: there is no runtime to run its task")]
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

    pub(super) fn vanished(address: &Address, why: &Exception) -> Self {
        Self::Vanished { address: address.clone(), why: plain(why).to_owned() }
    }
}
