//! The Internet checksum (RFC 1071) and what it covers in each protocol.

use super::dissect::Layer;
use super::tables::Protocol;

/// What checking a header's checksum found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// It is right.
    Good,
    /// It is not; this would be.
    Bad {
        /// What the header should hold.
        expected: u16,
    },
    /// UDP over IPv4 may go without (RFC 768): the field is 0.
    Absent,
    /// The capture holds only a part of what it covers.
    Unknown,
}

/// The one's complement of the one's complement sum (RFC 1071 §1).
pub(super) fn internet(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for part in parts {
        let pairs = part.chunks_exact(2);
        // Only the last part may be odd; it is padded with a zero.
        let last = pairs.remainder().first().copied().unwrap_or_default();
        sum += pairs.map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u64>();
        sum += u64::from(last) << 8;
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

/// The pseudo-header in front of UDP, TCP and ICMPv6 (RFC 768, 9293 §3.1, 8200 §8.1).
pub(super) fn pseudo_header(ip: &Layer, protocol: Protocol, length: usize) -> Option<Vec<u8>> {
    let number = protocol.number_in(ip.protocol)? as u8;
    let (source, destination) = (ip.value("source")?, ip.value("destination")?);
    let mut out = Vec::with_capacity(40);
    if ip.protocol == Protocol::Ipv4 {
        out.extend((source as u32).to_be_bytes());
        out.extend((destination as u32).to_be_bytes());
        out.extend([0, number]);
        out.extend((length as u16).to_be_bytes());
    } else {
        out.extend(source.to_be_bytes());
        out.extend(destination.to_be_bytes());
        out.extend((length as u32).to_be_bytes());
        out.extend([0, 0, 0, number]);
    }
    Some(out)
}

/// The checksum a header should hold; `header` has zeros in its place.
pub(super) fn expected(
    protocol: Protocol,
    ip: Option<&Layer>,
    header: &[u8],
    payload: &[u8],
) -> Option<u16> {
    let length = header.len() + payload.len();
    match protocol {
        Protocol::Ipv4 => Some(internet(&[header])),
        Protocol::Icmp => Some(internet(&[header, payload])),
        Protocol::Udp | Protocol::Tcp | Protocol::Icmpv6 => {
            let sum = internet(&[&pseudo_header(ip?, protocol, length)?, header, payload]);
            // RFC 768: a computed zero is sent as all ones, for zero means none.
            Some(if sum == 0 && protocol == Protocol::Udp { 0xFFFF } else { sum })
        }
        _ => None,
    }
}

/// Check the checksum of a header that was taken apart.
pub(super) fn check(
    layer: &Layer,
    ip: Option<&Layer>,
    payload: &[u8],
    complete: bool,
) -> Option<Checksum> {
    let found = layer.value("checksum")? as u16;
    let on_ipv4 = ip.is_some_and(|ip| ip.protocol == Protocol::Ipv4);
    if layer.protocol == Protocol::Udp && found == 0 && on_ipv4 {
        return Some(Checksum::Absent);
    }
    if !complete && layer.protocol != Protocol::Ipv4 {
        return Some(Checksum::Unknown);
    }
    let mut header = layer.bytes.clone();
    let at = offset_of(layer.protocol);
    header[at..at + 2].fill(0);
    let expected = expected(layer.protocol, ip, &header, payload)?;
    Some(if expected == found { Checksum::Good } else { Checksum::Bad { expected } })
}

/// Where in its header the checksum lies.
pub(super) fn offset_of(protocol: Protocol) -> usize {
    let before = protocol.specs().iter().take_while(|spec| spec.name != "checksum");
    before.map(|spec| spec.bits as usize).sum::<usize>() / 8
}
