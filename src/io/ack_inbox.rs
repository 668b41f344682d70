//! Datagrams read from a socket without blocking, a batch at a time.

use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, UdpSocket};

/// The longest datagram.
const DATAGRAM_MAX: usize = 65_535;

/// Bytes after which a batch is handled before more is read.
const BATCH_BYTES: usize = 256 << 10;

/// Datagrams after which a batch is handled before more is read.
const BATCH_DATAGRAMS: usize = 64;

/// One batch.
#[derive(Debug)]
pub(super) struct Inbox {
    buffer: Vec<u8>,
    datagrams: Vec<(SocketAddr, usize, usize)>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BATCH_BYTES + DATAGRAM_MAX], datagrams: Vec::new() }
    }

    /// Replaces the batch by what `socket` has now; returns how often the system refused. ICMP
    /// errors are not counted: [`drain_error_queue`] tells of them.
    pub(super) fn fill(&mut self, socket: &UdpSocket) -> u64 {
        let mut refused = 0;
        let mut used = 0;
        self.datagrams.clear();
        // Every round reads a datagram or counts an error, so the number of rounds is bounded.
        for _ in 0..BATCH_DATAGRAMS {
            if used > BATCH_BYTES {
                break;
            }
            match socket.recv_from(&mut self.buffer[used..used + DATAGRAM_MAX]) {
                Ok((len, from)) => {
                    self.datagrams.push((from, used, used + len));
                    used += len;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_unreachable(&error) => {}
                Err(_) => refused += 1,
            }
        }
        refused
    }

    /// Forgets the batch.
    pub(super) fn clear(&mut self) {
        self.datagrams.clear();
    }

    /// The datagrams and who sent them.
    pub(super) fn datagrams(&self) -> impl ExactSizeIterator<Item = (SocketAddr, &[u8])> {
        self.datagrams.iter().map(|&(from, start, end)| (from, &self.buffer[start..end]))
    }
}

/// Empties the socket's error queue; returns how many errors it held.
#[cfg(target_os = "linux")]
pub(super) fn drain_error_queue(socket: &UdpSocket) -> u64 {
    let socket = socket2::SockRef::from(socket);
    // The datagram that caused the error comes back; its bytes are of no interest.
    let mut start = [MaybeUninit::uninit(); 64];
    let queued = |_: &usize| socket.recv_from_with_flags(&mut start, libc::MSG_ERRQUEUE).is_ok();
    (0..BATCH_DATAGRAMS).take_while(queued).count() as u64
}

/// Elsewhere there is no such queue.
#[cfg(not(target_os = "linux"))]
pub(super) fn drain_error_queue(_socket: &UdpSocket) -> u64 {
    0
}

/// Whether an ICMP message is behind `error`. It tells of some earlier datagram, to anybody.
pub(super) fn is_unreachable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}
