//! Errors that came back for datagrams sent earlier: the kernel's error queue.
//!
//! With `IP_RECVERR` the kernel keeps every ICMP error of a socket with the datagram it is about
//! (ip(7), "struct sock_extended_err"). Reads one message of that queue; nothing panics.

use libc::c_int;

use crate::io::socket::{Address, cmsg};

/// `struct sock_extended_err` without the offender behind it.
const ERROR_LEN: usize = 16;

/// Who says that something is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// This machine, for example because the datagram is longer than the path takes.
    Local,
    /// A router or the peer, by ICMP (RFC 792).
    Icmp,
    /// A router or the peer, by ICMPv6 (RFC 4443).
    Icmp6,
    /// Something else, as the kernel numbers it.
    Other(u8),
}

/// One message of the error queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The system's number for it, for example `ECONNREFUSED`.
    pub errno: i32,
    /// Who says so.
    pub origin: Origin,
    /// The ICMP type, 0 for a local error.
    pub icmp_type: u8,
    /// The ICMP code.
    pub icmp_code: u8,
    /// The path MTU, when the datagram was too long for it.
    pub mtu: Option<u32>,
    /// The machine that sent the ICMP message.
    pub offender: Option<Address>,
}

impl Report {
    /// Finds the report among the control messages; `None` if there is none.
    #[must_use]
    pub fn parse(control: &[u8]) -> Option<Self> {
        cmsg::parse(control)
            .filter(|item| !item.malformed && is_error(item.level, item.kind))
            .find_map(|item| Self::read(item.data))
    }

    fn read(data: &[u8]) -> Option<Self> {
        let (head, offender) = data.split_first_chunk::<ERROR_LEN>()?;
        let word =
            |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let errno = i32::try_from(word(0)).ok()?;
        let offender = Address::from_bytes(offender);
        // SO_EE_OFFENDER: family 0 means that nobody is known.
        let known = matches!(offender.family(), libc::AF_INET | libc::AF_INET6);
        Some(Self {
            errno,
            origin: match head[4] {
                1 => Origin::Local,
                2 => Origin::Icmp,
                3 => Origin::Icmp6,
                other => Origin::Other(other),
            },
            icmp_type: head[5],
            icmp_code: head[6],
            mtu: (errno == libc::EMSGSIZE).then(|| word(8)),
            offender: known.then_some(offender),
        })
    }
}

fn is_error(level: c_int, kind: c_int) -> bool {
    (level, kind) == (libc::IPPROTO_IP, libc::IP_RECVERR)
        || (level, kind) == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(head: [u8; ERROR_LEN], offender: &[u8]) -> Vec<u8> {
        let mut control = Vec::new();
        let data = [&head[..], offender].concat();
        cmsg::compose(&mut control, libc::IPPROTO_IP, libc::IP_RECVERR, &data).unwrap();
        control
    }

    #[test]
    fn an_icmp_error_names_its_offender() {
        let mut head = [0; ERROR_LEN];
        head[..4].copy_from_slice(&(libc::ECONNREFUSED as u32).to_ne_bytes());
        head[4..7].copy_from_slice(&[2, 3, 3]);
        let offender = Address::v4("192.0.2.1".parse().unwrap(), 0);
        let read = Report::parse(&report(head, offender.as_bytes())).unwrap();
        assert_eq!(read.errno, libc::ECONNREFUSED);
        assert_eq!((read.origin, read.icmp_type, read.icmp_code), (Origin::Icmp, 3, 3));
        assert_eq!(read.offender, Some(offender));
        assert_eq!(read.mtu, None);
    }

    #[test]
    fn a_datagram_too_long_names_the_mtu() {
        let mut head = [0; ERROR_LEN];
        head[..4].copy_from_slice(&(libc::EMSGSIZE as u32).to_ne_bytes());
        head[4] = 1;
        head[8..12].copy_from_slice(&1280_u32.to_ne_bytes());
        let read = Report::parse(&report(head, &[0; 16])).unwrap();
        assert_eq!((read.origin, read.mtu, read.offender), (Origin::Local, Some(1280), None));
        assert_eq!(Report::parse(&report(head, &[])[..20]), None);
        assert_eq!(Report::parse(&[]), None);
    }
}
