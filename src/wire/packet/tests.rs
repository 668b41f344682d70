//! Vectors and properties of dissecting, composing and drawing.

use super::*;
use proptest::prelude::*;

fn spec(protocol: Protocol, values: &[(&str, u128)]) -> LayerSpec {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    LayerSpec { protocol, values, options: Vec::new() }
}

fn udp_over(ip: Protocol) -> Vec<LayerSpec> {
    vec![
        spec(
            Protocol::Ethernet,
            &[("destination", 0x0200_0000_0002), ("source", 0x0200_0000_0001)],
        ),
        spec(ip, &[("source", 0xC000_0201), ("destination", 0xC000_0202)]),
        spec(Protocol::Udp, &[("source_port", 5353), ("destination_port", 53)]),
    ]
}

/// An IPv4 header that textbooks compute by hand: the checksum is 0xB861.
const TEXTBOOK: [u8; 20] = [
    0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xB8, 0x61, 0xC0, 0xA8, 0, 1, 0xC0, 0xA8, 0, 0xC7,
];

#[test]
fn a_header_computed_by_hand() {
    let packet = dissect(&TEXTBOOK, Protocol::Ipv4);
    let ip = &packet.layers[0];
    assert_eq!(ip.checksum, Some(Checksum::Good));
    assert_eq!((ip.value("ttl"), ip.value("dont_fragment")), (Some(64), Some(1)));
    assert_eq!(ip.fields[13].text(), "192.168.0.1");
    let mut wrong = TEXTBOOK;
    wrong[8] = 63;
    let bad = dissect(&wrong, Protocol::Ipv4).layers[0].checksum;
    assert_eq!(bad, Some(Checksum::Bad { expected: 0xB961 }));
}

#[test]
fn what_is_composed_is_found_again() {
    for ip in [Protocol::Ipv4, Protocol::Ipv6] {
        let bytes = compose(&udp_over(ip), b"hello").unwrap();
        let packet = dissect(&bytes, Protocol::Ethernet);
        let names: Vec<_> = packet.layers.iter().map(|layer| layer.protocol).collect();
        assert_eq!(names, [Protocol::Ethernet, ip, Protocol::Udp]);
        assert_eq!(packet.payload, b"hello");
        let udp = &packet.layers[2];
        assert_eq!((udp.value("length"), udp.checksum), (Some(13), Some(Checksum::Good)));
        assert_eq!(packet.note, None);
    }
}

#[test]
fn tcp_icmp_arp_and_vlan() {
    let mut tcp = spec(Protocol::Tcp, &[("syn", 1), ("sequence", 7)]);
    tcp.options = vec![2, 4, 5, 0xB4];
    let layers = [spec(Protocol::Vlan, &[("vlan", 42)]), spec(Protocol::Ipv4, &[]), tcp];
    let packet = dissect(&compose(&layers, b"").unwrap(), Protocol::Vlan);
    let tcp = &packet.layers[2];
    assert_eq!((tcp.value("syn"), tcp.value("data_offset")), (Some(1), Some(6)));
    assert_eq!((tcp.options(), tcp.checksum), (&[2, 4, 5, 0xB4][..], Some(Checksum::Good)));
    let ping = [spec(Protocol::Ipv4, &[]), spec(Protocol::Icmp, &[("sequence", 3)])];
    let packet = dissect(&compose(&ping, b"x").unwrap(), Protocol::Ipv4);
    assert_eq!(packet.layers[1].checksum, Some(Checksum::Good));
    let ping6 = [spec(Protocol::Ipv6, &[]), spec(Protocol::Icmpv6, &[])];
    let packet = dissect(&compose(&ping6, b"x").unwrap(), Protocol::Ipv6);
    assert_eq!(packet.layers[1].checksum, Some(Checksum::Good));
    let arp = [spec(Protocol::Ethernet, &[]), spec(Protocol::Arp, &[])];
    let mut bytes = compose(&arp, b"").unwrap();
    bytes.resize(60, 0);
    let packet = dissect(&bytes, Protocol::Ethernet);
    assert_eq!((packet.layers.len(), packet.payload.len()), (2, 0));
}

#[test]
fn no_checksum_a_wrong_one_and_half_a_packet() {
    let mut layers = udp_over(Protocol::Ipv4);
    layers[2].values.push(("checksum".into(), 0));
    let bytes = compose(&layers, b"hello").unwrap();
    assert_eq!(dissect(&bytes, Protocol::Ethernet).layers[2].checksum, Some(Checksum::Absent));
    let mut bytes = compose(&udp_over(Protocol::Ipv4), b"hello").unwrap();
    let last = bytes.len() - 1;
    let half = dissect(&bytes[..last], Protocol::Ethernet);
    assert_eq!(half.layers[2].checksum, Some(Checksum::Unknown));
    bytes[last] ^= 1;
    let bad = dissect(&bytes, Protocol::Ethernet).layers[2].checksum;
    assert!(matches!(bad, Some(Checksum::Bad { .. })));
}

#[test]
fn what_cannot_be_composed_is_said() {
    let unknown = compose(&[spec(Protocol::Udp, &[("port", 1)])], b"").unwrap_err();
    assert!(unknown.to_string().starts_with("udp has no field \"port\"; it has source_port"));
    let large = compose(&[spec(Protocol::Udp, &[("length", 65_536)])], b"").unwrap_err();
    assert_eq!(large.to_string(), "udp.length = 65536 does not fit 16 bits");
    let long = compose(&[spec(Protocol::Udp, &[])], &[0; 65_536]).unwrap_err();
    assert_eq!(long, ComposeError::TooLong("udp"));
}

#[test]
fn the_box_is_the_rfcs() {
    let bytes = compose(&udp_over(Protocol::Ipv4)[1..], b"hello").unwrap();
    let udp = &dissect(&bytes, Protocol::Ipv4).layers[1];
    assert_eq!(
        draw(udp),
        "udp (RFC 768), 8 bytes
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|      source port = 5353       |     destination port = 53     |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|          length = 13          |       checksum = 0x22e0       |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
checksum: good
"
    );
    let dump = hexdump(b"hello, world: 16+");
    assert_eq!(
        dump,
        "0000  68 65 6c 6c 6f 2c 20 77  6f 72 6c 64 3a 20 31 36  hello, world: 16\n\
         0010  2b                                                +\n"
    );
}

proptest! {
    #[test]
    fn nothing_panics_and_no_byte_is_lost(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for first in Protocol::ALL {
            let packet = dissect(&bytes, first);
            let headers: Vec<u8> = packet.layers.iter().flat_map(|l| l.bytes.clone()).collect();
            let seen = [&headers[..], &packet.payload[..]].concat();
            prop_assert!(bytes.starts_with(&seen));
            for layer in &packet.layers {
                prop_assert!(draw(layer).lines().count() > 3);
            }
        }
    }
}
