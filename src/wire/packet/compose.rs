//! Puts a packet together and fills in what follows from the rest.
//!
//! Lengths, header lengths, the next protocol's number and checksums are computed unless a value
//! is given: a wrong one can be sent on purpose.

use super::checksum;
use super::dissect::Layer;
use super::fields;
use super::tables::Protocol;

/// Why a packet cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// The header has no such field.
    #[error("{protocol} has no field {name:?}; it has {known}")]
    UnknownField {
        /// The protocol's name.
        protocol: &'static str,
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The value needs more bits than the field has.
    #[error("{protocol}.{name} = {value} does not fit {bits} bits")]
    TooLarge {
        /// The protocol's name.
        protocol: &'static str,
        /// The field's name.
        name: String,
        /// The value that was given.
        value: u128,
        /// The bits the field has.
        bits: u32,
    },
    /// Options must be whole 32-bit words, at most ten.
    #[error("{protocol}: options of {length} bytes: a multiple of 4, at most 40")]
    Options {
        /// The protocol's name.
        protocol: &'static str,
        /// The length that was given.
        length: usize,
    },
    /// More than the length field of the header can say.
    #[error("{0}: the packet is longer than 65535 bytes")]
    TooLong(&'static str),
}

/// One header to be composed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSpec {
    /// Whose header it is.
    pub protocol: Protocol,
    /// Values that are given; the others are defaults or computed.
    pub values: Vec<(String, u128)>,
    /// Bytes after the fixed fields.
    pub options: Vec<u8>,
}

/// Compose the packet of these headers, outermost first, around `payload`.
pub fn compose(specs: &[LayerSpec], payload: &[u8]) -> Result<Vec<u8>, ComposeError> {
    let mut layers = Vec::with_capacity(specs.len());
    // From the inside out: a header needs to know how long its inside is.
    let mut inside = payload.len();
    for (index, spec) in specs.iter().enumerate().rev() {
        let next = specs.get(index + 1).map(|spec| spec.protocol);
        let layer = header(spec, next, inside)?;
        inside += layer.bytes.len();
        layers.insert(0, layer);
    }
    // Then the checksums, which cover the inside and the addresses of the outside.
    let mut packet = payload.to_vec();
    for index in (0..layers.len()).rev() {
        let (outer, layer) = layers.split_at_mut(index);
        let layer = &mut layer[0];
        let given = specs[index].values.iter().any(|(name, _)| name == "checksum");
        let ip = outer.iter().rev();
        let ip = ip.into_iter().find(|l| matches!(l.protocol, Protocol::Ipv4 | Protocol::Ipv6));
        if !given && let Some(sum) = checksum::expected(layer.protocol, ip, &layer.bytes, &packet) {
            let at = checksum::offset_of(layer.protocol);
            layer.bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        packet.splice(..0, layer.bytes.iter().copied());
    }
    Ok(packet)
}

fn header(spec: &LayerSpec, next: Option<Protocol>, inside: usize) -> Result<Layer, ComposeError> {
    let protocol = spec.protocol;
    let table = protocol.specs();
    let options = spec.options.len();
    let may_have_options = matches!(protocol, Protocol::Ipv4 | Protocol::Tcp);
    if !options.is_multiple_of(4) || options > if may_have_options { 40 } else { 0 } {
        return Err(ComposeError::Options { protocol: protocol.name(), length: options });
    }
    for (name, value) in &spec.values {
        let known = || table.iter().map(|field| field.name).collect::<Vec<_>>().join(", ");
        let field = table.iter().find(|field| field.name == name).ok_or_else(|| {
            ComposeError::UnknownField {
                protocol: protocol.name(),
                name: name.clone(),
                known: known(),
            }
        })?;
        if field.bits < 128 && *value >> field.bits != 0 {
            return Err(ComposeError::TooLarge {
                protocol: protocol.name(),
                name: name.clone(),
                value: *value,
                bits: field.bits,
            });
        }
    }
    let length = fields::bytes_of(table) + options;
    let values: Vec<u128> = table
        .iter()
        .map(|field| {
            let given = spec.values.iter().find(|(name, _)| name == field.name);
            let computed = || default_value(protocol, field.name, next, length, inside);
            given.map_or_else(computed, |(_, value)| *value)
        })
        .collect();
    let fits = table.iter().zip(&values).all(|(f, v)| f.bits >= 128 || v >> f.bits == 0);
    if !fits {
        return Err(ComposeError::TooLong(protocol.name()));
    }
    let mut bytes = fields::write(table, &values);
    bytes.extend(&spec.options);
    let fields = fields::read(table, &bytes);
    Ok(Layer { protocol, offset: 0, fields, bytes, checksum: None })
}

fn default_value(
    protocol: Protocol,
    name: &str,
    next: Option<Protocol>,
    header: usize,
    inside: usize,
) -> u128 {
    if protocol.next_field() == Some(name) {
        // 59 is "no next header" (RFC 8200 §4.7), 253 is for experiments (RFC 3692).
        let nothing = if protocol == Protocol::Ipv6 { 59 } else { 253 };
        return next.and_then(|next| next.number_in(protocol)).unwrap_or(nothing);
    }
    match (protocol, name) {
        (Protocol::Ipv4, "version") => 4,
        (Protocol::Ipv6, "version") => 6,
        (Protocol::Ipv4, "ihl") | (Protocol::Tcp, "data_offset") => header as u128 / 4,
        (Protocol::Ipv4, "total_length") | (Protocol::Udp, "length") => (header + inside) as u128,
        (Protocol::Ipv6, "payload_length") => inside as u128,
        (Protocol::Ipv4, "ttl") | (Protocol::Ipv6, "hop_limit") => 64,
        (Protocol::Tcp, "window") => 65_535,
        (Protocol::Icmp, "type") => 8,
        (Protocol::Icmpv6, "type") => 128,
        (Protocol::Arp, "hardware_type" | "operation") => 1,
        (Protocol::Arp, "protocol_type") => 0x0800,
        (Protocol::Arp, "hardware_length") => 6,
        (Protocol::Arp, "protocol_length") => 4,
        _ => 0,
    }
}
