//! What is remembered of sockets: whether they segment, and up to which length.
//!
//! A socket is known by its cookie, a number the kernel gives to no second socket (socket(7),
//! `SO_COOKIE`), so it does not matter whose object holds the descriptor. The table is small and
//! fixed; a socket that falls out of it costs one refused call more.

use std::os::fd::RawFd;
use std::sync::{Mutex, PoisonError};

use super::runs::RUN_BYTES_MAX;
use super::{SOL_UDP, UDP_SEGMENT};
use crate::io::socket::sys::{socket_option, socket_option_bytes};

/// Sockets remembered; two whose cookies end alike take turns.
const SOCKETS_MAX: usize = 256;

#[derive(Clone, Copy)]
struct Entry {
    cookie: u64,
    segment_max: usize,
}

static TABLE: Mutex<[Entry; SOCKETS_MAX]> =
    Mutex::new([Entry { cookie: 0, segment_max: 0 }; SOCKETS_MAX]);

fn cookie_of(fd: RawFd) -> Option<u64> {
    let mut room = [0; 8];
    socket_option_bytes(fd, libc::SOL_SOCKET, libc::SO_COOKIE, &mut room).ok()?;
    Some(u64::from_ne_bytes(room))
}

fn with_entry<T>(cookie: u64, change: impl FnOnce(&mut Entry) -> T) -> T {
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    change(&mut table[cookie as usize % SOCKETS_MAX])
}

/// Whether the kernel cuts runs on this socket. One that does not know the option (before Linux
/// 4.18) must be asked first: it would not refuse a run, but send it as one datagram.
fn segments(fd: RawFd) -> bool {
    socket_option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL) == Ok(SOL_UDP)
        && socket_option(fd, SOL_UDP, UDP_SEGMENT).is_ok()
}

/// The longest segment to try on this socket; 0 for one that does not segment at all.
pub(super) fn segment_max(fd: RawFd) -> usize {
    let Some(cookie) = cookie_of(fd) else { return 0 };
    let known = with_entry(cookie, |entry| (entry.cookie == cookie).then_some(entry.segment_max));
    known.unwrap_or_else(|| {
        let segment_max = if segments(fd) { RUN_BYTES_MAX } else { 0 };
        with_entry(cookie, |entry| *entry = Entry { cookie, segment_max });
        segment_max
    })
}

/// Remembers that a run of `segment` bytes each was refused for good.
pub(super) fn refused(fd: RawFd, segment_max: usize) {
    if let Some(cookie) = cookie_of(fd) {
        with_entry(cookie, |entry| *entry = Entry { cookie, segment_max });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::socket::sys;

    #[test]
    fn a_refusal_is_kept_for_the_socket_and_not_for_the_number() {
        let fd = sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0).unwrap();
        assert_eq!(segment_max(fd), RUN_BYTES_MAX);
        refused(fd, 1471);
        assert_eq!(segment_max(fd), 1471);
        let twin = sys::duplicate(fd).unwrap();
        assert_eq!(segment_max(twin), 1471);
        sys::close(fd).unwrap();
        sys::close(twin).unwrap();

        let stream = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        assert_eq!(segment_max(stream), 0);
        sys::close(stream).unwrap();
        assert_eq!(segment_max(-1), 0);
    }
}
