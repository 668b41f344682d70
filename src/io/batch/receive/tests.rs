//! Receiving over real sockets on loopback.

use super::*;
use crate::io::batch::facts::{CONTROL_ROOM, Facts};
use crate::io::batch::runs::pieces;
use crate::io::batch::send::Outbox;
use crate::io::batch::set_coalescing;
use crate::io::socket::sys::{self, Source};

#[test]
fn messages_come_with_lengths_senders_and_what_did_not_fit() {
    let [a, b] = sys::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM, 0).unwrap();
    for datagram in [&b"one"[..], b"", b"longer than eight"] {
        // SAFETY: static bytes.
        let source = unsafe { Source::new(datagram.as_ptr(), datagram.len()) };
        sys::send(a, source, 0).unwrap();
    }
    let mut room = [0_u8; 4 * 8];
    let begin = room.as_mut_ptr();
    let mut inbox = Inbox::new(4, 0);
    // SAFETY: four parts of `room`, which outlives the call.
    let targets = (0..4).map(|i| unsafe { Target::new(begin.wrapping_add(i * 8), 8) });
    assert_eq!(inbox.recv(b, 0, targets), Ok(3));
    let seen: Vec<_> = inbox.messages().map(|m| (m.len(), m.is_truncated())).collect();
    assert_eq!(seen, [(3, false), (0, false), (8, true)]);
    assert!(inbox.message(3).is_none());
    let targets = std::iter::once_with(|| {
        // SAFETY: a part of `room`.
        unsafe { Target::new(begin, 8) }
    });
    assert_eq!(inbox.recv(b, libc::MSG_DONTWAIT, targets), Err(Errno::AGAIN));
    assert_eq!(inbox.count(), 0);
    sys::close(a).unwrap();
    sys::close(b).unwrap();
}

#[test]
fn a_coalesced_run_is_cut_to_what_was_sent() {
    let open = || sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0).unwrap();
    let (from, to) = (open(), open());
    sys::bind(to, &Address::v4("127.0.0.1".parse().unwrap(), 0)).unwrap();
    let address = sys::local_address(to).unwrap();
    let coalesces = set_coalescing(to, true).unwrap();
    let data: Vec<Vec<u8>> = (0..20).map(|i| vec![i; if i == 19 { 33 } else { 500 }]).collect();
    let mut outbox = Outbox::new(Vec::new(), 20);
    outbox.address(address).unwrap();
    for datagram in &data {
        // SAFETY: `data` lives until the end of the test.
        outbox.push(unsafe { Source::new(datagram.as_ptr(), datagram.len()) });
    }
    outbox.drain(from, 0).unwrap();

    let mut room = vec![0_u8; 32 * 65_536];
    let begin = room.as_mut_ptr();
    let mut inbox = Inbox::new(32, CONTROL_ROOM);
    // SAFETY: 32 parts of `room`, which outlives the call.
    let targets = (0..32).map(|i| unsafe { Target::new(begin.wrapping_add(i * 65_536), 65_536) });
    let messages = inbox.recv(to, 0, targets).unwrap();
    assert!(!coalesces || messages == 1);
    let mut seen = Vec::new();
    for (index, message) in inbox.messages().enumerate() {
        for piece in pieces(message.len(), Facts::segment_of(message.control())) {
            seen.push(room[index * 65_536 + piece.offset..][..piece.len].to_vec());
        }
    }
    assert_eq!(seen, data);
    sys::close(from).unwrap();
    sys::close(to).unwrap();
}
