//! DHCP messages (RFC 2131 §2) and the options a discoverer reads (RFC 2132).
//!
//! Composes a DISCOVER, parses any reply into typed values. It never composes a REQUEST: nobody
//! who only looks takes a lease. Option overload (option 52) is followed.

use std::net::Ipv4Addr;

/// Why bytes are no DHCP message. Offsets count from the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DhcpError {
    /// Shorter than the fixed part and the magic cookie.
    #[error("DHCP: {0} bytes, at least {OPTIONS_OFFSET} needed")]
    Truncated(usize),
    /// Not a reply of a server.
    #[error("DHCP: operation {0} at offset 0, 2 (reply) expected")]
    NotReply(u8),
    /// A BOOTP message without DHCP's cookie.
    #[error("DHCP: magic cookie {0:#010x} at offset 236, 0x63825363 expected")]
    Cookie(u32),
    /// An option runs past the end.
    #[error("DHCP: option {code} at offset {offset} runs past the end")]
    Option {
        /// The option's code.
        code: u8,
        /// Where it begins.
        offset: usize,
    },
    /// RFC 2131 §3: every DHCP message carries option 53.
    #[error("DHCP: no message type (option 53)")]
    NoMessageType,
}

/// What a DISCOVER says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discover {
    /// Ties the replies to the question; random.
    pub transaction: u32,
    /// Ethernet address of the asking interface.
    pub hardware_address: [u8; 6],
    /// Seconds since the asking began.
    pub elapsed_s: u16,
    /// Option 12, when given.
    pub host_name: Option<String>,
}

impl Discover {
    /// Compose the message, padded to BOOTP's 300 bytes, which some relays still insist on.
    pub fn compose(&self) -> Vec<u8> {
        let mut out = vec![0u8; OPTIONS_OFFSET];
        // RFC 2131 §2: op 1 (request), hardware type 1 (Ethernet), 6 bytes of address, 0 hops.
        out[..4].copy_from_slice(&[1, 1, 6, 0]);
        out[4..8].copy_from_slice(&self.transaction.to_be_bytes());
        out[8..10].copy_from_slice(&self.elapsed_s.to_be_bytes());
        // RFC 2131 §4.1: the broadcast bit, because we cannot receive unicast without an address.
        out[10..12].copy_from_slice(&BROADCAST_FLAG.to_be_bytes());
        out[28..34].copy_from_slice(&self.hardware_address);
        out[236..240].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        push_option(&mut out, MESSAGE_TYPE, &[MessageType::Discover as u8]);
        // RFC 2132 §9.14: the identifier is the hardware type and address.
        let client_id = [&[1][..], &self.hardware_address].concat();
        push_option(&mut out, CLIENT_ID, &client_id);
        push_option(&mut out, MESSAGE_BYTES_MAX, &1500u16.to_be_bytes());
        push_option(&mut out, PARAMETER_LIST, WANTED_OPTIONS);
        if let Some(name) = &self.host_name {
            let bytes = &name.as_bytes()[..name.len().min(255)];
            push_option(&mut out, HOST_NAME, bytes);
        }
        out.push(END);
        out.resize(out.len().max(MESSAGE_BYTES_MIN), 0);
        out
    }
}

/// RFC 2132 §9.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub enum MessageType {
    Discover = 1,
    Offer,
    Request,
    Decline,
    Ack,
    Nak,
    Release,
    Inform,
}

impl MessageType {
    fn from_byte(byte: u8) -> Option<Self> {
        use MessageType::*;
        [Discover, Offer, Request, Decline, Ack, Nak, Release, Inform]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A server's reply; of an OFFER, what it would lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// OFFER, ACK, NAK…
    pub kind: MessageType,
    /// The transaction of the question.
    pub transaction: u32,
    /// The asking interface, when it is Ethernet.
    pub hardware_address: [u8; 6],
    /// The address offered ("your address").
    pub address: Ipv4Addr,
    /// Option 54: the server that offers.
    pub server: Option<Ipv4Addr>,
    /// Option 1.
    pub subnet_mask: Option<Ipv4Addr>,
    /// Option 28.
    pub broadcast: Option<Ipv4Addr>,
    /// Option 3, in the server's order of preference.
    pub routers: Vec<Ipv4Addr>,
    /// Option 6, likewise.
    pub name_servers: Vec<Ipv4Addr>,
    /// Option 42, likewise.
    pub time_servers: Vec<Ipv4Addr>,
    /// Option 15.
    pub domain: Option<String>,
    /// Option 26.
    pub mtu: Option<u16>,
    /// Options 51, 58 and 59: lease, renewal and rebinding.
    pub lease_s: Option<u32>,
    /// When to ask the same server again.
    pub renewal_s: Option<u32>,
    /// When to ask any server again.
    pub rebinding_s: Option<u32>,
    /// Every option as it came, in ascending order of codes; parts of one are joined (RFC 3396).
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Reply {
    /// Parse a datagram from a server.
    pub fn parse(datagram: &[u8]) -> Result<Self, DhcpError> {
        if datagram.len() < OPTIONS_OFFSET {
            return Err(DhcpError::Truncated(datagram.len()));
        }
        if datagram[0] != 2 {
            return Err(DhcpError::NotReply(datagram[0]));
        }
        let word = |at: usize| {
            u32::from_be_bytes([datagram[at], datagram[at + 1], datagram[at + 2], datagram[at + 3]])
        };
        if word(236) != MAGIC_COOKIE {
            return Err(DhcpError::Cookie(word(236)));
        }
        let options = Options::parse(datagram)?;
        let kind =
            options.get(MESSAGE_TYPE).and_then(|value| MessageType::from_byte(*value.first()?));
        let mut hardware_address = [0; 6];
        hardware_address.copy_from_slice(&datagram[28..34]);
        Ok(Self {
            kind: kind.ok_or(DhcpError::NoMessageType)?,
            transaction: word(4),
            hardware_address,
            address: Ipv4Addr::from(word(16)),
            server: options.addresses(54).first().copied(),
            subnet_mask: options.addresses(1).first().copied(),
            broadcast: options.addresses(28).first().copied(),
            routers: options.addresses(3),
            name_servers: options.addresses(6),
            time_servers: options.addresses(42),
            domain: options.text(15),
            mtu: options.get(26).and_then(|v| v.try_into().ok()).map(u16::from_be_bytes),
            lease_s: options.number(51),
            renewal_s: options.number(58),
            rebinding_s: options.number(59),
            options: options.0.into_iter().collect(),
        })
    }
}

struct Options(std::collections::BTreeMap<u8, Vec<u8>>);

impl Options {
    fn parse(datagram: &[u8]) -> Result<Self, DhcpError> {
        let mut options = Self(Default::default());
        options.read(datagram, OPTIONS_OFFSET, datagram.len())?;
        // RFC 2131 §4.1: option 52 says that `file` (1), `sname` (2) or both hold options too.
        let overload = options.get(OVERLOAD).and_then(|value| value.first().copied()).unwrap_or(0);
        if overload & 1 != 0 {
            options.read(datagram, 108, 236)?;
        }
        if overload & 2 != 0 {
            options.read(datagram, 44, 108)?;
        }
        Ok(options)
    }

    fn read(&mut self, datagram: &[u8], start: usize, end: usize) -> Result<(), DhcpError> {
        let mut at = start;
        while at < end {
            let code = datagram[at];
            match code {
                PAD => at += 1,
                END => break,
                _ => {
                    let past_end = DhcpError::Option { code, offset: at };
                    let len = usize::from(*datagram[..end].get(at + 1).ok_or(past_end)?);
                    let value = datagram[..end].get(at + 2..at + 2 + len).ok_or(past_end)?;
                    // RFC 3396: the parts of an option that comes twice belong together.
                    self.0.entry(code).or_default().extend(value);
                    at += 2 + len;
                }
            }
        }
        Ok(())
    }

    fn get(&self, code: u8) -> Option<&[u8]> {
        self.0.get(&code).map(Vec::as_slice)
    }

    fn addresses(&self, code: u8) -> Vec<Ipv4Addr> {
        let bytes = self.get(code).unwrap_or_default();
        bytes.chunks_exact(4).map(|b| Ipv4Addr::new(b[0], b[1], b[2], b[3])).collect()
    }

    fn number(&self, code: u8) -> Option<u32> {
        self.get(code).and_then(|value| value.try_into().ok()).map(u32::from_be_bytes)
    }

    /// Some servers count a closing NUL; RFC 2132 §2 tells readers to cut it off.
    fn text(&self, code: u8) -> Option<String> {
        let text = String::from_utf8_lossy(self.get(code)?).into_owned();
        Some(text.trim_end_matches('\0').to_owned())
    }
}

fn push_option(out: &mut Vec<u8>, code: u8, value: &[u8]) {
    out.push(code);
    out.push(value.len() as u8);
    out.extend(value);
}

/// Fixed part and cookie.
const OPTIONS_OFFSET: usize = 240;
const MESSAGE_BYTES_MIN: usize = 300;
const MAGIC_COOKIE: u32 = 0x6382_5363;
const BROADCAST_FLAG: u16 = 0x8000;
const PAD: u8 = 0;
const HOST_NAME: u8 = 12;
const OVERLOAD: u8 = 52;
const MESSAGE_TYPE: u8 = 53;
const PARAMETER_LIST: u8 = 55;
const MESSAGE_BYTES_MAX: u8 = 57;
const CLIENT_ID: u8 = 61;
const END: u8 = 255;
/// Mask, router, name server, domain, MTU, broadcast, time server, lease, server, renewals.
const WANTED_OPTIONS: &[u8] = &[1, 3, 6, 15, 26, 28, 42, 51, 54, 58, 59];

#[cfg(test)]
mod tests {
    use super::*;

    fn discover() -> Discover {
        Discover {
            transaction: 0x3903_F326,
            hardware_address: [2, 0, 0, 0, 0, 1],
            elapsed_s: 3,
            host_name: Some("pc".into()),
        }
    }

    /// An OFFER as RFC 2131 §4.3.1 describes it, byte by byte.
    fn offer(options: &[u8]) -> Vec<u8> {
        let mut bytes = discover().compose();
        bytes.truncate(OPTIONS_OFFSET);
        bytes[0] = 2;
        bytes[16..20].copy_from_slice(&[192, 0, 2, 10]);
        bytes.extend(options);
        bytes
    }

    #[test]
    fn a_discover_byte_by_byte() {
        let bytes = discover().compose();
        assert_eq!(bytes.len(), MESSAGE_BYTES_MIN);
        assert_eq!(bytes[..12], [1, 1, 6, 0, 0x39, 0x03, 0xF3, 0x26, 0, 3, 0x80, 0]);
        assert_eq!(bytes[28..36], [2, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(bytes[236..243], [99, 130, 83, 99, 53, 1, 1]);
        assert_eq!(bytes[243..252], [61, 7, 1, 2, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[252..256], [57, 2, 5, 220]);
        assert_eq!(bytes[256..258], [55, 11]);
        assert_eq!(bytes[269..274], [12, 2, b'p', b'c', 255]);
    }

    #[test]
    fn an_offer_becomes_values() {
        let reply = Reply::parse(&offer(&[
            53, 1, 2, 54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 3, 8, 192,
            0, 2, 1, 192, 0, 2, 2, 6, 4, 192, 0, 2, 53, 15, 4, b'l', b'a', b'n', 0, 26, 2, 5, 220,
            255,
        ]))
        .unwrap();
        assert_eq!(reply.kind, MessageType::Offer);
        assert_eq!(reply.transaction, 0x3903_F326);
        assert_eq!(reply.address, Ipv4Addr::new(192, 0, 2, 10));
        assert_eq!(reply.server, Some(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(reply.subnet_mask, Some(Ipv4Addr::new(255, 255, 255, 0)));
        assert_eq!(reply.routers.len(), 2);
        assert_eq!(reply.name_servers, [Ipv4Addr::new(192, 0, 2, 53)]);
        assert_eq!(reply.domain.as_deref(), Some("lan"));
        assert_eq!((reply.lease_s, reply.mtu), (Some(3600), Some(1500)));
        assert_eq!(reply.broadcast, None);
    }

    #[test]
    fn options_in_the_name_fields_and_in_parts() {
        let mut bytes = offer(&[52, 1, 3, 53, 1, 2, 15, 2, b'a', b'.', 255]);
        bytes[108..113].copy_from_slice(&[15, 1, b'b', 255, 0]);
        bytes[44..51].copy_from_slice(&[54, 4, 192, 0, 2, 9, 255]);
        let reply = Reply::parse(&bytes).unwrap();
        assert_eq!(reply.domain.as_deref(), Some("a.b"));
        assert_eq!(reply.server, Some(Ipv4Addr::new(192, 0, 2, 9)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(Reply::parse(&[2; 239]), Err(DhcpError::Truncated(239)));
        assert_eq!(Reply::parse(&discover().compose()), Err(DhcpError::NotReply(1)));
        let mut no_cookie = offer(&[]);
        no_cookie[236] = 0;
        assert_eq!(Reply::parse(&no_cookie), Err(DhcpError::Cookie(0x0082_5363)));
        assert_eq!(Reply::parse(&offer(&[255])), Err(DhcpError::NoMessageType));
        let cut = Err(DhcpError::Option { code: 54, offset: 243 });
        assert_eq!(Reply::parse(&offer(&[53, 1, 2, 54, 4, 1])), cut);
    }
}
