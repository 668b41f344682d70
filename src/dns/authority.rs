//! The answer of an authoritative server: a query and a zone in, a response out. Sans-IO.
//!
//! RFC 1034 §4.3.2, RFC 2308 (negative answers), RFC 4592 (wildcards), RFC 6672 (DNAME),
//! RFC 6891 (EDNS). It never answers a response, so two servers cannot keep each other busy.

use super::answer::CHAIN_LEN_MAX;
use super::compose::{ComposeError, Composer};
use super::header::{Flags, Header, Opcode, Rcode};
use super::message::{Message, Section};
use super::name::Name;
use super::query::EDNS_UDP_SIZE;
use super::rdtype::{Class, RdType};
use super::value;
use super::zone::{Found, Node, RrSet, Zone};

/// The smallest datagram every client takes. RFC 1035 §2.3.4.
const UDP_LEN_MIN: u16 = 512;

/// How the query came, which limits the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One datagram; truncated if need be.
    Udp,
    /// A stream.
    Tcp,
}

/// The response to `query`, `None` for what deserves none.
pub fn respond(zone: &Zone, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let message = match Message::parse(query) {
        Ok(message) => message,
        Err(_) => return refuse_unread(query),
    };
    let header = message.header();
    if header.flags.has(Flags::QR) {
        return None;
    }
    let mut reply = Reply::default();
    let bad_version = message.edns().is_some_and(|edns| edns.version > 0);
    if header.opcode.0 != 0 {
        reply.rcode = Rcode::NOTIMP;
    } else if message.questions().len() != 1 {
        reply.rcode = Rcode::FORMERR;
    } else if bad_version {
        reply.rcode = Rcode::BADVERS;
    } else {
        reply.answer(zone, &message);
    }
    let room = match (transport, message.edns()) {
        (Transport::Tcp, _) => u16::MAX,
        (Transport::Udp, None) => UDP_LEN_MIN,
        (Transport::Udp, Some(edns)) => edns.udp_size.clamp(UDP_LEN_MIN, EDNS_UDP_SIZE),
    };
    let whole = reply.compose(&message, true).ok().filter(|w| w.len() <= usize::from(room));
    // RFC 2181 §9: what is truncated is asked for again, so it may as well be empty.
    whole.or_else(|| reply.compose(&message, false).ok())
}

/// FORMERR for a query that has at least a header.
fn refuse_unread(query: &[u8]) -> Option<Vec<u8>> {
    let (header, _) = super::message::peek(query).or_else(|| {
        let mut reader = super::reader::Reader::new(query);
        Header::parse(&mut reader).ok().map(|header| (header, None))
    })?;
    if header.flags.has(Flags::QR) {
        return None;
    }
    let flags = Flags(Flags::QR | header.flags.0 & Flags::RD);
    let rcode_low = Rcode::FORMERR.0 as u8;
    Some(Header { flags, rcode_low, counts: [0; 4], ..header }.compose().to_vec())
}

struct Line<'z> {
    section: Section,
    name: Name,
    rdtype: RdType,
    set: std::borrow::Cow<'z, RrSet>,
}

struct Reply<'z> {
    rcode: Rcode,
    authoritative: bool,
    lines: Vec<Line<'z>>,
}

impl Default for Reply<'_> {
    fn default() -> Self {
        Self { rcode: Rcode::NOERROR, authoritative: false, lines: Vec::new() }
    }
}

impl<'z> Reply<'z> {
    fn answer(&mut self, zone: &'z Zone, message: &Message) {
        let Some(question) = message.questions().next() else { return };
        let transfer = matches!(question.rdtype, RdType::AXFR | RdType::IXFR);
        let mut name = Name::from(question.name);
        if question.class != Class::IN || transfer {
            self.rcode = Rcode::REFUSED;
            return;
        }
        for step in 0..=CHAIN_LEN_MAX {
            match self.step(zone, &name, question.rdtype, step) {
                Some(next) if step < CHAIN_LEN_MAX => name = next,
                _ => break,
            }
        }
        self.add_addresses(zone);
    }

    /// Looks for one name of the chain; gives the next one.
    fn step(&mut self, zone: &'z Zone, name: &Name, rdtype: RdType, step: usize) -> Option<Name> {
        let found = zone.find(name, rdtype);
        if step == 0 {
            self.authoritative = !matches!(found, Found::NotOurs | Found::Delegated(_));
        }
        match found {
            Found::NotOurs if step == 0 => self.rcode = Rcode::REFUSED,
            Found::NotOurs => {}
            Found::Delegated(node) => {
                self.add(Section::Authority, node.name.clone(), node, RdType::NS);
            }
            Found::Redirected(node) => return self.redirect(node, name),
            Found::Empty => self.negative(zone, Rcode::NOERROR),
            Found::Nothing => self.negative(zone, Rcode::NXDOMAIN),
            Found::Node(node) | Found::Wildcard(node) => {
                return self.at_node(zone, node, name, rdtype);
            }
        }
        None
    }

    fn at_node(
        &mut self,
        zone: &'z Zone,
        node: &'z Node,
        name: &Name,
        rdtype: RdType,
    ) -> Option<Name> {
        if rdtype == RdType::ANY {
            let types: Vec<_> = node.sets.keys().copied().collect();
            types.iter().for_each(|each| self.add(Section::Answer, name.clone(), node, *each));
            return None;
        }
        if node.sets.contains_key(&rdtype) {
            self.add(Section::Answer, name.clone(), node, rdtype);
            return None;
        }
        let Some(alias) = node.sets.get(&RdType::CNAME) else {
            self.negative(zone, Rcode::NOERROR);
            return None;
        };
        let target = name_in(alias.data.first()?, 0)?;
        let seen = |line: &Line<'_>| line.rdtype == RdType::CNAME && line.name == *name;
        if self.lines.iter().any(seen) {
            return None;
        }
        self.add(Section::Answer, name.clone(), node, RdType::CNAME);
        Some(target)
    }

    /// RFC 6672 §3.1: the DNAME, and a CNAME made from it.
    fn redirect(&mut self, node: &'z Node, name: &Name) -> Option<Name> {
        self.add(Section::Answer, node.name.clone(), node, RdType::DNAME);
        let set = node.sets.get(&RdType::DNAME)?;
        let target = name_in(set.data.first()?, 0)?;
        let head = name.as_wire().len() - node.name.as_wire().len();
        let octets = [&name.as_wire()[..head], target.as_wire()].concat();
        let Some(next) = name_in(&octets, 0) else {
            // RFC 6672 §2.2: the new name would be too long.
            self.rcode = Rcode(6);
            return None;
        };
        let set = RrSet { ttl: set.ttl, data: vec![next.as_wire().to_vec()] };
        let set = std::borrow::Cow::Owned(set);
        let name = name.clone();
        self.lines.push(Line { section: Section::Answer, name, rdtype: RdType::CNAME, set });
        Some(next)
    }

    /// RFC 2308 §3: the SOA, with the time that the absence may be remembered.
    fn negative(&mut self, zone: &'z Zone, rcode: Rcode) {
        self.rcode = rcode;
        let Some(set) = zone.apex().and_then(|apex| apex.sets.get(&RdType::SOA)) else { return };
        let minimum = set.data.first().and_then(|data| data.last_chunk::<4>());
        let ttl = minimum.map_or(set.ttl, |octets| u32::from_be_bytes(*octets).min(set.ttl));
        let set = std::borrow::Cow::Owned(RrSet { ttl, data: set.data.clone() });
        let name = zone.origin().clone();
        self.lines.push(Line { section: Section::Authority, name, rdtype: RdType::SOA, set });
    }

    /// The addresses of the hosts that the answer names.
    fn add_addresses(&mut self, zone: &'z Zone) {
        let mut hosts: Vec<Name> = Vec::new();
        for line in &self.lines {
            let skip = match line.rdtype {
                RdType::NS => 0,
                RdType::MX => 2,
                RdType::SRV => 6,
                _ => continue,
            };
            hosts.extend(line.set.data.iter().filter_map(|data| name_in(data, skip)));
        }
        for host in hosts {
            let Some(node) = zone.node(&host) else { continue };
            for rdtype in [RdType::A, RdType::AAAA] {
                let known = |line: &Line<'_>| line.rdtype == rdtype && line.name == host;
                if !self.lines.iter().any(known) {
                    self.add(Section::Additional, host.clone(), node, rdtype);
                }
            }
        }
    }

    fn add(&mut self, section: Section, name: Name, node: &'z Node, rdtype: RdType) {
        if let Some(set) = node.sets.get(&rdtype) {
            let set = std::borrow::Cow::Borrowed(set);
            self.lines.push(Line { section, name, rdtype, set });
        }
    }

    fn compose(&self, query: &Message, whole: bool) -> Result<Vec<u8>, ComposeError> {
        let asked = query.header();
        let mut flags = Flags::QR | asked.flags.0 & (Flags::RD | Flags::CD);
        flags |= if self.authoritative { Flags::AA } else { 0 };
        flags |= if whole { 0 } else { Flags::TC };
        let (rcode_low, opcode) = ((self.rcode.0 & 15) as u8, Opcode(asked.opcode.0));
        let header =
            Header { id: asked.id, flags: Flags(flags), opcode, rcode_low, counts: [0; 4] };
        let mut composer = Composer::new(&header);
        for question in query.questions() {
            composer.question(&question.name, question.rdtype, question.class);
        }
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            for line in self.lines.iter().filter(|line| whole && line.section == section) {
                compose_line(&mut composer, line)?;
            }
        }
        if query.edns().is_some() {
            let high = u32::from(self.rcode.0 >> 4) << 24;
            let (root, size) = (Name::root(), Class(EDNS_UDP_SIZE));
            let section = Section::Additional;
            let open = composer.open(section, &root.as_ref(), RdType::OPT, size, high);
            composer.close(open)?;
        }
        composer.finish()
    }
}

fn compose_line(composer: &mut Composer, line: &Line<'_>) -> Result<(), ComposeError> {
    for data in &line.set.data {
        let name = line.name.as_ref();
        let open = composer.open(line.section, &name, line.rdtype, Class::IN, line.set.ttl);
        match value::values(data, line.rdtype, 0, data.len()) {
            None => composer.bytes(data),
            Some(values) => values.for_each(|(field, value)| composer.value(field.kind, &value)),
        }
        composer.close(open)?;
    }
    Ok(())
}

/// The uncompressed name that begins at `at`.
fn name_in(data: &[u8], at: usize) -> Option<Name> {
    let mut reader = super::reader::Reader::window(data, at, data.len());
    reader.name().ok().map(Name::from)
}
