//! Capture files: pcap (both byte orders, micro- and nanoseconds) and pcapng.
//!
//! Reads a whole file from memory. Blocks of pcapng that hold no packet are stepped over; a
//! comment on a packet is kept. Writing captures belongs to the emulator.

/// Why bytes are no capture. Offsets count from the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// Neither pcap nor pcapng.
    #[error("not a capture: magic number {0:#010x} at offset 0")]
    Magic(u32),
    /// A record or block runs past the end, or is too short to be one.
    #[error("capture: the record at offset {0} is cut short")]
    Truncated(usize),
    /// A record longer than any packet.
    #[error("capture: the record at offset {offset} has {length} bytes, at most {SNAP_BYTES_MAX}")]
    TooLong {
        /// Where the record begins.
        offset: usize,
        /// What it claims.
        length: usize,
    },
}

/// One captured packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds since 1970; `None` when the file does not say.
    pub time_ns: Option<u64>,
    /// The kind of link (tcpdump.org's list): 1 is Ethernet, 101 raw IP.
    pub link: u16,
    /// Bytes the packet had on the wire.
    pub length: usize,
    /// Bytes that were captured.
    pub data: Vec<u8>,
    /// What somebody wrote beside it.
    pub comment: Option<String>,
}

/// Read all packets of a capture; also says why it stopped, when the end is damaged.
pub fn read(bytes: &[u8]) -> Result<(Vec<Record>, Option<CaptureError>), CaptureError> {
    let magic = bytes.first_chunk().copied().map(u32::from_be_bytes).unwrap_or_default();
    let mut records = Vec::new();
    let end = match magic {
        0xA1B2_C3D4 | 0xA1B2_3C4D | 0xD4C3_B2A1 | 0x4D3C_B2A1 => pcap(bytes, magic, &mut records),
        0x0A0D_0D0A => pcapng(bytes, &mut records),
        _ => return Err(CaptureError::Magic(magic)),
    };
    Ok((records, end.err()))
}

/// Reads numbers of either byte order.
#[derive(Clone, Copy)]
struct Numbers<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Numbers<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let raw = *self.bytes.get(at..)?.first_chunk::<2>()?;
        Some(if self.big_endian { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let raw = *self.bytes.get(at..)?.first_chunk::<4>()?;
        Some(if self.big_endian { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) })
    }
}

fn pcap(bytes: &[u8], magic: u32, records: &mut Vec<Record>) -> Result<(), CaptureError> {
    let big_endian = matches!(magic, 0xA1B2_C3D4 | 0xA1B2_3C4D);
    let nanos = matches!(magic, 0xA1B2_3C4D | 0x4D3C_B2A1);
    let numbers = Numbers { bytes, big_endian };
    let link = numbers.u32(20).ok_or(CaptureError::Truncated(0))? as u16;
    let mut at = PCAP_HEADER_BYTES;
    while at < bytes.len() {
        let cut = CaptureError::Truncated(at);
        let word = |n: usize| numbers.u32(at + 4 * n).ok_or(cut);
        let (seconds, fraction) = (u64::from(word(0)?), u64::from(word(1)?));
        let (captured, length) = (word(2)? as usize, word(3)? as usize);
        let data = record_data(bytes, at, at + 16, captured)?;
        let fraction_ns = if nanos { fraction } else { fraction * 1000 };
        let time_ns = Some(seconds * 1_000_000_000 + fraction_ns);
        records.push(Record { time_ns, link, length, data, comment: None });
        at += 16 + captured;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Interface {
    link: u16,
    /// Units of a time stamp in a second.
    units_per_s: u64,
}

fn pcapng(bytes: &[u8], records: &mut Vec<Record>) -> Result<(), CaptureError> {
    let mut numbers = Numbers { bytes, big_endian: false };
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let cut = CaptureError::Truncated(at);
        let kind = numbers.u32(at).ok_or(cut)?;
        if kind == SECTION {
            // The section says its byte order after its length.
            let order = bytes.get(at + 8..).and_then(|b| b.first_chunk()).copied().ok_or(cut)?;
            numbers.big_endian = u32::from_be_bytes(order) == 0x1A2B_3C4D;
            interfaces.clear();
        }
        let length = numbers.u32(at + 4).ok_or(cut)? as usize;
        let end = at.checked_add(length).filter(|end| *end <= bytes.len() && length >= 12);
        let end = end.ok_or(cut)?;
        let block = Numbers { bytes: &bytes[..end - 4], ..numbers };
        match kind {
            INTERFACE if interfaces.len() < INTERFACES_MAX => {
                interfaces.push(interface(block, at).ok_or(cut)?);
            }
            ENHANCED_PACKET => records.push(enhanced(block, at, &interfaces)?),
            SIMPLE_PACKET => {
                let length = block.u32(at + 8).ok_or(cut)? as usize;
                let captured = length.min(end - 4 - (at + 12));
                let data = record_data(block.bytes, at, at + 12, captured)?;
                let link = interfaces.first().map_or(1, |interface| interface.link);
                records.push(Record { time_ns: None, link, length, data, comment: None });
            }
            _ => {}
        }
        at = end;
    }
    Ok(())
}

fn interface(block: Numbers<'_>, at: usize) -> Option<Interface> {
    let link = block.u16(at + 8)?;
    let resolution = option(block, at + 16, 9).and_then(|value| value.first()).copied();
    let units_per_s = match resolution.unwrap_or(6) {
        power if power & 0x80 != 0 => 1u64.checked_shl(u32::from(power & 0x7F)),
        power => 10u64.checked_pow(u32::from(power)),
    };
    Some(Interface { link, units_per_s: units_per_s.unwrap_or(1_000_000).max(1) })
}

fn enhanced(
    block: Numbers<'_>,
    at: usize,
    interfaces: &[Interface],
) -> Result<Record, CaptureError> {
    let word = |n: usize| block.u32(at + 8 + 4 * n).ok_or(CaptureError::Truncated(at));
    let (captured, length) = (word(3)? as usize, word(4)? as usize);
    let units = u64::from(word(1)?) << 32 | u64::from(word(2)?);
    let data = record_data(block.bytes, at, at + 28, captured)?;
    let interface = interfaces.get(word(0)? as usize).copied();
    let Interface { link, units_per_s } =
        interface.unwrap_or(Interface { link: 1, units_per_s: 1_000_000 });
    let time_ns = u128::from(units) * 1_000_000_000 / u128::from(units_per_s);
    let comment = option(block, at + 28 + captured.next_multiple_of(4), 1);
    Ok(Record {
        time_ns: u64::try_from(time_ns).ok(),
        link,
        length,
        data,
        comment: comment.map(|text| String::from_utf8_lossy(text).into_owned()),
    })
}

/// The value of the first option with this code.
fn option(block: Numbers<'_>, mut at: usize, wanted: u16) -> Option<&[u8]> {
    loop {
        let (code, length) = (block.u16(at)?, usize::from(block.u16(at + 2)?));
        let value = block.bytes.get(at + 4..at + 4 + length)?;
        match code {
            0 => return None,
            code if code == wanted => return Some(value),
            _ => at += 4 + length.next_multiple_of(4),
        }
    }
}

fn record_data(bytes: &[u8], record: usize, at: usize, n: usize) -> Result<Vec<u8>, CaptureError> {
    if n > SNAP_BYTES_MAX {
        return Err(CaptureError::TooLong { offset: record, length: n });
    }
    bytes.get(at..at + n).map(<[u8]>::to_vec).ok_or(CaptureError::Truncated(record))
}

/// The most bytes a packet can have; tcpdump's own limit.
pub const SNAP_BYTES_MAX: usize = 262_144;
const PCAP_HEADER_BYTES: usize = 24;
const INTERFACES_MAX: usize = 4096;
const SECTION: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32], big_endian: bool) -> Vec<u8> {
        words
            .iter()
            .flat_map(|w| if big_endian { w.to_be_bytes() } else { w.to_le_bytes() })
            .collect()
    }

    #[test]
    fn pcap_of_either_byte_order_and_resolution() {
        for (magic, big_endian, time_ns) in [
            (0xA1B2_C3D4, false, 1_000_005_000),
            (0xA1B2_C3D4, true, 1_000_005_000),
            (0xA1B2_3C4D, false, 1_000_000_005),
        ] {
            let mut file = words(&[magic, 0x0004_0002, 0, 0, 65_535, 101], big_endian);
            file.extend(words(&[1, 5, 3, 60], big_endian));
            file.extend(b"abc");
            let (records, end) = read(&file).unwrap();
            assert_eq!((records.len(), end), (1, None));
            let record = &records[0];
            assert_eq!((record.time_ns, record.link, record.length), (Some(time_ns), 101, 60));
            assert_eq!(record.data, b"abc");
            file.push(0);
            assert_eq!(read(&file).unwrap().1, Some(CaptureError::Truncated(43)));
        }
    }

    #[test]
    fn pcapng_with_a_comment_and_nanoseconds() {
        let mut file = words(&[SECTION, 28, 0x1A2B_3C4D, 1, u32::MAX, u32::MAX, 28], false);
        // Interface: Ethernet, option 9 (resolution) = 9, end of options.
        file.extend(words(&[INTERFACE, 32, 1, 0, 0x0001_0009, 9, 0, 32], false));
        file.extend(words(&[ENHANCED_PACKET, 48, 0, 0, 77, 3, 60], false));
        file.extend(b"abc\0");
        file.extend(words(&[0x0004_0001], false));
        file.extend(b"lost");
        file.extend(words(&[0, 48], false));
        file.extend(words(&[SIMPLE_PACKET, 20, 4], false));
        file.extend(b"wxyz");
        file.extend(words(&[20], false));
        let (records, end) = read(&file).unwrap();
        assert_eq!(end, None);
        assert_eq!((records[0].time_ns, records[0].link), (Some(77), 1));
        assert_eq!(records[0].comment.as_deref(), Some("lost"));
        assert_eq!((records[1].data.as_slice(), records[1].time_ns), (&b"wxyz"[..], None));
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(read(b"PK\x03\x04"), Err(CaptureError::Magic(0x504B_0304)));
        assert_eq!(read(b""), Err(CaptureError::Magic(0)));
        let short = words(&[0xA1B2_C3D4], false);
        assert_eq!(read(&short).unwrap().1, Some(CaptureError::Truncated(0)));
    }
}
