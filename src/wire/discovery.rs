//! Service discovery: JSON questions and announcements (RFC 8259).
//!
//! `{"type": "discovery_request"}` asks; `{"type": "service_announcement", "service": …}` tells.
//! What a service says of itself is any JSON value and is handed on as text, untouched. Keys
//! beside these are allowed and ignored.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Why a datagram is not part of the conversation.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Not JSON, not an object, or not one of the two types.
    #[error("discovery: {0}")]
    Json(#[from] serde_json::Error),
    /// Larger than anybody needs to introduce a service.
    #[error("discovery: {0} bytes, at most {DATAGRAM_BYTES_MAX} allowed")]
    TooLarge(usize),
}

/// One datagram of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryMessage {
    /// Who is there?
    Request,
    /// I am: the service as JSON text.
    Announcement(String),
}

impl DiscoveryMessage {
    /// Parse a datagram.
    pub fn parse(datagram: &[u8]) -> Result<Self, DiscoveryError> {
        if datagram.len() > DATAGRAM_BYTES_MAX {
            return Err(DiscoveryError::TooLarge(datagram.len()));
        }
        // A tagged enum would lose the raw text of the service, so the type is looked at apart.
        let envelope: Envelope<'_> = serde_json::from_slice(datagram)?;
        match (envelope.kind, envelope.service) {
            (Kind::Request, _) => Ok(Self::Request),
            (Kind::Announcement, Some(service)) => Ok(Self::Announcement(service.get().to_owned())),
            (Kind::Announcement, None) => {
                Err(<serde_json::Error as serde::de::Error>::missing_field("service").into())
            }
        }
    }

    /// Compose the datagram; an announcement's text must be JSON.
    pub fn compose(&self) -> Result<Vec<u8>, DiscoveryError> {
        let envelope = match self {
            Self::Request => Envelope { kind: Kind::Request, service: None },
            Self::Announcement(service) => {
                Envelope { kind: Kind::Announcement, service: Some(serde_json::from_str(service)?) }
            }
        };
        let datagram = serde_json::to_vec(&envelope)?;
        if datagram.len() > DATAGRAM_BYTES_MAX {
            return Err(DiscoveryError::TooLarge(datagram.len()));
        }
        Ok(datagram)
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    service: Option<&'a RawValue>,
}

#[derive(Serialize, Deserialize)]
enum Kind {
    #[serde(rename = "discovery_request")]
    Request,
    #[serde(rename = "service_announcement")]
    Announcement,
}

/// The largest datagram that is sent or looked at.
pub const DATAGRAM_BYTES_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        let request = DiscoveryMessage::Request;
        assert_eq!(request.compose().unwrap(), br#"{"type":"discovery_request"}"#);
        let told = DiscoveryMessage::Announcement(r#"{"name": "web", "port": 80}"#.into());
        assert_eq!(
            told.compose().unwrap(),
            br#"{"type":"service_announcement","service":{"name": "web", "port": 80}}"#
        );
        assert_eq!(DiscoveryMessage::parse(&told.compose().unwrap()).unwrap(), told);
    }

    #[test]
    fn other_keys_and_any_order_are_fine() {
        let datagram =
            br#" {"service": [1, {"a": "\u00e9"}], "x": null, "type": "service_announcement"}"#;
        let parsed = DiscoveryMessage::parse(datagram).unwrap();
        assert_eq!(parsed, DiscoveryMessage::Announcement(r#"[1, {"a": "\u00e9"}]"#.into()));
    }

    #[test]
    fn garbage_is_refused() {
        let deep = "[".repeat(5000);
        for garbage in [
            &b""[..],
            b"\xFF",
            b"[]",
            b"{}",
            br#"{"type": "other"}"#,
            br#"{"type": "service_announcement"}"#,
            deep.as_bytes(),
            &[b' '; DATAGRAM_BYTES_MAX + 1],
        ] {
            assert!(DiscoveryMessage::parse(garbage).is_err());
        }
        assert!(DiscoveryMessage::Announcement("{".into()).compose().is_err());
    }
}
