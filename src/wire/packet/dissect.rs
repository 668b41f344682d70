//! Takes a packet apart, from the outermost header to the payload.
//!
//! It stops where a header is cut short or unknown and leaves the rest as payload; nothing makes
//! it fail. IPv6 extension headers are left in the payload.

use super::checksum::{self, Checksum};
use super::fields::{self, Field};
use super::tables::Protocol;

/// One header of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Whose header it is.
    pub protocol: Protocol,
    /// Where in the packet it begins.
    pub offset: usize,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Its bytes, options included.
    pub bytes: Vec<u8>,
    /// Whether its checksum is right; `None` when it has none.
    pub checksum: Option<Checksum>,
}

impl Layer {
    /// The value of a field, when the header has it.
    pub fn value(&self, name: &str) -> Option<u128> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.value)
    }

    /// What follows the fixed fields.
    pub fn options(&self) -> &[u8] {
        self.bytes.get(fields::bytes_of(self.protocol.specs())..).unwrap_or_default()
    }
}

/// A packet taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Its headers, outermost first.
    pub layers: Vec<Layer>,
    /// What no header describes.
    pub payload: Vec<u8>,
    /// Why the rest was not taken apart, when there is a reason.
    pub note: Option<String>,
}

/// Take `bytes` apart, beginning with the header of `first`.
pub fn dissect(bytes: &[u8], first: Protocol) -> Packet {
    let mut packet = Packet { layers: Vec::new(), payload: Vec::new(), note: None };
    let (mut at, mut end) = (0, bytes.len());
    let mut next = Some(first);
    // The data was cut short by a capture, or lies in another fragment.
    let mut complete = true;
    while let Some(protocol) = next.filter(|_| packet.layers.len() < LAYERS_MAX) {
        let rest = &bytes[at..end];
        let header = match header_bytes(protocol, rest) {
            Ok(header) => header,
            Err(note) => {
                packet.note = Some(note);
                break;
            }
        };
        let layer = Layer {
            protocol,
            offset: at,
            fields: fields::read(protocol.specs(), rest),
            bytes: rest[..header].to_vec(),
            checksum: None,
        };
        at += header;
        if let Some(body) = body_bytes(&layer) {
            complete &= at + body <= end;
            end = end.min(at + body);
        }
        let is_fragment = |name| layer.value(name).unwrap_or_default() != 0;
        complete &= !is_fragment("more_fragments") && !is_fragment("fragment_offset");
        next = following(&layer).filter(|_| !is_fragment("fragment_offset"));
        let ip = packet.layers.iter().rev();
        let ip = ip.into_iter().find(|l| matches!(l.protocol, Protocol::Ipv4 | Protocol::Ipv6));
        let checksum = checksum::check(&layer, ip, &bytes[at..end], complete);
        packet.layers.push(Layer { checksum, ..layer });
    }
    packet.payload = bytes[at..end].to_vec();
    packet
}

/// How long the header is, options included.
fn header_bytes(protocol: Protocol, rest: &[u8]) -> Result<usize, String> {
    let fixed = fields::bytes_of(protocol.specs());
    let name = protocol.name();
    if rest.len() < fixed {
        return Err(format!("{name}: {} bytes, a header has {fixed}", rest.len()));
    }
    let length = match protocol {
        Protocol::Ipv4 if rest[0] >> 4 != 4 => return Err(format!("{name}: not version 4")),
        Protocol::Ipv6 if rest[0] >> 4 != 6 => return Err(format!("{name}: not version 6")),
        Protocol::Ipv4 => usize::from(rest[0] & 0x0F) * 4,
        Protocol::Tcp => usize::from(rest[12] >> 4) * 4,
        _ => fixed,
    };
    if length < fixed || length > rest.len() {
        return Err(format!("{name}: a header of {length} bytes in {}", rest.len()));
    }
    Ok(length)
}

/// How much the header says follows it; Ethernet pads short frames.
fn body_bytes(layer: &Layer) -> Option<usize> {
    let header = layer.bytes.len();
    match layer.protocol {
        // 0 is what a kernel with segmentation offload shows to a capture.
        Protocol::Ipv4 => layer
            .value("total_length")
            .filter(|n| *n != 0)
            .map(|n| (n as usize).saturating_sub(header)),
        Protocol::Ipv6 => layer.value("payload_length").filter(|n| *n != 0).map(|n| n as usize),
        Protocol::Udp => {
            layer.value("length").filter(|n| *n != 0).map(|n| (n as usize).saturating_sub(header))
        }
        Protocol::Arp => Some(0),
        _ => None,
    }
}

fn following(layer: &Layer) -> Option<Protocol> {
    let number = layer.value(layer.protocol.next_field()?)?;
    Protocol::ALL.into_iter().find(|next| next.number_in(layer.protocol) == Some(number))
}

const LAYERS_MAX: usize = 16;
