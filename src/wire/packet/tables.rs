//! The headers, field by field, as their RFCs draw them.
//!
//! RFC 768 (UDP), 791 (IPv4), 792 (ICMP), 826 (ARP), 4443 (ICMPv6), 8200 (IPv6), 9293 (TCP),
//! IEEE 802.3 and 802.1Q. Options follow their header as bytes.

use super::fields::{FieldSpec, Format};

/// A protocol whose header is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocols' own")]
pub enum Protocol {
    Ethernet,
    Vlan,
    Arp,
    Ipv4,
    Ipv6,
    Udp,
    Tcp,
    Icmp,
    Icmpv6,
}

impl Protocol {
    /// Every protocol, outermost first.
    pub const ALL: [Self; 9] = [
        Self::Ethernet,
        Self::Vlan,
        Self::Arp,
        Self::Ipv4,
        Self::Ipv6,
        Self::Udp,
        Self::Tcp,
        Self::Icmp,
        Self::Icmpv6,
    ];

    /// The name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet",
            Self::Vlan => "vlan",
            Self::Arp => "arp",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
        }
    }

    /// Where the header is drawn.
    pub fn source(self) -> &'static str {
        match self {
            Self::Ethernet => "IEEE 802.3",
            Self::Vlan => "IEEE 802.1Q",
            Self::Arp => "RFC 826",
            Self::Ipv4 => "RFC 791",
            Self::Ipv6 => "RFC 8200",
            Self::Udp => "RFC 768",
            Self::Tcp => "RFC 9293",
            Self::Icmp => "RFC 792",
            Self::Icmpv6 => "RFC 4443",
        }
    }

    pub(super) fn specs(self) -> &'static [FieldSpec] {
        match self {
            Self::Ethernet => ETHERNET,
            Self::Vlan => VLAN,
            Self::Arp => ARP,
            Self::Ipv4 => IPV4,
            Self::Ipv6 => IPV6,
            Self::Udp => UDP,
            Self::Tcp => TCP,
            Self::Icmp | Self::Icmpv6 => ICMP,
        }
    }

    /// The number by which the protocol is named in the header of `outer`.
    pub(super) fn number_in(self, outer: Self) -> Option<u128> {
        let number = match (outer, self) {
            (Self::Ethernet | Self::Vlan, Self::Ipv4) => 0x0800,
            (Self::Ethernet | Self::Vlan, Self::Arp) => 0x0806,
            (Self::Ethernet | Self::Vlan, Self::Vlan) => 0x8100,
            (Self::Ethernet | Self::Vlan, Self::Ipv6) => 0x86DD,
            (Self::Ipv4, Self::Icmp) => 1,
            (Self::Ipv4 | Self::Ipv6, Self::Tcp) => 6,
            (Self::Ipv4 | Self::Ipv6, Self::Udp) => 17,
            (Self::Ipv6, Self::Icmpv6) => 58,
            _ => return None,
        };
        Some(number)
    }

    /// The field that names the next protocol.
    pub(super) fn next_field(self) -> Option<&'static str> {
        match self {
            Self::Ethernet | Self::Vlan => Some("type"),
            Self::Ipv4 => Some("protocol"),
            Self::Ipv6 => Some("next_header"),
            _ => None,
        }
    }
}

const fn field(name: &'static str, bits: u32) -> FieldSpec {
    FieldSpec { name, bits, format: Format::Decimal }
}

const fn hex(name: &'static str, bits: u32) -> FieldSpec {
    FieldSpec { name, bits, format: Format::Hex }
}

const fn mac(name: &'static str) -> FieldSpec {
    FieldSpec { name, bits: 48, format: Format::Mac }
}

const fn ipv4(name: &'static str) -> FieldSpec {
    FieldSpec { name, bits: 32, format: Format::Ipv4 }
}

const fn ipv6(name: &'static str) -> FieldSpec {
    FieldSpec { name, bits: 128, format: Format::Ipv6 }
}

const ETHERNET: &[FieldSpec] = &[mac("destination"), mac("source"), hex("type", 16)];

const VLAN: &[FieldSpec] =
    &[field("priority", 3), field("drop_eligible", 1), field("vlan", 12), hex("type", 16)];

const ARP: &[FieldSpec] = &[
    field("hardware_type", 16),
    hex("protocol_type", 16),
    field("hardware_length", 8),
    field("protocol_length", 8),
    field("operation", 16),
    mac("sender_hardware"),
    ipv4("sender_protocol"),
    mac("target_hardware"),
    ipv4("target_protocol"),
];

const IPV4: &[FieldSpec] = &[
    field("version", 4),
    field("ihl", 4),
    field("dscp", 6),
    field("ecn", 2),
    field("total_length", 16),
    field("identification", 16),
    field("reserved", 1),
    field("dont_fragment", 1),
    field("more_fragments", 1),
    field("fragment_offset", 13),
    field("ttl", 8),
    field("protocol", 8),
    hex("checksum", 16),
    ipv4("source"),
    ipv4("destination"),
];

const IPV6: &[FieldSpec] = &[
    field("version", 4),
    field("dscp", 6),
    field("ecn", 2),
    field("flow_label", 20),
    field("payload_length", 16),
    field("next_header", 8),
    field("hop_limit", 8),
    ipv6("source"),
    ipv6("destination"),
];

const UDP: &[FieldSpec] = &[
    field("source_port", 16),
    field("destination_port", 16),
    field("length", 16),
    hex("checksum", 16),
];

const TCP: &[FieldSpec] = &[
    field("source_port", 16),
    field("destination_port", 16),
    field("sequence", 32),
    field("acknowledgment", 32),
    field("data_offset", 4),
    field("reserved", 4),
    field("cwr", 1),
    field("ece", 1),
    field("urg", 1),
    field("ack", 1),
    field("psh", 1),
    field("rst", 1),
    field("syn", 1),
    field("fin", 1),
    field("window", 16),
    hex("checksum", 16),
    field("urgent_pointer", 16),
];

/// The four bytes after the checksum depend on the type: identifier and sequence of an echo.
const ICMP: &[FieldSpec] = &[
    field("type", 8),
    field("code", 8),
    hex("checksum", 16),
    field("identifier", 16),
    field("sequence", 16),
];
