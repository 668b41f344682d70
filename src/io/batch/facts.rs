//! What the kernel tells about one received message, read from its control messages.
//!
//! Time of arrival, arrival interface and destination address, type of service, hop limit,
//! datagrams lost to a full queue, and the segment length of a coalesced run. Unknown and
//! malformed messages are left out; nothing panics. socket(7), ip(7), ipv6(7), udp(7)

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libc::c_int;

use super::{SOL_UDP, UDP_GRO};
use crate::io::socket::cmsg::{self, Item};

/// Control room for everything in [`Facts`] at once, and something to spare.
pub const CONTROL_ROOM: usize = 256;

const NANOS_PER_SEC: i64 = 1_000_000_000;

/// What was told; `None` for what was not asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// When the datagram arrived: nanoseconds since 1970 on the system's clock.
    pub timestamp_ns: Option<i64>,
    /// The number of the interface it arrived at.
    pub interface: Option<u32>,
    /// The address it was sent to.
    pub destination: Option<IpAddr>,
    /// The type-of-service octet: DSCP in the upper six bits, ECN in the lower two.
    pub tos: Option<u8>,
    /// Its time to live (hop limit) on arrival.
    pub ttl: Option<u8>,
    /// How many datagrams this socket has lost to its full queue so far.
    pub overflow: Option<u32>,
    /// The length of the datagrams of a coalesced run, 0 when it is none.
    pub segment: usize,
}

impl Facts {
    /// Reads the control messages of one received message.
    #[must_use]
    pub fn parse(control: &[u8]) -> Self {
        let mut facts = Self::default();
        for item in cmsg::parse(control).filter(|item| !item.malformed) {
            facts.take(&item);
        }
        facts
    }

    /// Only the segment length, for those who need nothing else.
    #[must_use]
    pub fn segment_of(control: &[u8]) -> usize {
        cmsg::parse(control)
            .find(|item| item.level == SOL_UDP && item.kind == UDP_GRO && !item.malformed)
            .map_or(0, |item| segment(item.data))
    }

    fn take(&mut self, item: &Item<'_>) {
        let data = item.data;
        match (item.level, item.kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => self.timestamp_ns = timespec(data),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => self.overflow = word(data, 0),
            (SOL_UDP, UDP_GRO) => self.segment = segment(data),
            (libc::IPPROTO_IP, libc::IP_TOS) => self.tos = data.first().copied(),
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => self.tos = octet(data),
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                self.ttl = octet(data);
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => self.take_v4(data),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => self.take_v6(data),
            _ => {}
        }
    }

    /// struct in_pktinfo: interface, local address, destination in the header.
    fn take_v4(&mut self, data: &[u8]) {
        let host: Option<[u8; 4]> = data.get(8..12).and_then(|b| b.try_into().ok());
        if let (Some(interface), Some(host)) = (word(data, 0), host) {
            self.interface = Some(interface);
            self.destination = Some(Ipv4Addr::from(host).into());
        }
    }

    /// struct in6_pktinfo: destination, interface.
    fn take_v6(&mut self, data: &[u8]) {
        let host: Option<[u8; 16]> = data.get(..16).and_then(|b| b.try_into().ok());
        if let (Some(interface), Some(host)) = (word(data, 16), host) {
            self.interface = Some(interface);
            self.destination = Some(IpAddr::V6(Ipv6Addr::from(host)).to_canonical());
        }
    }
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

/// An int that must be an octet.
fn octet(data: &[u8]) -> Option<u8> {
    u8::try_from(word(data, 0)?).ok()
}

/// The kernel writes an int; a short is read as well, as it is what UDP_SEGMENT takes.
fn segment(data: &[u8]) -> usize {
    match (word(data, 0), data.first_chunk::<2>()) {
        (Some(value), _) => usize::try_from(value as c_int).unwrap_or(0),
        (None, Some(short)) => u16::from_ne_bytes(*short).into(),
        (None, None) => 0,
    }
}

fn timespec(data: &[u8]) -> Option<i64> {
    let half = |at| Some(i64::from_ne_bytes(data.get(at..at + 8)?.try_into().ok()?));
    let (seconds, nanos): (i64, i64) = (half(0)?, half(8)?);
    if !(0..NANOS_PER_SEC).contains(&nanos) {
        return None;
    }
    seconds.checked_mul(NANOS_PER_SEC)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(items: &[(c_int, c_int, &[u8])]) -> Vec<u8> {
        let mut control = Vec::new();
        for (level, kind, data) in items {
            cmsg::compose(&mut control, *level, *kind, data).unwrap();
        }
        control
    }

    #[test]
    fn everything_the_kernel_may_tell_fits_the_room_and_is_read() {
        let time = [5_i64.to_ne_bytes(), 7_i64.to_ne_bytes()].concat();
        let four = [&2_u32.to_ne_bytes()[..], &[127, 0, 0, 1], &[192, 0, 2, 9]].concat();
        let control = control(&[
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &time),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &11_u32.to_ne_bytes()),
            (libc::IPPROTO_IP, libc::IP_TOS, &[0x2e]),
            (libc::IPPROTO_IP, libc::IP_TTL, &64_u32.to_ne_bytes()),
            (libc::IPPROTO_IP, libc::IP_PKTINFO, &four),
            (SOL_UDP, UDP_GRO, &1200_u32.to_ne_bytes()),
        ]);
        assert!(control.len() <= CONTROL_ROOM);
        let facts = Facts {
            timestamp_ns: Some(5_000_000_007),
            interface: Some(2),
            destination: Some("192.0.2.9".parse().unwrap()),
            tos: Some(0x2e),
            ttl: Some(64),
            overflow: Some(11),
            segment: 1200,
        };
        assert_eq!(Facts::parse(&control), facts);
        assert_eq!(Facts::segment_of(&control), 1200);
    }

    #[test]
    fn what_is_absurd_is_left_out() {
        let time = [5_i64.to_ne_bytes(), (-7_i64).to_ne_bytes()].concat();
        let control = control(&[
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &time),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &[1]),
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &(-1_i32).to_ne_bytes()),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &[0; 19]),
            (SOL_UDP, UDP_GRO, &(-5_i32).to_ne_bytes()),
        ]);
        assert_eq!(Facts::parse(&control), Facts::default());
    }
}
