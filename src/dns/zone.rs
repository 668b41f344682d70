//! A zone in memory: records by name, and the search of RFC 1034 §4.3.2 through them.
//!
//! Zone files are read by the `domain` crate. No DNSSEC, no transfers, no $INCLUDE: this is for
//! tests and learners.

use super::name::Name;
use super::rdtype::RdType;
use domain::base::iana::Class;
use domain::base::name::ToName;
use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, ScannedRecord, Zonefile};
use std::collections::BTreeMap;

/// Most records of a zone.
pub const RECORDS_MAX: usize = 1_000_000;

/// Why text is no zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// A line that is no record; the text has its number.
    #[error("zone text: {0}")]
    Syntax(String),
    /// A file is asked for.
    #[error("zone text: $INCLUDE {0:?} is not supported; put the records into the text")]
    Include(String),
    /// Nothing says where the zone begins.
    #[error("zone text has no SOA record; the first record should be one")]
    NoSoa,
    /// A record of another zone.
    #[error("zone text: {name} is not within {origin}")]
    OutOfZone {
        /// The owner.
        name: String,
        /// Where the zone begins.
        origin: String,
    },
    /// Another class than IN.
    #[error("zone text: {0} has another class than IN")]
    Class(String),
    /// An alias beside other records. RFC 1034 §3.6.2.
    #[error("zone text: {0} has a CNAME and other records")]
    CnameAndOther(String),
    /// More than [`RECORDS_MAX`] records.
    #[error("zone text has more than {RECORDS_MAX} records")]
    TooManyRecords,
}

/// Labels in lower case from the root on, so that a name stands right before what is below it.
type Key = Vec<Box<[u8]>>;

/// The records of one name and type.
#[derive(Debug, Clone, Default)]
pub struct RrSet {
    /// Seconds to keep them.
    pub ttl: u32,
    /// The data of each, names uncompressed.
    pub data: Vec<Vec<u8>>,
}

/// The records of one name.
#[derive(Debug, Clone)]
pub struct Node {
    /// The name as the text wrote it.
    pub name: Name,
    /// Its records by type.
    pub sets: BTreeMap<RdType, RrSet>,
}

/// What the search found.
#[derive(Debug, Clone, Copy)]
pub enum Found<'z> {
    /// The name is not of this zone.
    NotOurs,
    /// Below a delegation: ask the servers of this node.
    Delegated(&'z Node),
    /// Below a DNAME.
    Redirected(&'z Node),
    /// The name itself.
    Node(&'z Node),
    /// The wildcard that stands for it.
    Wildcard(&'z Node),
    /// Nothing here, but names below it: it exists without records.
    Empty,
    /// There is no such name.
    Nothing,
}

/// A zone.
#[derive(Debug, Clone)]
pub struct Zone {
    origin: Name,
    nodes: BTreeMap<Key, Node>,
}

impl Zone {
    /// Reads a zone from its text; `origin` is what relative names are relative to at first.
    ///
    /// # Errors
    /// [`ZoneError`].
    ///
    /// ```
    /// use udpcore::dns::zone::Zone;
    /// let text = "@ 60 IN SOA ns admin 1 2 3 4 5\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n";
    /// let zone = Zone::parse(text, &"example.test".parse().unwrap()).unwrap();
    /// assert_eq!(zone.origin().to_string(), "example.test.");
    /// ```
    pub fn parse(text: &str, origin: &Name) -> Result<Self, ZoneError> {
        let mut file = Zonefile::with_capacity(text.len() + 1);
        file.extend_from_slice(text.as_bytes());
        file.extend_from_slice(b"\n");
        let start = domain::base::Name::from_octets(origin.as_wire().to_vec().into());
        file.set_origin(start.map_err(|error| ZoneError::Syntax(error.to_string()))?);
        file.set_default_class(Class::IN);
        let mut records = Vec::new();
        while let Some(entry) =
            file.next_entry().map_err(|error| ZoneError::Syntax(error.to_string()))?
        {
            match entry {
                Entry::Record(record) => records.push(flat(&record)?),
                Entry::Include { path, .. } => return Err(ZoneError::Include(path.to_string())),
            }
            if records.len() > RECORDS_MAX {
                return Err(ZoneError::TooManyRecords);
            }
        }
        Self::of_records(records)
    }

    fn of_records(records: Vec<Flat>) -> Result<Self, ZoneError> {
        let soa = records.iter().find(|record| record.rdtype == RdType::SOA);
        let origin = soa.ok_or(ZoneError::NoSoa)?.name.clone();
        let top = key_of(&origin);
        let mut nodes: BTreeMap<Key, Node> = BTreeMap::new();
        for record in records {
            let key = key_of(&record.name);
            if !key.starts_with(&top) {
                let (name, origin) = (record.name.to_string(), origin.to_string());
                return Err(ZoneError::OutOfZone { name, origin });
            }
            let new = || Node { name: record.name.clone(), sets: BTreeMap::new() };
            let set = nodes.entry(key).or_insert_with(new).sets.entry(record.rdtype).or_default();
            set.ttl = record.ttl;
            if !set.data.contains(&record.data) {
                set.data.push(record.data);
            }
        }
        for node in nodes.values() {
            let beside =
                |rdtype: &RdType| !matches!(*rdtype, RdType::CNAME | RdType::RRSIG | RdType::NSEC);
            if node.sets.contains_key(&RdType::CNAME) && node.sets.keys().any(beside) {
                return Err(ZoneError::CnameAndOther(node.name.to_string()));
            }
        }
        Ok(Self { origin, nodes })
    }

    /// Where the zone begins.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The records of exactly this name.
    pub fn node(&self, name: &Name) -> Option<&Node> {
        self.nodes.get(&key_of(name))
    }

    /// The node of the origin, which has the SOA.
    pub fn apex(&self) -> Option<&Node> {
        self.node(&self.origin)
    }

    /// Looks for `name`; `rdtype` matters at a delegation, whose DS is on our side.
    pub fn find(&self, name: &Name, rdtype: RdType) -> Found<'_> {
        let (key, top) = (key_of(name), key_of(&self.origin));
        if !key.starts_with(&top) {
            return Found::NotOurs;
        }
        let mut encloser = top.len();
        for len in top.len()..=key.len() {
            if self.exists(&key[..len]) {
                encloser = len;
            }
            let Some(node) = self.nodes.get(&key[..len]) else { continue };
            let below = len < key.len();
            let delegated = len > top.len() && node.sets.contains_key(&RdType::NS);
            // RFC 4035 §3.1.4.1: the parent answers for the DS of its child.
            if delegated && (below || rdtype != RdType::DS) {
                return Found::Delegated(node);
            }
            if below && node.sets.contains_key(&RdType::DNAME) {
                return Found::Redirected(node);
            }
        }
        if let Some(node) = self.nodes.get(&key) {
            return Found::Node(node);
        }
        if encloser == key.len() {
            return Found::Empty;
        }
        // RFC 4592 §3.3.1: the wildcard of the closest encloser, and of no other.
        let mut wildcard = key[..encloser].to_vec();
        wildcard.push(Box::from(&b"*"[..]));
        self.nodes.get(&wildcard).map_or(Found::Nothing, Found::Wildcard)
    }

    /// Whether there is a node of this name or below it.
    fn exists(&self, key: &[Box<[u8]>]) -> bool {
        let range = self.nodes.range(key.to_vec()..);
        range.take(1).any(|(found, _)| found.starts_with(key))
    }
}

struct Flat {
    name: Name,
    rdtype: RdType,
    ttl: u32,
    data: Vec<u8>,
}

fn flat(record: &ScannedRecord) -> Result<Flat, ZoneError> {
    let syntax = |text: &dyn std::fmt::Display| ZoneError::Syntax(text.to_string());
    let mut owner = Vec::new();
    record.owner().compose(&mut owner).map_err(|_| syntax(&"a name is too long"))?;
    let mut reader = super::reader::Reader::new(&owner);
    let name = Name::from(reader.name().map_err(|error| syntax(&error))?);
    if record.class() != Class::IN {
        return Err(ZoneError::Class(name.to_string()));
    }
    let mut data = Vec::new();
    record.data().compose_rdata(&mut data).map_err(|_| syntax(&"record data is too long"))?;
    let rdtype = RdType(record.rtype().to_int());
    Ok(Flat { name, rdtype, ttl: record.ttl().as_secs(), data })
}

fn key_of(name: &Name) -> Key {
    let mut labels: Key =
        name.as_ref().labels().map(|label| label.to_ascii_lowercase().into()).collect();
    labels.reverse();
    labels
}
