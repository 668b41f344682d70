//! Every address says again what it was made from, and no bytes make the reader panic.

use proptest::prelude::*;

use super::*;

fn says(address: &Address, expected: &View<'_>) -> bool {
    address.view() == *expected
}

proptest! {
    #[test]
    fn internet_addresses_come_back(host: u32, host6: u128, port: u16, flow in 0..=0xf_ffff_u32,
                                    scope: u32) {
        let v4 = Ipv4Addr::from(host);
        prop_assert!(says(&Address::v4(v4, port), &View::V4(v4, port)));
        prop_assert_eq!(Address::v4(v4, 0).with_port(port), Address::v4(v4, port));
        let v6 = Ipv6Addr::from(host6);
        let v6_address = Address::v6(v6, port, flow, scope);
        prop_assert!(says(&v6_address, &View::V6(v6, port, flow, scope)));
    }

    #[test]
    fn unix_addresses_come_back(path in proptest::collection::vec(1_u8.., 1..200)) {
        match Address::unix(&path) {
            Some(address) => prop_assert_eq!(address.view(), View::UnixPath(&path)),
            None => prop_assert!(path.len() >= UNIX_PATH_MAX),
        }
        let mut name = vec![0];
        name.extend_from_slice(&path);
        match Address::unix(&name) {
            Some(address) => prop_assert_eq!(address.view(), View::UnixAbstract(&name)),
            None => prop_assert!(name.len() > UNIX_PATH_MAX),
        }
    }

    #[test]
    fn pass_through_addresses_come_back(a: u32, b: u32, index: c_int, protocol: u16,
                                        hardware: [u8; 8], len in 0..=8_u8) {
        prop_assert!(says(&Address::netlink(a, b), &View::Netlink(a, b)));
        prop_assert!(says(&Address::vsock(a, b), &View::Vsock(a, b)));
        prop_assert!(says(&Address::can(index), &View::Can(index)));
        let packet = Packet {
            interface: index, protocol, packet_type: 3, hardware_type: 1, hardware,
            hardware_len: len,
        };
        prop_assert!(says(&Address::packet(&packet), &View::Packet(packet)));
    }

    #[test]
    fn any_bytes_can_be_read(family in 0..60_u16, rest in proptest::collection::vec(any::<u8>(),
                             0..200), cut in 0..4_usize) {
        let mut bytes = family.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&rest);
        bytes.drain(..cut.min(bytes.len()));
        let address = Address::from_bytes(&bytes);
        let _ = format!("{address:?}");
        prop_assert_eq!(&Address::from_bytes(address.as_bytes()), &address);
    }
}

#[test]
fn the_empty_unix_path_is_an_empty_address() {
    let address = Address::unix(b"").unwrap();
    assert_eq!(address.len() as usize, UNIX_PATH_OFFSET);
    assert_eq!(address.view(), View::UnixPath(b""));
}
