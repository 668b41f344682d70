//! The anatomy beside pnet's: what both take apart has the same values, what we compose carries
//! the checksums that pnet computes. Seeded; pnet is an oracle here and nothing is built on it.

mod support;

use pnet::packet::ethernet::EthernetPacket;
use pnet::packet::icmp::{IcmpPacket, checksum as icmp_checksum};
use pnet::packet::ipv4::{Ipv4Packet, checksum as ipv4_checksum};
use pnet::packet::ipv6::Ipv6Packet;
use pnet::packet::tcp::TcpPacket;
use pnet::packet::udp::UdpPacket;
use pnet::packet::{Packet as _, icmpv6, tcp, udp};
use support::rng::Rng;
use udpcore::wire::packet::{Checksum, Layer, LayerSpec, Protocol, compose, dissect};

const ROUNDS: u64 = 20_000;
const SEED: u64 = 7;

/// The fields of `layer` that `theirs` names have the values it gives.
fn same(layer: &Layer, theirs: &[(&str, u128)]) {
    for (name, value) in theirs {
        assert_eq!(layer.value(name), Some(*value), "{name} of {layer:?}");
    }
}

fn mac(address: pnet::util::MacAddr) -> u128 {
    let mut bytes = [0; 16];
    bytes[10..].copy_from_slice(&address.octets());
    u128::from_be_bytes(bytes)
}

/// Compare one layer with what pnet reads at its place.
fn compare(bytes: &[u8], layer: &Layer) {
    let rest = &bytes[layer.offset..];
    match layer.protocol {
        Protocol::Ethernet => {
            let pnet = EthernetPacket::new(rest).expect("a header");
            let kind = u128::from(pnet.get_ethertype().0);
            let (to, from) = (mac(pnet.get_destination()), mac(pnet.get_source()));
            same(layer, &[("destination", to), ("source", from), ("type", kind)]);
        }
        Protocol::Ipv4 => {
            let pnet = Ipv4Packet::new(rest).expect("a header");
            same(
                layer,
                &[
                    ("version", pnet.get_version().into()),
                    ("ihl", pnet.get_header_length().into()),
                    ("dscp", pnet.get_dscp().into()),
                    ("ecn", pnet.get_ecn().into()),
                    ("total_length", pnet.get_total_length().into()),
                    ("identification", pnet.get_identification().into()),
                    ("fragment_offset", pnet.get_fragment_offset().into()),
                    ("ttl", pnet.get_ttl().into()),
                    ("protocol", pnet.get_next_level_protocol().0.into()),
                    ("checksum", pnet.get_checksum().into()),
                    ("source", u32::from(pnet.get_source()).into()),
                    ("destination", u32::from(pnet.get_destination()).into()),
                ],
            );
        }
        Protocol::Ipv6 => {
            let pnet = Ipv6Packet::new(rest).expect("a header");
            same(
                layer,
                &[
                    ("version", pnet.get_version().into()),
                    ("flow_label", pnet.get_flow_label().into()),
                    ("payload_length", pnet.get_payload_length().into()),
                    ("next_header", pnet.get_next_header().0.into()),
                    ("hop_limit", pnet.get_hop_limit().into()),
                    ("source", pnet.get_source().into()),
                    ("destination", pnet.get_destination().into()),
                ],
            );
        }
        Protocol::Udp => {
            let pnet = UdpPacket::new(rest).expect("a header");
            same(
                layer,
                &[
                    ("source_port", pnet.get_source().into()),
                    ("destination_port", pnet.get_destination().into()),
                    ("length", pnet.get_length().into()),
                    ("checksum", pnet.get_checksum().into()),
                ],
            );
        }
        Protocol::Tcp => {
            let pnet = TcpPacket::new(rest).expect("a header");
            let bit = |name| layer.value(name).expect("a flag") as u8;
            let names = ["cwr", "ece", "urg", "ack", "psh", "rst", "syn", "fin"];
            let flags = names.into_iter().fold(0, |flags, name| flags << 1 | bit(name));
            assert_eq!(flags, pnet.get_flags());
            same(
                layer,
                &[
                    ("source_port", pnet.get_source().into()),
                    ("destination_port", pnet.get_destination().into()),
                    ("sequence", pnet.get_sequence().into()),
                    ("acknowledgment", pnet.get_acknowledgement().into()),
                    ("data_offset", pnet.get_data_offset().into()),
                    ("window", pnet.get_window().into()),
                    ("checksum", pnet.get_checksum().into()),
                    ("urgent_pointer", pnet.get_urgent_ptr().into()),
                ],
            );
        }
        Protocol::Icmp => {
            let pnet = IcmpPacket::new(rest).expect("a header");
            same(
                layer,
                &[
                    ("type", pnet.get_icmp_type().0.into()),
                    ("code", pnet.get_icmp_code().0.into()),
                    ("checksum", pnet.get_checksum().into()),
                ],
            );
        }
        Protocol::Vlan | Protocol::Arp | Protocol::Icmpv6 => {}
    }
}

fn spec(protocol: Protocol, values: &[(&str, u128)]) -> LayerSpec {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    LayerSpec { protocol, values, options: Vec::new() }
}

/// Random headers of one of the usual stacks, and a payload.
fn composed(rng: &mut Rng) -> Vec<u8> {
    let six = rng.below(2) == 1;
    let bits = if six { 128 } else { 32 };
    let mut address = || {
        let wide = u128::from(rng.next()) << 64 | u128::from(rng.next());
        wide >> (128 - bits)
    };
    let addresses = [("source", address()), ("destination", address())];
    let ip = spec(if six { Protocol::Ipv6 } else { Protocol::Ipv4 }, &addresses);
    let ports = [
        ("source_port", u128::from(rng.below(65_536))),
        ("destination_port", u128::from(rng.below(65_536))),
    ];
    let identifier = [("identifier", u128::from(rng.below(65_536)))];
    let inner = match rng.below(3) {
        0 => spec(Protocol::Udp, &ports),
        1 => spec(Protocol::Tcp, &ports),
        _ if six => spec(Protocol::Icmpv6, &identifier),
        _ => spec(Protocol::Icmp, &identifier),
    };
    let len = rng.below(40) as usize;
    compose(&[spec(Protocol::Ethernet, &[]), ip, inner], &rng.bytes(len)).expect("it composes")
}

/// What pnet says the checksum of the innermost header should be.
fn wanted_checksum(packet: &[u8], layers: &[Layer]) -> u16 {
    let (ip, inner) = (&layers[1], &layers[2]);
    let body = &packet[inner.offset..];
    let udp = || UdpPacket::new(body).expect("UDP");
    let tcp = || TcpPacket::new(body).expect("TCP");
    if ip.protocol == Protocol::Ipv4 {
        let ip = Ipv4Packet::new(&packet[ip.offset..]).expect("IPv4");
        let (from, to) = (ip.get_source(), ip.get_destination());
        return match inner.protocol {
            Protocol::Udp => udp::ipv4_checksum(&udp(), &from, &to),
            Protocol::Tcp => tcp::ipv4_checksum(&tcp(), &from, &to),
            _ => icmp_checksum(&IcmpPacket::new(body).expect("ICMP")),
        };
    }
    let ip = Ipv6Packet::new(&packet[ip.offset..]).expect("IPv6");
    let (from, to) = (ip.get_source(), ip.get_destination());
    match inner.protocol {
        Protocol::Udp => udp::ipv6_checksum(&udp(), &from, &to),
        Protocol::Tcp => tcp::ipv6_checksum(&tcp(), &from, &to),
        _ => {
            let packet = icmpv6::Icmpv6Packet::new(body).expect("ICMPv6");
            icmpv6::checksum(&packet, &from, &to)
        }
    }
}

#[test]
fn composed_packets_have_pnets_values_and_checksums() {
    let mut rng = Rng::new(SEED);
    for round in 0..ROUNDS {
        let packet = composed(&mut rng);
        let parsed = dissect(&packet, Protocol::Ethernet);
        assert_eq!(parsed.layers.len(), 3, "round {round} of seed {SEED}");
        parsed.layers.iter().for_each(|layer| compare(&packet, layer));
        if let Some(ip) = Ipv4Packet::new(&packet[14..]).filter(|ip| ip.get_version() == 4) {
            assert_eq!(ip.get_checksum(), ipv4_checksum(&ip), "round {round} of seed {SEED}");
        }
        let inner = &parsed.layers[2];
        assert_eq!(inner.checksum, Some(Checksum::Good), "round {round} of seed {SEED}");
        let ours = inner.value("checksum").expect("a checksum");
        let theirs = u128::from(wanted_checksum(&packet, &parsed.layers));
        // A computed zero is sent as all ones, because zero means none (RFC 768).
        assert!(ours == theirs || (ours, theirs) == (0xFFFF, 0), "round {round} of seed {SEED}");
        assert!(EthernetPacket::new(&packet).is_some_and(|frame| !frame.payload().is_empty()));
    }
}

#[test]
fn random_bytes_have_pnets_values() {
    let mut rng = Rng::new(SEED);
    for _ in 0..ROUNDS {
        let len = 14 + rng.below(100) as usize;
        let mut bytes = rng.bytes(len);
        // Half of them pass for IP, so that what lies inside is reached too.
        if rng.below(2) == 0 && len > 30 {
            let (kind, first) = [([0x08, 0x00], 0x45), ([0x86, 0xDD], 0x60)][rng.below(2) as usize];
            bytes[12..14].copy_from_slice(&kind);
            bytes[14] = first;
            bytes[if first == 0x45 { 23 } else { 20 }] = [1, 6, 17][rng.below(3) as usize];
        }
        for first in [Protocol::Ethernet, Protocol::Ipv4, Protocol::Ipv6, Protocol::Udp] {
            dissect(&bytes, first).layers.iter().for_each(|layer| compare(&bytes, layer));
        }
    }
}
