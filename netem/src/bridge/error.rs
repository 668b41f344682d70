//! Why a bridge could not start, or ended.

use std::io;

use crate::capture::CaptureError;

/// Why a bridge could not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// No interface of this name in this network namespace.
    #[error("no interface {name:?} here: there are {known}")]
    UnknownInterface {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Frames would go back where they came from.
    #[error("the bridge needs two interfaces, {name:?} was given twice")]
    SameInterface {
        /// The name.
        name: String,
    },
    /// The interface is there, but down.
    #[error("interface {name:?} is down: ip link set {name} up")]
    Down {
        /// The name.
        name: String,
    },
    /// Raw frames are for the privileged.
    #[error(
        "no right to read raw frames of {name:?}: the capability CAP_NET_RAW is missing; run as \
         root, or: setcap cap_net_raw+ep PROGRAM"
    )]
    MissingCapability {
        /// The interface.
        name: String,
    },
    /// The system refused to open the interface for another reason.
    #[error("cannot open interface {name:?}: {source}")]
    Open {
        /// The interface.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// The interface was removed while the bridge ran.
    #[error("interface {name:?} is gone")]
    Vanished {
        /// The interface.
        name: String,
    },
    /// The capture cannot be written.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The system refused a thread, an event queue or a timer.
    #[error("cannot start the bridge: {0}")]
    System(#[source] io::Error),
}

impl BridgeError {
    /// Whether the caller asked for something that cannot be, rather than the system failing.
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::UnknownInterface { .. }
                | Self::SameInterface { .. }
                | Self::Down { .. }
                | Self::MissingCapability { .. }
        )
    }
}
