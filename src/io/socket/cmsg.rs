//! Ancillary data: control messages beside the bytes of a datagram (cmsg(3)).
//!
//! Composes into a buffer for `sendmsg` and reads what `recvmsg` left, however truncated, with
//! checked offsets instead of the C macros. Knows no option: levels and types are numbers.

use std::mem;

use libc::{c_int, cmsghdr};

/// Length of the header, padded as the kernel pads it.
const HEADER: usize = align(mem::size_of::<cmsghdr>());
/// Where level and type are; the length comes first (`size_t` on Linux).
const LEVEL_OFFSET: usize = mem::offset_of!(cmsghdr, cmsg_level);
const TYPE_OFFSET: usize = mem::offset_of!(cmsghdr, cmsg_type);

const fn align(len: usize) -> usize {
    len.next_multiple_of(mem::size_of::<usize>())
}

/// The length field of a message with `len` bytes of data (`CMSG_LEN`); `None` if too large.
#[must_use]
pub fn len_with(len: usize) -> Option<usize> {
    let total = HEADER.checked_add(len)?;
    (total <= c_int::MAX as usize).then_some(total)
}

/// The room a message with `len` bytes of data takes (`CMSG_SPACE`); `None` if too large.
#[must_use]
pub fn space_for(len: usize) -> Option<usize> {
    // As CPython counts: room for the padding is taken off the limit beforehand.
    let limit = c_int::MAX as usize - (HEADER + align(1));
    (len <= limit).then(|| HEADER + align(len))
}

/// Appends one control message to `out`. `None` if it is too large; `out` is unchanged then.
#[must_use]
pub fn compose(out: &mut Vec<u8>, level: c_int, kind: c_int, data: &[u8]) -> Option<()> {
    let len = len_with(data.len())?;
    let end = out.len().checked_add(space_for(data.len())?)?;
    if end > c_int::MAX as usize {
        return None;
    }
    let begin = out.len();
    out.resize(end, 0);
    let room = &mut out[begin..];
    room[..mem::size_of::<usize>()].copy_from_slice(&len.to_ne_bytes());
    room[LEVEL_OFFSET..LEVEL_OFFSET + 4].copy_from_slice(&level.to_ne_bytes());
    room[TYPE_OFFSET..TYPE_OFFSET + 4].copy_from_slice(&kind.to_ne_bytes());
    room[HEADER..len].copy_from_slice(data);
    Some(())
}

/// One control message that was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item<'a> {
    /// `SOL_SOCKET`, `IPPROTO_IP` …
    pub level: c_int,
    /// `SCM_RIGHTS`, `IP_TOS` …
    pub kind: c_int,
    /// Its data; shorter than sent when the room was too small.
    pub data: &'a [u8],
    /// Whether `data` was cut off in a way the kernel does not cut.
    pub malformed: bool,
}

/// Reads control messages one after the other.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
}

/// Reads the control messages in `control`, as the kernel left them.
#[must_use]
pub fn parse(control: &[u8]) -> Items<'_> {
    Items { rest: control }
}

fn read_int(bytes: &[u8], at: usize) -> Option<c_int> {
    let field = bytes.get(at..at + mem::size_of::<c_int>())?;
    Some(c_int::from_ne_bytes(field.try_into().ok()?))
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let field = self.rest.get(..mem::size_of::<usize>())?;
        let len = usize::from_ne_bytes(field.try_into().ok()?);
        let level = read_int(self.rest, LEVEL_OFFSET)?;
        let kind = read_int(self.rest, TYPE_OFFSET)?;
        if len < HEADER {
            // A zero or absurd length ends the list: going on would read garbage.
            self.rest = &[];
            return None;
        }
        let end = len.min(self.rest.len());
        let data = self.rest.get(HEADER..end).unwrap_or_default();
        let next = align(end).min(self.rest.len());
        let malformed = len > self.rest.len();
        self.rest = if malformed { &[] } else { &self.rest[next..] };
        Some(Item { level, kind, data, malformed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_agree_with_the_c_macros() {
        for len in [0_u32, 1, 3, 4, 8, 9, 100, 4096] {
            // SAFETY: plain arithmetic on a number.
            let c_len = unsafe { libc::CMSG_LEN(len) };
            // SAFETY: plain arithmetic on a number.
            let c_space = unsafe { libc::CMSG_SPACE(len) };
            assert_eq!(len_with(len as usize), Some(c_len as usize));
            assert_eq!(space_for(len as usize), Some(c_space as usize));
        }
        assert_eq!(len_with(usize::MAX), None);
        assert_eq!(space_for(c_int::MAX as usize), None);
    }

    proptest! {
        #[test]
        fn what_is_composed_is_read_again(
            items in proptest::collection::vec(
                (any::<c_int>(), any::<c_int>(), proptest::collection::vec(any::<u8>(), 0..40)),
                0..6,
            )
        ) {
            let mut control = Vec::new();
            for (level, kind, data) in &items {
                compose(&mut control, *level, *kind, data).unwrap();
            }
            let read: Vec<_> =
                parse(&control).map(|i| (i.level, i.kind, i.data.to_vec())).collect();
            prop_assert_eq!(read, items);
        }

        #[test]
        fn any_bytes_end(control in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse(&control).count() <= control.len() / HEADER + 1);
        }
    }
}
