//! Control messages beside a datagram, as the kernel writes them (cmsg(3)): TOS, addresses,
//! segment size, overruns.
//!
//! A header is a length (as wide as a pointer), a level and a type (32 bits each); header and data
//! are padded to the width of a pointer. All in the machine's byte order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Message;

const HEADER_BYTES: usize = size_of::<usize>() + 8;
/// More than all that is ever asked for or sent at once.
pub(super) const CONTROL_BYTES: usize = 192;

/// Room for control messages.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; CONTROL_BYTES]);

/// What the kernel says beside a datagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) tos: u8,
    pub(super) to: Option<IpAddr>,
    pub(super) segment_bytes: Option<usize>,
    /// How many datagrams the socket has dropped so far.
    pub(super) overruns: Option<u32>,
}

/// Reads the control messages in `bytes`; what is not known is left out.
pub(super) fn read(mut bytes: &[u8]) -> Said {
    let mut said = Said::default();
    while let Some((header, _)) = bytes.split_at_checked(HEADER_BYTES) {
        let (length, kind) = header.split_at(size_of::<usize>());
        let length = usize::from_ne_bytes(length.try_into().unwrap_or_default());
        let word = |at| i32::from_ne_bytes(std::array::from_fn(|index| kind[at + index]));
        let Some(data) = bytes.get(HEADER_BYTES..length) else { break };
        note(&mut said, (word(0), word(4)), data);
        bytes = bytes.get(padded(length)..).unwrap_or_default();
    }
    said
}

fn note(said: &mut Said, kind: (libc::c_int, libc::c_int), data: &[u8]) {
    let number = || data.first_chunk().map(|&bytes| u32::from_ne_bytes(bytes));
    match kind {
        // One byte for IPv4, an int for IPv6: ip(7), RFC 3542 section 6.5.
        (libc::IPPROTO_IP, libc::IP_TOS) => said.tos = data.first().copied().unwrap_or_default(),
        (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => said.tos = number().unwrap_or_default() as u8,
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            // struct in_pktinfo: index, the address to answer from, the address in the header.
            let own = data.get(4..).and_then(|rest| rest.first_chunk::<4>());
            said.to = own.map(|&own| Ipv4Addr::from(own).into());
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let own = data.first_chunk::<16>();
            said.to = said.to.or(own.map(|&own| IpAddr::from(own).to_canonical()));
        }
        (libc::SOL_UDP, libc::UDP_GRO) => said.segment_bytes = number().map(|size| size as usize),
        (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => said.overruns = number(),
        _ => {}
    }
}

/// Writes what goes beside `message` and returns its length.
pub(super) fn write(control: &mut Control, message: &Message, segment_bytes: Option<u16>) -> usize {
    let mut length = 0;
    let Control(bytes) = control;
    let mut push = |level: libc::c_int, kind: libc::c_int, data: &[u8]| {
        let total = HEADER_BYTES + data.len();
        let message = &mut bytes[length..length + padded(total)];
        message.fill(0);
        let (header, room) = message.split_at_mut(HEADER_BYTES);
        let (size, kinds) = header.split_at_mut(size_of::<usize>());
        size.copy_from_slice(&total.to_ne_bytes());
        kinds[..4].copy_from_slice(&level.to_ne_bytes());
        kinds[4..].copy_from_slice(&kind.to_ne_bytes());
        room[..data.len()].copy_from_slice(data);
        length += padded(total);
    };
    if let Some(size) = segment_bytes {
        push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
    }
    if message.tos != 0 {
        let tos = libc::c_int::from(message.tos).to_ne_bytes();
        match message.route.is_ipv6 {
            true => push(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &tos),
            false => push(libc::IPPROTO_IP, libc::IP_TOS, &tos),
        }
    }
    match message.route.from.map(|from| from.to_canonical()) {
        Some(IpAddr::V4(from)) => {
            let mut info = [0; 12];
            info[4..8].copy_from_slice(&from.octets());
            push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
        }
        Some(IpAddr::V6(from)) => {
            let mut info = [0; 20];
            info[..16].copy_from_slice(&Ipv6Addr::octets(&from));
            push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        }
        None => {}
    }
    length
}

const fn padded(length: usize) -> usize {
    length.saturating_add(size_of::<usize>() - 1) & !(size_of::<usize>() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::batch::Route;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_back() {
        for from in ["10.0.0.1", "fd00::1"] {
            let from: IpAddr = from.parse().unwrap();
            let route = Route { to: None, from: Some(from), is_ipv6: from.is_ipv6() };
            let message = Message { range: 0..2, route, tos: 0xB9 };
            let mut control = Control([0xAA; CONTROL_BYTES]);
            let length = write(&mut control, &message, Some(1200));
            let said = read(&control.0[..length]);
            assert_eq!((said.tos, said.to), (0xB9, Some(from)));
            assert_eq!(said.overruns, None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..CONTROL_BYTES)) {
            read(&bytes);
        }
    }
}
