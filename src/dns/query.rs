//! The query: one question, and OPT when EDNS is on.
//!
//! RFC 1035 §4.1.2, RFC 6891 §6.1, RFC 3225 (DO).

use super::header::{Flags, HEADER_LEN, Header, Opcode};
use super::message::EDNS_DO;
use super::name::Name;
use super::rdtype::{Class, RdType};

/// The size of UDP datagrams that passes nearly everywhere unfragmented (DNS Flag Day 2020).
pub const EDNS_UDP_SIZE: u16 = 1232;

/// What a query asks.
///
/// ```
/// use udpcore::dns::query::Query;
/// let mut query = Query::new("example.com".parse().unwrap(), "AAAA".parse().unwrap());
/// query.edns = None;
/// assert_eq!(query.compose(0x1234).len(), 12 + 13 + 4);
/// ```
#[derive(Debug, Clone)]
pub struct Query {
    /// The name.
    pub name: Name,
    /// The type.
    pub rdtype: RdType,
    /// The class.
    pub class: Class,
    /// Largest UDP answer we take, in octets; `None` sends no EDNS at all.
    pub edns: Option<u16>,
    /// Ask for DNSSEC records; needs `edns`.
    pub dnssec_ok: bool,
    /// Ask the server to resolve on our behalf.
    pub recursion_desired: bool,
    /// Checking disabled: also answers that fail DNSSEC validation are wanted.
    pub checking_disabled: bool,
    /// EDNS options, code and data.
    pub options: Vec<(u16, Vec<u8>)>,
}

impl Query {
    /// A recursive query in class IN with EDNS at [`EDNS_UDP_SIZE`].
    pub fn new(name: Name, rdtype: RdType) -> Self {
        Self {
            name,
            rdtype,
            class: Class::IN,
            edns: Some(EDNS_UDP_SIZE),
            dnssec_ok: false,
            recursion_desired: true,
            checking_disabled: false,
            options: Vec::new(),
        }
    }

    /// The wire bytes with message id `id`.
    pub fn compose(&self, id: u16) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN + self.name.as_wire().len() + 32);
        self.compose_into(id, &mut out);
        out
    }

    /// Appends the wire bytes to `out`.
    pub fn compose_into(&self, id: u16, out: &mut Vec<u8>) {
        let mut flags = 0;
        if self.recursion_desired {
            flags |= Flags::RD;
        }
        if self.checking_disabled {
            flags |= Flags::CD;
        }
        let counts = [1, 0, 0, u16::from(self.edns.is_some())];
        let header = Header { id, flags: Flags(flags), opcode: Opcode(0), rcode_low: 0, counts };
        out.extend_from_slice(&header.compose());
        out.extend_from_slice(self.name.as_wire());
        out.extend_from_slice(&self.rdtype.0.to_be_bytes());
        out.extend_from_slice(&self.class.0.to_be_bytes());
        if let Some(udp_size) = self.edns {
            self.compose_opt(udp_size, out);
        }
    }

    /// RFC 6891 §6.1.2: the root, type 41, the size as class, flags as TTL, options as data.
    fn compose_opt(&self, udp_size: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0, 41]);
        out.extend_from_slice(&udp_size.to_be_bytes());
        let flags = if self.dnssec_ok { EDNS_DO } else { 0 };
        out.extend_from_slice(&u32::from(flags).to_be_bytes());
        let len: usize = self.options.iter().map(|(_, data)| 4 + data.len()).sum();
        debug_assert!(len <= usize::from(u16::MAX));
        out.extend_from_slice(&(len as u16).to_be_bytes());
        for (code, data) in &self.options {
            out.extend_from_slice(&code.to_be_bytes());
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        }
    }
}
