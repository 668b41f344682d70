//! An owned domain name: from text (escapes, IDNA) to its uncompressed bytes, and back.
//!
//! RFC 1035 §2.3.4 and §5.1 (limits, escapes), RFC 4343 (case), RFC 5891 through UTS 46 (IDNA).
//! It does not guess: an empty label or an over-long one is an error that says which.

use super::reader::{LABEL_LEN_MAX, NAME_LEN_MAX, NameRef};
use std::fmt;

/// Why text is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The empty string.
    #[error("empty domain name; the root is \".\"")]
    Empty,
    /// Two dots in a row, or a leading dot.
    #[error("empty label in domain name {0:?} (two dots in a row, or one in front)")]
    EmptyLabel(String),
    /// A label of more than 63 octets.
    #[error("label {label:?} has {len} octets, the limit is 63; shorten it")]
    LabelTooLong {
        /// The label as text, cut after 80 characters.
        label: String,
        /// Its length.
        len: usize,
    },
    /// A name of more than 255 octets.
    #[error("domain name takes {0} octets on the wire, the limit is 255; shorten it")]
    NameTooLong(usize),
    /// A backslash that begins no escape.
    #[error("bad escape in domain name {0:?}; write \\. or \\DDD with DDD from 000 to 255")]
    BadEscape(String),
    /// Characters that IDNA does not allow.
    #[error("{0:?} is not an internationalised domain name that IDNA allows")]
    Idna(String),
}

/// A domain name as uncompressed wire bytes, at most 255 octets; keeps its case.
///
/// ```
/// use udpcore::dns::Name;
/// let name: Name = "Café.example".parse().unwrap();
/// assert_eq!(name.to_string(), "xn--caf-dma.example.");
/// assert!("a..b".parse::<Name>().is_err());
/// ```
#[derive(Clone)]
pub struct Name {
    len: u8,
    octets: [u8; NAME_LEN_MAX],
}

impl Name {
    /// The root of the tree, `.`.
    pub fn root() -> Self {
        Self { len: 1, octets: [0; NAME_LEN_MAX] }
    }

    /// The uncompressed bytes, root octet included.
    pub fn as_wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// The same bytes for changes of case in place.
    pub fn as_wire_mut(&mut self) -> &mut [u8] {
        &mut self.octets[..usize::from(self.len)]
    }

    /// The name as a checked reference.
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef::from_plain(self.as_wire())
    }

    /// How many labels, the root not counted.
    pub fn label_count(&self) -> usize {
        self.as_ref().labels().count()
    }

    /// `self` with the labels of `suffix` behind it, `None` when that is longer than 255 octets.
    pub fn join(&self, suffix: &Name) -> Option<Self> {
        let head = &self.as_wire()[..self.as_wire().len() - 1];
        let mut out = Builder::new();
        out.raw(head)?;
        out.raw(suffix.as_wire())?;
        Some(out.name)
    }

    /// The name without its leftmost label, `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(self.octets[0]);
        if first == 0 {
            return None;
        }
        let mut out = Builder::new();
        out.raw(&self.as_wire()[first + 1..])?;
        Some(out.name)
    }

    fn from_ascii(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let mut out = Builder::new();
        let mut label = LabelBuffer { octets: [0; LABEL_LEN_MAX], len: 0 };
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'.' => {
                    out.label(&label, text)?;
                    label.len = 0;
                    at += 1;
                }
                b'\\' => {
                    let (octet, used) = unescape(&bytes[at + 1..])
                        .ok_or_else(|| NameError::BadEscape(shorten(text)))?;
                    label.push(octet);
                    at += 1 + used;
                }
                octet => {
                    label.push(octet);
                    at += 1;
                }
            }
        }
        if label.len > 0 {
            out.label(&label, text)?;
        }
        if out.wanted + 1 > NAME_LEN_MAX {
            return Err(NameError::NameTooLong(out.wanted + 1));
        }
        // The root octet: the buffer is zeroed.
        out.name.len += 1;
        Ok(out.name)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "" => return Err(NameError::Empty),
            "." => return Ok(Self::root()),
            _ => {}
        }
        if text.is_ascii() {
            return Self::from_ascii(text);
        }
        // An escape names an octet, IDNA names characters: one name cannot have both.
        if text.contains('\\') {
            return Err(NameError::BadEscape(shorten(text)));
        }
        let ascii = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::EMPTY)
            .map_err(|_| NameError::Idna(shorten(text)))?;
        if ascii.is_empty() { Err(NameError::Empty) } else { Self::from_ascii(&ascii) }
    }
}

impl From<NameRef<'_>> for Name {
    fn from(name: NameRef<'_>) -> Self {
        let mut out = Self::root();
        let mut at = 0;
        for label in name.labels() {
            // A checked name has at most 255 octets, and 63 in a label.
            out.octets[at] = label.len() as u8;
            out.octets[at + 1..at + 1 + label.len()].copy_from_slice(label);
            at += 1 + label.len();
        }
        out.octets[at] = 0;
        out.len = at as u8 + 1;
        out
    }
}

/// Names are equal without regard to ASCII case. RFC 4343.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        // A length octet is at most 63 and so no letter: the bytes compare as a whole.
        self.as_wire().eq_ignore_ascii_case(other.as_wire())
    }
}

impl Eq for Name {}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(out)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Name({self})")
    }
}

struct Builder {
    name: Name,
    /// Octets asked for so far, which may be more than a name holds.
    wanted: usize,
}

impl Builder {
    fn new() -> Self {
        Self { name: Name { len: 0, octets: [0; NAME_LEN_MAX] }, wanted: 0 }
    }

    fn label(&mut self, label: &LabelBuffer, text: &str) -> Result<(), NameError> {
        if label.len == 0 {
            return Err(NameError::EmptyLabel(shorten(text)));
        }
        if label.len > LABEL_LEN_MAX {
            let shown = String::from_utf8_lossy(&label.octets).into_owned();
            return Err(NameError::LabelTooLong { label: shown + "…", len: label.len });
        }
        self.wanted += 1 + label.len;
        if self.wanted < NAME_LEN_MAX {
            let at = usize::from(self.name.len);
            self.name.octets[at] = label.len as u8;
            self.name.octets[at + 1..at + 1 + label.len]
                .copy_from_slice(&label.octets[..label.len]);
            self.name.len = self.wanted as u8;
        }
        Ok(())
    }

    fn raw(&mut self, bytes: &[u8]) -> Option<()> {
        let at = usize::from(self.name.len);
        self.name.octets.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        self.name.len = (at + bytes.len()) as u8;
        Some(())
    }
}

/// Keeps the first 63 octets of a label and counts them all.
struct LabelBuffer {
    octets: [u8; LABEL_LEN_MAX],
    len: usize,
}

impl LabelBuffer {
    fn push(&mut self, octet: u8) {
        if let Some(place) = self.octets.get_mut(self.len) {
            *place = octet;
        }
        self.len += 1;
    }
}

/// What follows a backslash: `DDD` or one character. RFC 1035 §5.1.
pub(super) fn unescape(after: &[u8]) -> Option<(u8, usize)> {
    let first = *after.first()?;
    if !first.is_ascii_digit() {
        return Some((first, 1));
    }
    let digits = after.get(..3)?;
    let mut value = 0u16;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u16::from(digit - b'0');
    }
    Some((u8::try_from(value).ok()?, 3))
}

fn shorten(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
