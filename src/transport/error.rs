//! Why a connection ended, in the three families: by us, by the peer, by the network.

use super::recv::RecvError;
use crate::wire::transport::WireError;

/// The codes of CLOSE.
pub mod code {
    /// An orderly end.
    pub const DONE: u64 = 0;
    /// A frame could not be read.
    pub const FRAME: u64 = 1;
    /// A frame broke a rule of the protocol.
    pub const PROTOCOL: u64 = 2;
    /// More was sent than granted.
    pub const FLOW_CONTROL: u64 = 3;
    /// The application gave up.
    pub const ABORTED: u64 = 4;
}

/// How the peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerFault {
    /// A frame could not be read.
    #[error("unreadable frame: {0}")]
    Wire(#[from] WireError),
    /// A message broke a rule.
    #[error(transparent)]
    Message(#[from] RecvError),
    /// A packet was acknowledged that was never sent.
    #[error("the peer acknowledged a packet that was never sent")]
    AckOfUnsent,
    /// A frame that only a server or only a client sends, or at the wrong time.
    #[error("a frame came from the wrong side")]
    WrongSide,
    /// More connection ids than agreed.
    #[error("the peer issued more connection ids than agreed")]
    TooManyIds,
}

impl PeerFault {
    pub(crate) fn code(&self) -> u64 {
        match self {
            Self::Wire(_) => code::FRAME,
            Self::Message(RecvError::FlowControl) => code::FLOW_CONTROL,
            _ => code::PROTOCOL,
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    #[error("closed by this side")]
    Local,
    /// The peer closed it in order.
    #[error("closed by the peer")]
    Peer,
    /// The peer closed it with an error.
    #[error("{}", peer_error(*code, reason))]
    PeerError {
        /// See [`code`].
        code: u64,
        /// In words.
        reason: String,
    },
    /// The peer no longer knows the connection.
    #[error("reset: the peer no longer knows this connection")]
    Reset,
    /// Nothing arrived for the idle timeout.
    #[error("timed out: nothing arrived from the peer")]
    IdleTimeout,
    /// No answer to the handshake.
    #[error(
        "no answer to the handshake: wrong address, wrong secret or key, or plaintext at one end \
         only (a server stays silent then), or the peer is down"
    )]
    HandshakeTimeout,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    PeerFault(#[from] PeerFault),
}

fn peer_error(code: u64, reason: &str) -> String {
    match (code, reason) {
        (code::ABORTED, "") => "aborted by the peer".into(),
        (code, "") => format!("closed by the peer with code {code}"),
        (code, reason) => format!("closed by the peer with code {code}: {reason}"),
    }
}

impl CloseReason {
    /// Whether the connection ended as it should.
    pub fn is_orderly(&self) -> bool {
        matches!(self, Self::Local | Self::Peer)
    }
}
