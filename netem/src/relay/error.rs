//! Why a relay could not start.

use std::io;
use std::net::SocketAddr;

use crate::capture::CaptureError;

/// Why a relay could not start. Once it runs, nothing that peers do makes it fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The listening address is taken, not of this machine, or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No route from this machine to the upstream.
    #[error("cannot reach the upstream {address}: {source}")]
    Upstream {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The relay would send to itself for ever.
    #[error("the upstream {address} is the address the relay listens on: give the server's own")]
    Loop {
        /// The address.
        address: SocketAddr,
    },
    /// The name of a host is not known.
    #[error("cannot resolve {host:?}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The capture cannot be written.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The system refused a thread, an event queue or a timer.
    #[error("cannot start the relay: {0}")]
    System(#[source] io::Error),
}

impl RelayError {
    /// What the system said, if it was asked.
    pub const fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Listen { source, .. }
            | Self::Upstream { source, .. }
            | Self::Resolve { source, .. }
            | Self::System(source)
            | Self::Capture(CaptureError { source, .. }) => Some(source),
            Self::Loop { .. } => None,
        }
    }
}
