//! What a sender may say about its datagrams, as control messages.
//!
//! The type of service (RFC 2474, RFC 3168), the source address and the interface. ip(7), ipv6(7)

use std::net::IpAddr;

use libc::c_int;

use crate::io::socket::cmsg;

/// What is said about every datagram of a call; by default nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// The type-of-service octet: DSCP in the upper six bits, ECN in the lower two.
    pub tos: Option<u8>,
    /// The address to send from.
    pub source: Option<IpAddr>,
    /// The number of the interface to send through, 0 for what the route says.
    pub interface: u32,
}

impl Options {
    /// The control messages for a socket of `family`.
    #[must_use]
    pub fn compose(&self, family: c_int) -> Vec<u8> {
        let mut control = Vec::new();
        let mut push = |level, kind, data: &[u8]| {
            // A few bytes always fit.
            let _ = cmsg::compose(&mut control, level, kind, data);
        };
        let six = family == libc::AF_INET6;
        if let Some(tos) = self.tos {
            let value = c_int::from(tos).to_ne_bytes();
            // An IPv6 socket that sends to an IPv4 address reads the first, otherwise the second.
            push(libc::IPPROTO_IP, libc::IP_TOS, &value);
            if six {
                push(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &value);
            }
        }
        if self.source.is_none() && self.interface == 0 {
            return control;
        }
        let interface = self.interface.to_ne_bytes();
        if six {
            // struct in6_pktinfo: address, interface.
            let source = match self.source {
                Some(IpAddr::V6(host)) => host.octets(),
                Some(IpAddr::V4(host)) => host.to_ipv6_mapped().octets(),
                None => [0; 16],
            };
            let info = [&source[..], &interface[..]].concat();
            push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        } else {
            // struct in_pktinfo: interface, source, (unused when sending).
            let source = match self.source {
                Some(IpAddr::V4(host)) => host.octets(),
                _ => [0; 4],
            };
            let info = [&interface[..], &source[..], &[0; 4]].concat();
            push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
        }
        control
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::batch::facts::Facts;

    #[test]
    fn nothing_said_is_nothing_sent() {
        assert!(Options::default().compose(libc::AF_INET).is_empty());
        assert!(Options::default().compose(libc::AF_INET6).is_empty());
    }

    #[test]
    fn what_is_said_is_in_the_control_messages() {
        let options =
            Options { tos: Some(0xb9), source: Some("192.0.2.7".parse().unwrap()), interface: 3 };
        let facts = Facts::parse(&options.compose(libc::AF_INET));
        assert_eq!(facts.tos, Some(0xb9));
        assert_eq!(facts.interface, Some(3));
        let facts = Facts::parse(&options.compose(libc::AF_INET6));
        assert_eq!(facts.destination, Some("192.0.2.7".parse().unwrap()));
        assert_eq!((facts.tos, facts.interface), (Some(0xb9), Some(3)));
    }
}
