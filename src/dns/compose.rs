//! Values -> bytes: sections in order, names compressed where the RFC allows it.
//!
//! RFC 1035 §4.1.4, RFC 3597 §4. Compression keeps the case of every name: a pointer leads only
//! to the very same octets.

use super::header::{HEADER_LEN, Header};
use super::message::{Message, Record, Section};
use super::rdtype::{Class, RdType};
use super::reader::{NameRef, Reader};
use super::schema::Kind;
use super::value::Value;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

/// A pointer has 14 bits for its target. RFC 1035 §4.1.4.
const POINTER_TARGET_MAX: usize = 0x3fff;

/// Why values do not make a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// More octets than a message may have.
    #[error("message of {0} octets, the limit is 65535; put fewer records into it")]
    MessageTooLong(usize),
    /// More octets than the data of a record may have.
    #[error("record data of {0} octets, the limit is 65535")]
    DataTooLong(usize),
    /// More than 65,535 entries in a section.
    #[error("{0} entries in one section, the limit is 65535")]
    TooManyEntries(usize),
}

/// Writes one message.
#[derive(Debug)]
pub struct Composer {
    out: Vec<u8>,
    /// Hash of a suffix -> where it was written. Only looked up, never walked.
    suffixes: HashMap<u64, u16>,
    counts: [usize; 4],
}

/// Where the length of open record data will be written.
#[derive(Debug)]
#[must_use]
pub struct OpenData(usize);

impl Composer {
    /// Begins a message; the counts of `header` are replaced at the end.
    pub fn new(header: &Header) -> Self {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(&header.compose());
        Self { out, suffixes: HashMap::new(), counts: [0; 4] }
    }

    /// Adds a question.
    pub fn question(&mut self, name: &NameRef<'_>, rdtype: RdType, class: Class) {
        self.name(name, true);
        self.u16(rdtype.0);
        self.u16(class.0);
        self.counts[0] += 1;
    }

    /// Begins a record of `section`; its data follows, then [`Composer::close`].
    pub fn open(
        &mut self,
        section: Section,
        name: &NameRef<'_>,
        rdtype: RdType,
        class: Class,
        ttl: u32,
    ) -> OpenData {
        self.name(name, true);
        self.u16(rdtype.0);
        self.u16(class.0);
        self.bytes(&ttl.to_be_bytes());
        self.counts[1 + section as usize] += 1;
        self.u16(0);
        OpenData(self.out.len())
    }

    /// Ends the data of a record.
    ///
    /// # Errors
    /// [`ComposeError::DataTooLong`].
    pub fn close(&mut self, open: OpenData) -> Result<(), ComposeError> {
        let len = self.out.len() - open.0;
        let counted = u16::try_from(len).map_err(|_| ComposeError::DataTooLong(len))?;
        self.out[open.0 - 2..open.0].copy_from_slice(&counted.to_be_bytes());
        Ok(())
    }

    /// Copies a whole record.
    ///
    /// # Errors
    /// [`ComposeError::DataTooLong`], when names that were compressed no longer fit.
    pub fn record(&mut self, section: Section, record: &Record<'_>) -> Result<(), ComposeError> {
        let open = self.open(section, &record.name, record.rdtype, record.class, record.ttl);
        match record.values() {
            None => self.bytes(record.data()),
            Some(values) => values.for_each(|(field, value)| self.value(field.kind, &value)),
        }
        self.close(open)
    }

    /// Appends one field.
    pub fn value(&mut self, kind: Kind, value: &Value<'_>) {
        match value {
            Value::Int(number) => {
                let octets = number.to_be_bytes();
                let width = match kind {
                    Kind::U8 | Kind::Algorithm => 1,
                    Kind::U16 | Kind::CertType | Kind::Type => 2,
                    _ => 4,
                };
                self.bytes(&octets[4 - width..]);
            }
            Value::Ip4(address) => self.bytes(&address.octets()),
            Value::Ip6(address) => self.bytes(&address.octets()),
            Value::Name(name) => self.name(name, kind == Kind::Name),
            Value::Bytes(bytes) => {
                if matches!(kind, Kind::Text | Kind::Tag | Kind::Salt | Kind::Hash) {
                    // Whoever made the value kept it within 255 octets.
                    self.out.push(bytes.len() as u8);
                }
                self.bytes(bytes);
            }
            Value::Texts(raw) | Value::Types(raw) | Value::Pairs(raw) => self.bytes(raw),
        }
    }

    /// Appends raw octets.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn u16(&mut self, number: u16) {
        self.bytes(&number.to_be_bytes());
    }

    /// How many octets are written.
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// Appends a name, as a pointer to an earlier one where `compress` allows it.
    pub fn name(&mut self, name: &NameRef<'_>, compress: bool) {
        let mut plain = Vec::with_capacity(name.wire_len());
        name.append_to(&mut plain);
        let mut at = 0;
        while plain[at] != 0 {
            let suffix = &plain[at..];
            let mut hasher = DefaultHasher::new();
            hasher.write(suffix);
            let key = hasher.finish();
            let earlier = self.suffixes.get(&key).copied();
            if let Some(target) = earlier.filter(|target| compress && self.holds(*target, suffix)) {
                return self.u16(0xc000 | target);
            }
            if earlier.is_none() && self.out.len() <= POINTER_TARGET_MAX {
                self.suffixes.insert(key, self.out.len() as u16);
            }
            let next = at + 1 + usize::from(plain[at]);
            self.out.extend_from_slice(&plain[at..next]);
            at = next;
        }
        self.out.push(0);
    }

    /// Whether the name written at `target` is `suffix`, octet for octet.
    fn holds(&self, target: u16, suffix: &[u8]) -> bool {
        let mut reader = Reader::window(&self.out, usize::from(target), self.out.len());
        reader.name().is_ok_and(|name| name.eq_exact(&NameRef::from_plain(suffix)))
    }

    /// The message.
    ///
    /// # Errors
    /// [`ComposeError`] when it is too long or a section has too many entries.
    pub fn finish(mut self) -> Result<Vec<u8>, ComposeError> {
        if self.out.len() > usize::from(u16::MAX) {
            return Err(ComposeError::MessageTooLong(self.out.len()));
        }
        for (place, count) in self.out[4..HEADER_LEN].chunks_exact_mut(2).zip(self.counts) {
            let counted = u16::try_from(count).map_err(|_| ComposeError::TooManyEntries(count))?;
            place.copy_from_slice(&counted.to_be_bytes());
        }
        Ok(self.out)
    }
}

/// Composes `message` anew from its values, names compressed.
///
/// # Errors
/// [`ComposeError`]: a sender may compress names that must not be, and without that the message
/// can become too long.
///
/// ```
/// use udpcore::dns::{Message, compose::compose, query::Query};
/// let wire = Query::new("example.com".parse().unwrap(), "MX".parse().unwrap()).compose(1);
/// assert_eq!(compose(&Message::parse(wire.clone()).unwrap()).unwrap(), wire);
/// ```
pub fn compose(message: &Message) -> Result<Vec<u8>, ComposeError> {
    let mut composer = Composer::new(message.header());
    for question in message.questions() {
        composer.question(&question.name, question.rdtype, question.class);
    }
    for section in [Section::Answer, Section::Authority, Section::Additional] {
        message.section(section).try_for_each(|record| composer.record(section, &record))?;
    }
    composer.finish()
}
