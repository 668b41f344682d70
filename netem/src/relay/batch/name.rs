//! Socket addresses as the kernel writes them: `sockaddr_in` (ip(7)), `sockaddr_in6` (ipv6(7)).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The larger of the two, `sockaddr_in6`.
pub(super) const NAME_BYTES: usize = 28;
const IPV4_BYTES: usize = 16;

/// Room for an address, as the kernel reads and writes it.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Name(pub(super) [u8; NAME_BYTES]);

impl Name {
    pub(super) const EMPTY: Self = Self([0; NAME_BYTES]);

    /// The address; `None` for another family.
    pub(super) fn decode(&self) -> Option<SocketAddr> {
        let Self(bytes) = self;
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        match libc::c_int::from(u16::from_ne_bytes([bytes[0], bytes[1]])) {
            libc::AF_INET => Some((Ipv4Addr::from(part::<4>(bytes, 4)), port).into()),
            libc::AF_INET6 => {
                let address = Ipv6Addr::from(part::<16>(bytes, 8));
                let flow_info = u32::from_be_bytes(part(bytes, 4));
                let scope = u32::from_ne_bytes(part(bytes, 24));
                Some(SocketAddrV6::new(address, port, flow_info, scope).into())
            }
            _ => None,
        }
    }

    /// Writes `address` and returns its length.
    pub(super) fn encode(&mut self, address: SocketAddr) -> usize {
        let Self(bytes) = self;
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        bytes[..2].copy_from_slice(&(family as u16).to_ne_bytes());
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(address) => {
                bytes[4..8].copy_from_slice(&address.ip().octets());
                bytes[8..IPV4_BYTES].fill(0);
                IPV4_BYTES
            }
            SocketAddr::V6(address) => {
                bytes[4..8].copy_from_slice(&address.flowinfo().to_be_bytes());
                bytes[8..24].copy_from_slice(&address.ip().octets());
                bytes[24..].copy_from_slice(&address.scope_id().to_ne_bytes());
                NAME_BYTES
            }
        }
    }
}

fn part<const N: usize>(bytes: &[u8; NAME_BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[at + index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_back_as_they_were_written() {
        for text in ["127.0.0.1:9000", "[::1]:1", "[fe80::1%3]:65535", "0.0.0.0:0"] {
            let (address, mut name) = (text.parse().unwrap(), Name::EMPTY);
            name.encode(address);
            assert_eq!(name.decode(), Some(address));
        }
        assert_eq!(Name::EMPTY.decode(), None);
    }
}
