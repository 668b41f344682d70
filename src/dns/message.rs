//! A checked message: its bytes, and where each question and record lies in them.
//!
//! Parsing walks everything once and copies nothing; values are read later, where they lie.
//! RFC 1035 §4, RFC 6891 (EDNS). It does not follow CNAME chains: see `answer`.

use super::header::{HEADER_LEN, Header, Rcode};
use super::name::Name;
use super::rdtype::{Class, RdType};
use super::reader::{Fault, NameRef, ParseError, Reader, Result};
use super::value::{self, Values};

/// The sections that hold records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// Who answers, or the SOA of a negative answer.
    Authority,
    /// What helps: addresses, OPT.
    Additional,
}

#[derive(Debug, Clone, Copy)]
struct QuestionAt {
    name_at: u16,
    rdtype: RdType,
    class: Class,
}

#[derive(Debug, Clone, Copy)]
struct RecordAt {
    name_at: u16,
    data_at: u16,
    data_len: u16,
    rdtype: RdType,
    class: Class,
    ttl: u32,
}

/// A DNS message that was checked from its first byte to its last.
///
/// ```
/// use udpcore::dns::{Message, query::Query};
/// let wire = Query::new("example.com".parse().unwrap(), "A".parse().unwrap()).compose(7);
/// let message = Message::parse(wire).unwrap();
/// assert_eq!(message.header().id, 7);
/// assert_eq!(message.questions().next().unwrap().name.to_string(), "example.com.");
/// ```
#[derive(Debug, Clone)]
pub struct Message {
    wire: Vec<u8>,
    header: Header,
    questions: Vec<QuestionAt>,
    records: Vec<RecordAt>,
    opt: Option<usize>,
}

/// A question of a message.
#[derive(Debug, Clone, Copy)]
pub struct Question<'m> {
    /// The name asked for.
    pub name: NameRef<'m>,
    /// The type asked for.
    pub rdtype: RdType,
    /// The class asked for.
    pub class: Class,
}

/// A record of a message.
#[derive(Debug, Clone, Copy)]
pub struct Record<'m> {
    /// The owner.
    pub name: NameRef<'m>,
    /// The type.
    pub rdtype: RdType,
    /// The class; for OPT the size of UDP datagrams.
    pub class: Class,
    /// Seconds to keep the record; for OPT more flags.
    pub ttl: u32,
    wire: &'m [u8],
    data_at: usize,
    data_len: usize,
}

/// What EDNS says: the OPT record, read. RFC 6891 §6.1.3.
#[derive(Debug, Clone, Copy)]
pub struct Edns<'m> {
    /// Largest UDP datagram the sender takes.
    pub udp_size: u16,
    /// The upper eight bits of the response code.
    pub rcode_high: u8,
    /// 0.
    pub version: u8,
    /// Sixteen flag bits; 0x8000 is DO.
    pub flags: u16,
    /// The options, raw; see [`value::pairs`].
    pub options: &'m [u8],
}

/// The DO bit: DNSSEC records are wanted. RFC 3225.
pub const EDNS_DO: u16 = 0x8000;

impl Message {
    /// Checks `wire` from its first byte to its last.
    ///
    /// # Errors
    /// [`ParseError`] with the byte offset of the first fault.
    pub fn parse(wire: impl Into<Vec<u8>>) -> Result<Self> {
        let wire = wire.into();
        if wire.len() > usize::from(u16::MAX) {
            let fault = Fault::MessageTooLong(wire.len());
            return Err(ParseError { offset: usize::from(u16::MAX), fault });
        }
        let mut reader = Reader::new(&wire);
        let header = Header::parse(&mut reader)?;
        let [qd, an, ns, ar] = header.counts.map(usize::from);
        let total = an + ns + ar;
        // The counts are a claim: a question takes at least 5 octets, a record 11.
        let mut questions = Vec::with_capacity(qd.min(reader.left() / 5));
        for _ in 0..qd {
            questions.push(parse_question(&mut reader)?);
        }
        let mut records: Vec<RecordAt> = Vec::with_capacity(total.min(reader.left() / 11));
        let mut opt = None;
        for index in 0..total {
            let offset = reader.at();
            let record = parse_record(&wire, &mut reader)?;
            if record.rdtype == RdType::OPT {
                // RFC 6891 §6.1.1: at most one, and in the additional section.
                if opt.replace(index).is_some() || index < an + ns {
                    return Err(ParseError { offset, fault: Fault::MisplacedOpt });
                }
            }
            records.push(record);
        }
        match reader.left() {
            0 => Ok(Self { header, questions, records, opt, wire }),
            left => Err(reader.fault(Fault::TrailingBytes(left))),
        }
    }

    /// The bytes as they were parsed.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The response code with the bits from EDNS.
    pub fn rcode(&self) -> Rcode {
        let high = self.edns().map_or(0, |edns| u16::from(edns.rcode_high));
        Rcode(high << 4 | u16::from(self.header.rcode_low))
    }

    /// The questions.
    pub fn questions(&self) -> impl ExactSizeIterator<Item = Question<'_>> {
        self.questions.iter().map(|q| Question {
            name: name_at(&self.wire, q.name_at),
            rdtype: q.rdtype,
            class: q.class,
        })
    }

    /// Where the records of `section` lie among all records.
    pub fn range(&self, section: Section) -> std::ops::Range<usize> {
        let [_, an, ns, ar] = self.header.counts.map(usize::from);
        match section {
            Section::Answer => 0..an,
            Section::Authority => an..an + ns,
            Section::Additional => an + ns..an + ns + ar,
        }
    }

    /// The records of `section`.
    pub fn section(&self, section: Section) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.range(section).map(|index| self.record(index))
    }

    /// The record at `index` among all records of the message.
    ///
    /// # Panics
    /// When there is no such record: take indices from [`Message::range`].
    pub fn record(&self, index: usize) -> Record<'_> {
        let at = self.records[index];
        Record {
            name: name_at(&self.wire, at.name_at),
            rdtype: at.rdtype,
            class: at.class,
            ttl: at.ttl,
            wire: &self.wire,
            data_at: usize::from(at.data_at),
            data_len: usize::from(at.data_len),
        }
    }

    /// What EDNS says, `None` without an OPT record.
    pub fn edns(&self) -> Option<Edns<'_>> {
        self.opt.map(|index| self.record(index).as_edns())
    }
}

impl<'m> Record<'m> {
    /// The data as it lies in the message, names maybe compressed.
    pub fn data(&self) -> &'m [u8] {
        &self.wire[self.data_at..self.data_at + self.data_len]
    }

    /// The fields of the data, `None` when the type or class is opaque here (RFC 3597).
    pub fn values(&self) -> Option<Values<'m>> {
        typed(self.rdtype, self.class, self.data_len)
            .then(|| value::values(self.wire, self.rdtype, self.data_at, self.data_end()))?
    }

    /// The fields of an OPT record. RFC 6891 §6.1.3.
    pub fn as_edns(&self) -> Edns<'m> {
        Edns {
            udp_size: self.class.0,
            rcode_high: (self.ttl >> 24) as u8,
            version: (self.ttl >> 16) as u8,
            flags: self.ttl as u16,
            options: self.data(),
        }
    }

    /// The first field when it is a name: the target of CNAME, NS, PTR, DNAME.
    pub fn target(&self) -> Option<Name> {
        match self.values()?.next()?.1 {
            value::Value::Name(name) => Some(Name::from(name)),
            _ => None,
        }
    }

    fn data_end(&self) -> usize {
        self.data_at + self.data_len
    }
}

/// Whether data of this type and class has fields: addresses are a matter of class IN, and an
/// update message has records without data (RFC 2136 §2.4).
fn typed(rdtype: RdType, class: Class, data_len: usize) -> bool {
    let in_only = matches!(rdtype, RdType::A | RdType::AAAA | RdType::SVCB | RdType::HTTPS);
    (!in_only || class == Class::IN)
        && (data_len > 0 || !matches!(class, Class::ANY | Class::NONE) || rdtype == RdType::OPT)
}

fn parse_question(reader: &mut Reader<'_>) -> Result<QuestionAt> {
    let name_at = reader.at() as u16;
    reader.name()?;
    let rdtype = RdType(reader.u16("type of a question")?);
    let class = Class(reader.u16("class of a question")?);
    Ok(QuestionAt { name_at, rdtype, class })
}

fn parse_record(wire: &[u8], reader: &mut Reader<'_>) -> Result<RecordAt> {
    // The message has at most 65,535 octets, so every offset fits.
    let name_at = reader.at() as u16;
    reader.name()?;
    let rdtype = RdType(reader.u16("type of a record")?);
    let class = Class(reader.u16("class of a record")?);
    let ttl = reader.u32("TTL of a record")?;
    let data_len = reader.u16("length of record data")?;
    let data_at = reader.at();
    reader.take(usize::from(data_len), "record data")?;
    if typed(rdtype, class, usize::from(data_len))
        && let Some(values) = value::values(wire, rdtype, data_at, reader.at())
    {
        values.check()?;
    }
    Ok(RecordAt { name_at, data_at: data_at as u16, data_len, rdtype, class, ttl })
}

/// A name that parsing has already checked.
fn name_at(wire: &[u8], at: u16) -> NameRef<'_> {
    let mut reader = Reader::window(wire, usize::from(at), wire.len());
    reader.name().unwrap_or_else(|_| NameRef::from_plain(&[0]))
}

/// The first question of `wire` and the header, without a look at the records.
///
/// For answers that are cut off in a record: they have TC set and are worth a try over TCP.
pub fn peek(wire: &[u8]) -> Option<(Header, Option<Question<'_>>)> {
    let mut reader = Reader::new(wire);
    let header = Header::parse(&mut reader).ok()?;
    debug_assert_eq!(reader.at(), HEADER_LEN);
    if header.counts[0] == 0 {
        return Some((header, None));
    }
    let name = reader.name().ok()?;
    let rdtype = RdType(reader.u16("type").ok()?);
    let class = Class(reader.u16("class").ok()?);
    Some((header, Some(Question { name, rdtype, class })))
}
