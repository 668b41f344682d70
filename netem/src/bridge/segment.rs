//! Frames that their sender left to be cut: where their headers are, and the headers of a part.
//!
//! A frame comes with a `virtio_net_hdr` (virtio 1.2, section 5.1.6): it may say that a checksum
//! is still to be computed, which is passed on as it is, and that the frame is to be cut into
//! segments of a given size (TSO, UDP GSO). Loss, duplication and reordering happen to segments,
//! because those are the packets on a wire; neighbours that leave together may leave in one frame
//! again. A part of one or more segments gets its own lengths, sequence number and flags, and says
//! itself that its checksum is still to be computed.
//!
//! Does not know UDP fragmentation offload (no kernel sends it any more) or unknown types: such a
//! frame is one packet.

use std::ops::Range;

/// Size of the `virtio_net_hdr` before each frame.
pub(super) const HEADER_BYTES: usize = 10;

pub(super) const NEEDS_CSUM: u8 = 1;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
/// Goes with a TCP type when the sender uses ECN: only the first segment carries CWR.
const GSO_ECN: u8 = 0x80;

pub(super) const ETHERNET_BYTES: usize = 14;
pub(super) const VLAN_BYTES: usize = 4;
pub(super) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(super) const ETHERTYPE_IPV6: u16 = 0x86DD;
const ETHERTYPES_VLAN: [u16; 2] = [0x8100, 0x88A8];
const IPV6_BYTES: usize = 40;
const TCP_FIN_PSH: u8 = 0x09;
const TCP_CWR: u8 = 0x80;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;

/// Where the headers of a frame that is to be cut are. Offsets from the Ethernet header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    ip: usize,
    is_ipv6: bool,
    transport: usize,
    is_tcp: bool,
    payload: usize,
    segment_bytes: usize,
}

impl Layout {
    /// How to cut `frame`, or `None`: it goes on whole.
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let (header, body) = frame.split_at_checked(HEADER_BYTES)?;
        let kind = header[1] & !GSO_ECN;
        let segment_bytes = usize::from(u16::from_ne_bytes([header[4], header[5]]));
        if header[0] & NEEDS_CSUM == 0 || segment_bytes == 0 {
            return None;
        }
        let (ip, ethertype) = network_layer(body)?;
        let is_ipv6 = ethertype == ETHERTYPE_IPV6;
        let transport = usize::from(u16::from_ne_bytes([header[6], header[7]]));
        // The headers the sender names must be those that are there.
        let ip_bytes = match ethertype {
            ETHERTYPE_IPV4 => usize::from(body.get(ip)? & 0x0F) * 4,
            ETHERTYPE_IPV6 => IPV6_BYTES,
            _ => return None,
        };
        if transport < ip + ip_bytes.max(20) || body.len() <= transport + 20 {
            return None;
        }
        let is_tcp = match (kind, is_ipv6) {
            (GSO_TCPV4, false) | (GSO_TCPV6, true) => true,
            (GSO_UDP_L4, _) => false,
            _ => return None,
        };
        let transport_bytes = match is_tcp {
            true => usize::from(body.get(transport + 12)? >> 4) * 4,
            false => 8,
        };
        let payload = transport + transport_bytes;
        let is_cut =
            transport_bytes >= if is_tcp { 20 } else { 8 } && payload + segment_bytes < body.len();
        is_cut.then_some(Self { ip, is_ipv6, transport, is_tcp, payload, segment_bytes })
    }
}

/// Where the network layer begins, behind any VLAN tags, and what it is.
pub(super) fn network_layer(body: &[u8]) -> Option<(usize, u16)> {
    let mut at = ETHERNET_BYTES;
    loop {
        let ethertype = word(body, at - 2)?;
        if !ETHERTYPES_VLAN.contains(&ethertype) {
            return Some((at, ethertype));
        }
        at += VLAN_BYTES;
    }
}

impl Layout {
    /// How many segments there are in a frame of `body_bytes` from the Ethernet header on.
    pub(super) fn segments(&self, body_bytes: usize) -> u32 {
        (body_bytes - self.payload).div_ceil(self.segment_bytes) as u32
    }

    /// How long the headers are, from the Ethernet header on.
    pub(super) const fn head_bytes(&self) -> usize {
        self.payload
    }

    /// Where in the frame, from the Ethernet header on, the payload of `parts` is.
    pub(super) fn payload_of(&self, parts: &Range<u32>, body_bytes: usize) -> Range<usize> {
        let start = self.payload + parts.start as usize * self.segment_bytes;
        let end = self.payload + parts.end as usize * self.segment_bytes;
        start..end.min(body_bytes)
    }

    /// Appends the headers of `parts` of `frame` to `out`, its own `virtio_net_hdr` first.
    pub(super) fn write_head(&self, frame: &[u8], parts: &Range<u32>, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&frame[..HEADER_BYTES + self.payload]);
        let body_bytes = frame.len() - HEADER_BYTES;
        let payload = self.payload_of(parts, body_bytes);
        let (header, head) = out[begin..].split_at_mut(HEADER_BYTES);
        if parts.len() == 1 {
            // Not to be cut any more; the checksum stays to be computed.
            header[1] = 0;
            header[4..6].fill(0);
        }
        let place = Place {
            number: parts.start,
            offset: payload.start - self.payload,
            length: self.payload + payload.len(),
            is_last: payload.end == body_bytes,
        };
        self.finish(head, &place);
    }
}

/// What a part of a frame is.
struct Place {
    /// The number of its first segment.
    number: u32,
    /// Payload before it.
    offset: usize,
    /// Its length with headers, from the Ethernet header on.
    length: usize,
    is_last: bool,
}

impl Layout {
    /// Puts right what differs from part to part.
    fn finish(&self, packet: &mut [u8], place: &Place) {
        let length = place.length;
        if self.is_ipv6 {
            put(packet, self.ip + 4, (length - self.ip - IPV6_BYTES) as u16);
        } else {
            put(packet, self.ip + 2, (length - self.ip) as u16);
            // RFC 6864 lets atomic datagrams share an identification; the kernel counts it up.
            let identification = word(packet, self.ip + 4).unwrap_or_default();
            put(packet, self.ip + 4, identification.wrapping_add(place.number as u16));
            self.finish_ipv4_checksum(packet);
        }
        if self.is_tcp {
            let at = self.transport + 4;
            let sequence = u32::from(word(packet, at).unwrap_or_default()) << 16
                | u32::from(word(packet, at + 2).unwrap_or_default());
            let sequence = sequence.wrapping_add(place.offset as u32);
            packet[at..at + 4].copy_from_slice(&sequence.to_be_bytes());
            if !place.is_last {
                packet[self.transport + 13] &= !TCP_FIN_PSH;
            }
            if place.number > 0 {
                packet[self.transport + 13] &= !TCP_CWR;
            }
        } else {
            put(packet, self.transport + 4, (length - self.transport) as u16);
        }
        self.seed_checksum(packet, length);
    }

    fn finish_ipv4_checksum(&self, packet: &mut [u8]) {
        put(packet, self.ip + 10, 0);
        let header = &packet[self.ip..self.ip + usize::from(packet[self.ip] & 0x0F) * 4];
        let checksum = !folded(sum(header));
        put(packet, self.ip + 10, checksum);
    }

    /// What a checksum that is still to be computed begins with: the sum of the pseudo header
    /// (RFC 9293, section 3.1; RFC 8200, section 8.1).
    fn seed_checksum(&self, packet: &mut [u8], length: usize) {
        let addresses = match self.is_ipv6 {
            true => self.ip + 8..self.ip + 40,
            false => self.ip + 12..self.ip + 20,
        };
        let protocol = if self.is_tcp { PROTOCOL_TCP } else { PROTOCOL_UDP };
        let length = (length - self.transport) as u64;
        let seed = sum(&packet[addresses]) + u64::from(protocol) + length;
        let at = self.transport + if self.is_tcp { 16 } else { 6 };
        put(packet, at, folded(seed));
    }
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// The sum of 16-bit words of the Internet checksum (RFC 1071), not folded.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let words =
        bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)));
    words.sum()
}

pub(super) fn folded(mut sum: u64) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests;
