//! Which flow a frame belongs to: the 5-tuple, numbered by first arrival, both directions alike.
//!
//! TCP, UDP, SCTP and UDP-Lite by addresses and ports; ICMP echo by addresses and identifier.
//! Everything else, also fragments (they have no ports), is [`FlowOrdinal::OTHER`]: it comes and
//! goes with timers of the machines, and must not change the ordinals of the rest.

use std::collections::HashMap;
use std::net::IpAddr;

use pnet::packet::Packet as _;
use pnet::packet::ethernet::{EtherType, EtherTypes, EthernetPacket};
use pnet::packet::icmp::{IcmpPacket, IcmpTypes};
use pnet::packet::icmpv6::{Icmpv6Packet, Icmpv6Types};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::ipv6::Ipv6Packet;
use pnet::packet::vlan::VlanPacket;

use crate::packet::FlowOrdinal;

/// The most flows that are told apart; packets of further ones are [`FlowOrdinal::OTHER`].
pub const TRACKED_FLOWS_MAX: usize = 1 << 16;

/// Stacked VLAN tags that are looked behind.
const VLAN_TAGS_MAX: usize = 2;

type End = (IpAddr, u16);

/// Protocol and both ends, the smaller one first: the same for both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FlowKey {
    protocol: u8,
    ends: (End, End),
}

/// Flow to ordinal.
#[derive(Debug, Default)]
pub(super) struct FlowTable {
    ordinals: HashMap<FlowKey, FlowOrdinal>,
}

impl FlowTable {
    /// How many flows are told apart.
    pub(super) fn len(&self) -> usize {
        self.ordinals.len()
    }

    /// The ordinal of the flow that `frame` (from the Ethernet header on) belongs to.
    pub(super) fn ordinal_of(&mut self, frame: &[u8]) -> FlowOrdinal {
        let Some(key) = key(frame) else { return FlowOrdinal::OTHER };
        let next = FlowOrdinal(self.ordinals.len() as u32);
        let is_full = self.ordinals.len() >= TRACKED_FLOWS_MAX;
        match self.ordinals.get(&key) {
            Some(&ordinal) => ordinal,
            None if is_full => FlowOrdinal::OTHER,
            None => *self.ordinals.entry(key).or_insert(next),
        }
    }
}

/// The flow of a frame, if it is of a kind that has flows.
pub(super) fn key(frame: &[u8]) -> Option<FlowKey> {
    let ethernet = EthernetPacket::new(frame)?;
    let mut kind = ethernet.get_ethertype();
    let mut rest = ethernet.payload();
    for _ in 0..VLAN_TAGS_MAX {
        if !matches!(kind, EtherTypes::Vlan | EtherTypes::QinQ) {
            break;
        }
        kind = VlanPacket::new(rest)?.get_ethertype();
        rest = rest.get(VlanPacket::minimum_packet_size()..)?;
    }
    ip_key(kind, rest)
}

fn ip_key(kind: EtherType, bytes: &[u8]) -> Option<FlowKey> {
    match kind {
        EtherTypes::Ipv4 => {
            let ip = Ipv4Packet::new(bytes)?;
            let header = usize::from(ip.get_header_length()) * 4;
            // More fragments, or an offset: no ports to be sure of.
            if ip.get_fragment_offset() != 0 || ip.get_flags() & 0b001 != 0 {
                return None;
            }
            let ends = (ip.get_source().into(), ip.get_destination().into());
            transport_key(ip.get_next_level_protocol(), ends, bytes.get(header..)?)
        }
        EtherTypes::Ipv6 => {
            let ip = Ipv6Packet::new(bytes)?;
            let ends = (ip.get_source().into(), ip.get_destination().into());
            let rest = bytes.get(Ipv6Packet::minimum_packet_size()..)?;
            transport_key(ip.get_next_header(), ends, rest)
        }
        _ => None,
    }
}

fn transport_key(
    protocol: IpNextHeaderProtocol,
    (source, destination): (IpAddr, IpAddr),
    bytes: &[u8],
) -> Option<FlowKey> {
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (source_port, destination_port) = match protocol {
        IpNextHeaderProtocols::Tcp
        | IpNextHeaderProtocols::Udp
        | IpNextHeaderProtocols::Sctp
        | IpNextHeaderProtocols::UdpLite => (word(0)?, word(2)?),
        IpNextHeaderProtocols::Icmp => {
            let kind = IcmpPacket::new(bytes)?.get_icmp_type();
            let is_echo = matches!(kind, IcmpTypes::EchoRequest | IcmpTypes::EchoReply);
            is_echo.then(|| word(4).map(|id| (id, id)))??
        }
        IpNextHeaderProtocols::Icmpv6 => {
            let kind = Icmpv6Packet::new(bytes)?.get_icmpv6_type();
            let is_echo = matches!(kind, Icmpv6Types::EchoRequest | Icmpv6Types::EchoReply);
            is_echo.then(|| word(4).map(|id| (id, id)))??
        }
        _ => return None,
    };
    let (one, other) = ((source, source_port), (destination, destination_port));
    Some(FlowKey { protocol: protocol.0, ends: (one.min(other), one.max(other)) })
}
