//! Sending over real sockets on loopback: the same datagrams with and without segmentation.

use super::*;
use crate::io::batch::receive::Inbox;
use crate::io::batch::runs::RUN_BYTES_MAX;
use crate::io::socket::sys::{self, Target};

struct Pair {
    from: RawFd,
    to: RawFd,
    address: Address,
}

impl Pair {
    fn open() -> Self {
        let open = || sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0).unwrap();
        let (from, to) = (open(), open());
        sys::bind(to, &Address::v4("127.0.0.1".parse().unwrap(), 0)).unwrap();
        Self { from, to, address: sys::local_address(to).unwrap() }
    }

    fn received(&self) -> Vec<Vec<u8>> {
        let mut room = vec![0_u8; 64 * 4096];
        let begin = room.as_mut_ptr();
        let mut inbox = Inbox::new(64, 0);
        // SAFETY: 64 parts of `room`, which outlives the call.
        let targets = (0..64).map(|i| unsafe { Target::new(begin.wrapping_add(i * 4096), 4096) });
        inbox.recv(self.to, libc::MSG_DONTWAIT, targets).unwrap();
        inbox.messages().enumerate().map(|(i, m)| room[i * 4096..][..m.len()].to_vec()).collect()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        sys::close(self.from).unwrap();
        sys::close(self.to).unwrap();
    }
}

fn source(bytes: &[u8]) -> Source {
    // SAFETY: the tests keep their datagrams until everything is sent.
    unsafe { Source::new(bytes.as_ptr(), bytes.len()) }
}

fn datagrams(lens: &[usize]) -> Vec<Vec<u8>> {
    lens.iter().enumerate().map(|(i, &len)| vec![i as u8; len]).collect()
}

#[test]
fn the_peer_sees_the_datagrams_as_they_were_given() {
    let pair = Pair::open();
    let data = datagrams(&[0, 100, 100, 100, 40, 100, 0, 0, 7, 8, 9, 9, 9]);
    for segment_max in [0, 50, RUN_BYTES_MAX] {
        memory::refused(pair.from, segment_max);
        let mut outbox = Outbox::new(Vec::new(), data.len());
        outbox.address(pair.address.clone()).unwrap();
        data.iter().for_each(|datagram| outbox.push(source(datagram)));
        outbox.drain(pair.from, 0).unwrap();
        assert_eq!(outbox.sent(), data.len());
        assert_eq!(pair.received(), data);
    }
}

#[test]
fn a_refused_run_goes_out_one_by_one_and_is_remembered() {
    let pair = Pair::open();
    // Loopback takes 65,536 bytes a packet, so a longer segment is refused only by a smaller
    // route: made here by handing the outbox a run the kernel cannot take.
    let data = datagrams(&[300; 5]);
    let mut outbox = Outbox::new(Vec::new(), data.len());
    outbox.address(pair.address.clone()).unwrap();
    data.iter().for_each(|datagram| outbox.push(source(datagram)));
    outbox.plan(pair.from);
    assert_eq!(outbox.step.messages.len(), 1);
    assert_eq!(outbox.refuse(Errno::INVAL), Ok(()));
    outbox.drain(pair.from, 0).unwrap();
    assert_eq!(pair.received(), data);
    assert_eq!(memory::segment_max(pair.from), 299);
    // Another refusal that turns out to be about the datagrams themselves is not remembered.
    assert_eq!(memory::segment_max(pair.to), RUN_BYTES_MAX);
}

#[test]
fn an_error_of_a_single_datagram_is_passed_on() {
    let pair = Pair::open();
    let data = datagrams(&[10, 70_000, 10]);
    let mut outbox = Outbox::new(Vec::new(), data.len());
    outbox.address(pair.address.clone()).unwrap();
    data.iter().for_each(|datagram| outbox.push(source(datagram)));
    assert_eq!(outbox.drain(pair.from, 0), Err(Errno::MSGSIZE));
    assert_eq!(outbox.sent(), 1);
    assert_eq!(pair.received(), data[..1]);
}
