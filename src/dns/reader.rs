//! A checked walk over the bytes of a message: numbers, slices and compressed names.
//!
//! It never copies and never allocates; every refusal says what and at which byte. RFC 1035 §4.
//!
//! Rules of this file: a compression pointer must point before the labels that led to it, and
//! at most [`POINTERS_MAX`] are followed, so every walk ends.

use std::fmt;

/// Longest name on the wire, with length octets and the root. RFC 1035 §2.3.4.
pub const NAME_LEN_MAX: usize = 255;
/// Longest label. RFC 1035 §2.3.4.
pub const LABEL_LEN_MAX: usize = 63;
/// A name has at most 127 labels, and a pointer leads to at least one: more is an attack.
pub const POINTERS_MAX: usize = 127;

/// Why bytes are not a DNS message, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed DNS message at byte {offset}: {fault}")]
pub struct ParseError {
    /// Offset from the first byte of the message.
    pub offset: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What can be wrong with the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end inside a value.
    #[error("{what} needs {need} bytes, {have} left")]
    Truncated {
        /// The value that was being read.
        what: &'static str,
        /// Bytes it needs.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// A label type other than 00 (length) and 11 (pointer).
    #[error("label octet {0:#04x} is neither a length of at most 63 nor a pointer")]
    LabelType(u8),
    /// A pointer to itself or to later bytes.
    #[error("compression pointer to byte {0}, which is not before it")]
    PointerForward(usize),
    /// More than [`POINTERS_MAX`] pointers in one name.
    #[error("more than {POINTERS_MAX} compression pointers in one name")]
    PointerChain,
    /// A name of more than [`NAME_LEN_MAX`] octets.
    #[error("name is longer than {NAME_LEN_MAX} octets")]
    NameTooLong,
    /// The record data is longer than its type allows.
    #[error("{0} octets left over in the record data")]
    RdataLeftOver(usize),
    /// A type bitmap that RFC 4034 §4.1.2 does not allow.
    #[error("type bitmap window with {0} octets (1 to 32 allowed, windows in rising order)")]
    TypeBitmap(u8),
    /// SvcParams out of order. RFC 9460 §2.2.
    #[error("service parameter key {0} is not in strictly rising order")]
    ParamOrder(u16),
    /// A second OPT record, or one outside the additional section. RFC 6891 §6.1.1.
    #[error("misplaced or repeated OPT record")]
    MisplacedOpt,
    /// Bytes after the last record that the header counts.
    #[error("{0} bytes after the last record")]
    TrailingBytes(usize),
    /// A message longer than the 65,535 octets that a 16-bit length can tell.
    #[error("message of {0} bytes, the limit is 65535")]
    MessageTooLong(usize),
}

/// Shorthand of this floor.
pub type Result<T> = std::result::Result<T, ParseError>;

/// Reads values one after another from `wire[at..end]`; pointers may lead anywhere before.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'w> {
    wire: &'w [u8],
    at: usize,
    end: usize,
}

impl<'w> Reader<'w> {
    /// A reader of the whole message.
    pub fn new(wire: &'w [u8]) -> Self {
        Self { wire, at: 0, end: wire.len() }
    }

    /// A reader of `wire[at..end]`. Ends beyond the message are cut to it.
    pub fn window(wire: &'w [u8], at: usize, end: usize) -> Self {
        let end = end.min(wire.len());
        Self { wire, at: at.min(end), end }
    }

    /// Offset of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.end - self.at
    }

    /// The next `need` bytes.
    pub fn take(&mut self, need: usize, what: &'static str) -> Result<&'w [u8]> {
        let have = self.left();
        if need > have {
            return Err(self.fault(Fault::Truncated { what, need, have }));
        }
        let slice = &self.wire[self.at..self.at + need];
        self.at += need;
        Ok(slice)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'w [u8] {
        let slice = &self.wire[self.at..self.end];
        self.at = self.end;
        slice
    }

    /// One octet.
    pub fn u8(&mut self, what: &'static str) -> Result<u8> {
        Ok(self.take(1, what)?[0])
    }

    /// A 16-bit number, network order.
    pub fn u16(&mut self, what: &'static str) -> Result<u16> {
        let b = self.take(2, what)?;
        Ok(u16::from_be_bytes([b[0], b[1]]))
    }

    /// A 32-bit number, network order.
    pub fn u32(&mut self, what: &'static str) -> Result<u32> {
        let b = self.take(4, what)?;
        Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// A slice that begins with its own length in one octet.
    pub fn counted(&mut self, what: &'static str) -> Result<&'w [u8]> {
        let len = self.u8(what)?;
        self.take(usize::from(len), what)
    }

    /// A name, checked to its root through all its pointers.
    pub fn name(&mut self) -> Result<NameRef<'w>> {
        let start = self.at;
        let mut cursor = self.at;
        // Labels in the record itself must end before `end`; what a pointer leads to may lie
        // anywhere before the pointer.
        let mut limit = self.end;
        let mut run_start = start;
        let (mut len, mut pointers) = (0usize, 0usize);
        loop {
            let octet = self.octet(cursor, limit)?;
            match octet >> 6 {
                0 => {
                    len += 1 + usize::from(octet);
                    if len > NAME_LEN_MAX {
                        return Err(ParseError { offset: cursor, fault: Fault::NameTooLong });
                    }
                    let next = cursor + 1 + usize::from(octet);
                    if next > limit {
                        let have = limit - cursor - 1;
                        let need = usize::from(octet);
                        let fault = Fault::Truncated { what: "label", need, have };
                        return Err(ParseError { offset: cursor + 1, fault });
                    }
                    cursor = next;
                    if octet == 0 {
                        break;
                    }
                }
                3 => {
                    let low = self.octet(cursor + 1, limit)?;
                    let target = usize::from(octet & 0x3f) << 8 | usize::from(low);
                    // RFC 1035 §4.1.4: a pointer leads to a prior occurrence.
                    if target >= run_start {
                        let fault = Fault::PointerForward(target);
                        return Err(ParseError { offset: cursor, fault });
                    }
                    pointers += 1;
                    if pointers == 1 {
                        self.at = cursor + 2;
                    } else if pointers > POINTERS_MAX {
                        return Err(ParseError { offset: cursor, fault: Fault::PointerChain });
                    }
                    (cursor, run_start, limit) = (target, target, run_start);
                }
                _ => return Err(ParseError { offset: cursor, fault: Fault::LabelType(octet) }),
            }
        }
        if pointers == 0 {
            self.at = cursor;
        }
        Ok(NameRef { wire: self.wire, at: start, len, plain: pointers == 0 })
    }

    /// A fault at the next byte.
    pub fn fault(&self, fault: Fault) -> ParseError {
        ParseError { offset: self.at, fault }
    }

    fn octet(&self, at: usize, limit: usize) -> Result<u8> {
        if at >= limit {
            let fault = Fault::Truncated { what: "name", need: 1, have: 0 };
            return Err(ParseError { offset: at.min(self.wire.len()), fault });
        }
        Ok(self.wire[at])
    }
}

/// A checked name where it lies in a message, maybe compressed.
#[derive(Clone, Copy)]
pub struct NameRef<'w> {
    wire: &'w [u8],
    at: usize,
    len: usize,
    plain: bool,
}

impl<'w> NameRef<'w> {
    /// A name over its own uncompressed bytes.
    pub(super) fn from_plain(wire: &'w [u8]) -> Self {
        Self { wire, at: 0, len: wire.len(), plain: true }
    }

    /// Octets of the uncompressed name.
    pub fn wire_len(&self) -> usize {
        self.len
    }

    /// The labels from left to right, without the root.
    pub fn labels(&self) -> Labels<'w> {
        Labels { wire: self.wire, at: self.at }
    }

    /// Appends the uncompressed bytes.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        if self.plain {
            out.extend_from_slice(&self.wire[self.at..self.at + self.len]);
            return;
        }
        for label in self.labels() {
            // A label has at most 63 octets, so the cast keeps its length.
            out.push(label.len() as u8);
            out.extend_from_slice(label);
        }
        out.push(0);
    }

    /// Equality as names are compared: without regard to ASCII case. RFC 4343.
    pub fn eq_ignore_case(&self, other: &NameRef<'_>) -> bool {
        self.len == other.len
            && self.labels().zip(other.labels()).all(|(a, b)| a.eq_ignore_ascii_case(b))
    }

    /// Equality of every octet.
    pub fn eq_exact(&self, other: &NameRef<'_>) -> bool {
        self.len == other.len && self.labels().eq(other.labels())
    }
}

impl fmt::Display for NameRef<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::present::write_name(self, out)
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "NameRef({self})")
    }
}

/// The labels of a [`NameRef`].
#[derive(Debug, Clone)]
pub struct Labels<'w> {
    wire: &'w [u8],
    at: usize,
}

impl<'w> Iterator for Labels<'w> {
    type Item = &'w [u8];

    fn next(&mut self) -> Option<&'w [u8]> {
        // The name was checked when its NameRef was made: pointers lead back, and it ends.
        loop {
            let octet = *self.wire.get(self.at)?;
            if octet >= 0xc0 {
                let low = *self.wire.get(self.at + 1)?;
                self.at = usize::from(octet & 0x3f) << 8 | usize::from(low);
                continue;
            }
            if octet == 0 {
                return None;
            }
            let start = self.at + 1;
            self.at = start + usize::from(octet);
            return self.wire.get(start..self.at);
        }
    }
}
