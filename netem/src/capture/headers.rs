//! The headers that a datagram had: IPv4 or IPv6, and UDP, with right checksums.
//!
//! RFC 791, RFC 8200, RFC 768, RFC 1071. The relay sees payloads only; this writes what was around
//! them. What it cannot know (identification, hop limit, options) is filled in.

use std::net::{IpAddr, SocketAddr};

const UDP_PROTOCOL: u8 = 17;
const UDP_BYTES: usize = 8;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const HOP_LIMIT: u8 = 64;
const DO_NOT_FRAGMENT: u16 = 0x4000;

/// The headers of one datagram.
#[derive(Debug)]
pub(super) struct UdpHeaders {
    bytes: [u8; IPV6_BYTES + UDP_BYTES],
    length: usize,
}

impl UdpHeaders {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The headers of `payload` on its way from `source` to `destination`.
pub(super) fn udp_headers(
    source: SocketAddr,
    destination: SocketAddr,
    traffic_class: u8,
    payload: &[u8],
) -> UdpHeaders {
    let mut bytes = [0; IPV6_BYTES + UDP_BYTES];
    // UDP over IPv4 has at most 65507 bytes of payload, so no length overflows.
    let udp_length = (UDP_BYTES + payload.len()) as u16;
    let mut sum = Sum::default();
    let ip_bytes = match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let header = &mut bytes[..IPV4_BYTES];
            header[0] = 0x45;
            header[1] = traffic_class;
            header[6..8].copy_from_slice(&DO_NOT_FRAGMENT.to_be_bytes());
            header[8] = HOP_LIMIT;
            header[12..16].copy_from_slice(&source.octets());
            header[16..20].copy_from_slice(&destination.octets());
            set_ipv4(header, udp_length.saturating_add(IPV4_BYTES as u16), UDP_PROTOCOL);
            sum.add(&header[12..20]);
            IPV4_BYTES
        }
        (source, destination) => {
            let header = &mut bytes[..IPV6_BYTES];
            header[0] = 0x60 | traffic_class >> 4;
            header[1] = traffic_class << 4;
            header[4..6].copy_from_slice(&udp_length.to_be_bytes());
            header[6] = UDP_PROTOCOL;
            header[7] = HOP_LIMIT;
            header[8..24].copy_from_slice(&as_v6(source));
            header[24..40].copy_from_slice(&as_v6(destination));
            sum.add(&header[8..40]);
            IPV6_BYTES
        }
    };
    let udp = &mut bytes[ip_bytes..ip_bytes + UDP_BYTES];
    udp[0..2].copy_from_slice(&source.port().to_be_bytes());
    udp[2..4].copy_from_slice(&destination.port().to_be_bytes());
    udp[4..6].copy_from_slice(&udp_length.to_be_bytes());
    // RFC 768: the pseudo header ends with the protocol and the length.
    sum.add(&[0, UDP_PROTOCOL]);
    sum.add(&udp_length.to_be_bytes());
    sum.add(udp);
    sum.add(payload);
    let check = never_zero(sum.finish());
    udp[6..8].copy_from_slice(&check.to_be_bytes());
    UdpHeaders { bytes, length: ip_bytes + UDP_BYTES }
}

/// The ICMP message that a datagram of `size_bytes` from `source` found no port at `destination`.
///
/// RFC 792, and RFC 4443 section 3.1. The content of the datagram is not known any more, so the
/// headers quoted carry no checksum of it.
pub(super) fn port_unreachable(
    source: SocketAddr,
    destination: SocketAddr,
    size_bytes: u32,
) -> Vec<u8> {
    const ICMP_PROTOCOL: u8 = 1;
    const ICMPV6_PROTOCOL: u8 = 58;
    let mut quoted = udp_headers(source, destination, 0, &[]);
    let udp_length = (UDP_BYTES as u32 + size_bytes) as u16;
    let is_v4 = quoted.length == IPV4_BYTES + UDP_BYTES;
    let ip_bytes = quoted.length - UDP_BYTES;
    quoted.bytes[ip_bytes + 4..ip_bytes + 6].copy_from_slice(&udp_length.to_be_bytes());
    quoted.bytes[ip_bytes + 6..ip_bytes + 8].copy_from_slice(&[0, 0]);
    let icmp_length = (UDP_BYTES + quoted.length) as u16;
    // The way back: the same header with the addresses exchanged.
    let mut packet = udp_headers(destination, source, 0, &[]).bytes[..ip_bytes].to_vec();
    if is_v4 {
        let total = udp_length.saturating_add(IPV4_BYTES as u16);
        set_ipv4(&mut quoted.bytes[..IPV4_BYTES], total, UDP_PROTOCOL);
        set_ipv4(&mut packet, icmp_length + IPV4_BYTES as u16, ICMP_PROTOCOL);
        packet.extend([3, 3]);
    } else {
        quoted.bytes[4..6].copy_from_slice(&udp_length.to_be_bytes());
        packet[4..6].copy_from_slice(&icmp_length.to_be_bytes());
        packet[6] = ICMPV6_PROTOCOL;
        packet.extend([1, 4]);
    }
    packet.extend([0; 6]);
    packet.extend(quoted.as_bytes());
    let mut sum = Sum::default();
    if !is_v4 {
        sum.add(&packet[8..40]);
        sum.add(&icmp_length.to_be_bytes());
        sum.add(&[0, ICMPV6_PROTOCOL]);
    }
    sum.add(&packet[ip_bytes..]);
    let check = sum.finish();
    packet[ip_bytes + 2..ip_bytes + 4].copy_from_slice(&check.to_be_bytes());
    packet
}

/// Sets length and protocol of an IPv4 header, and its checksum anew.
fn set_ipv4(header: &mut [u8], total: u16, protocol: u8) {
    header[2..4].copy_from_slice(&total.to_be_bytes());
    header[9] = protocol;
    header[10..12].copy_from_slice(&[0, 0]);
    let check = checksum(header);
    header[10..12].copy_from_slice(&check.to_be_bytes());
}

/// Finishes a checksum that the sender left to the hardware: over everything from `start` on, at
/// `offset` behind it, where the sum of the pseudo header stands already. Out of range: nothing.
#[cfg_attr(not(all(target_os = "linux", feature = "raw")), allow(dead_code))]
pub(super) fn finish_checksum(packet: &mut [u8], start: usize, offset: usize) {
    let Some(covered) = packet.get_mut(start..) else { return };
    if offset + 2 > covered.len() {
        return;
    }
    let check = never_zero(checksum(covered));
    covered[offset..offset + 2].copy_from_slice(&check.to_be_bytes());
}

/// RFC 768: a checksum that comes out as zero is sent as all ones, because zero says "none".
const fn never_zero(check: u16) -> u16 {
    if check == 0 { u16::MAX } else { check }
}

fn as_v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = Sum::default();
    sum.add(bytes);
    sum.finish()
}

/// The ones' complement sum of RFC 1071. All parts but the last have an even length.
#[derive(Default)]
struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(2);
        for word in &mut words {
            self.0 += u64::from(u16::from_be_bytes([word[0], word[1]]));
        }
        if let [last] = words.remainder() {
            self.0 += u64::from(*last) << 8;
        }
    }

    fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        udp_headers(source, destination, 0, payload).as_bytes().to_vec()
    }

    #[test]
    fn ipv4_checksums_hold() {
        let packet = headers("127.0.0.1:4660", "192.0.2.1:53", b"odd");
        assert_eq!(packet.len(), 28);
        assert_eq!(checksum(&packet[..20]), 0, "a header with its checksum sums up to nothing");
        assert_eq!(packet[2..4], [0, 31]);
        assert_eq!(packet[20..26], [0x12, 0x34, 0, 53, 0, 11]);
        let mut whole = packet[12..20].to_vec();
        whole.extend([0, 17, 0, 11]);
        whole.extend(&packet[20..]);
        whole.extend(b"odd");
        assert_eq!(checksum(&whole), 0);
    }

    #[test]
    fn ipv6_checksums_hold_and_mapped_addresses_are_ipv4() {
        let packet = headers("[2001:db8::1]:1", "[2001:db8::2]:2", b"even");
        assert_eq!(packet.len(), 48);
        let mut whole = packet[8..40].to_vec();
        whole.extend([0, 17, 0, 12]);
        whole.extend(&packet[40..]);
        whole.extend(b"even");
        assert_eq!(checksum(&whole), 0);
        assert_eq!(headers("[::ffff:192.0.2.7]:1", "192.0.2.1:2", b"").len(), 28);
        assert_eq!(headers("[::ffff:192.0.2.7]:1", "[::1]:2", b"").len(), 48);
    }

    #[test]
    fn a_known_checksum() {
        // RFC 1071, section 3: the worked example.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn a_checksum_left_to_the_hardware_is_finished() {
        let whole = headers("127.0.0.1:1000", "127.0.0.1:2000", b"payload!");
        let mut packet = whole.clone();
        packet.extend(b"payload!");
        // What a sender leaves: the sum of the pseudo header, not inverted.
        let mut pseudo = packet[12..20].to_vec();
        pseudo.extend([0, 17, 0, 16]);
        packet[26..28].copy_from_slice(&(!checksum(&pseudo)).to_be_bytes());
        finish_checksum(&mut packet, 20, 6);
        assert_eq!(packet[..28], whole);
        finish_checksum(&mut packet, 20, 100);
        finish_checksum(&mut packet, 1000, 0);
        assert_eq!(packet[..28], whole, "out of range changes nothing");
    }
}
