//! The system calls of the batch resolver: random ports, many datagrams a call, epoll(7).
//!
//! Rules of this file: each function is one call with its retry and its bounds, no policy.

use rand::CryptoRng;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Datagrams sent or received with one call.
pub(super) const BATCH_MAX: usize = 32;
/// Room for one answer: more than any EDNS size that is asked for.
const ANSWER_LEN_MAX: usize = 4096;
/// Ports that are drawn from.
const PORT_MIN: u16 = 1024;
/// How often a port in use is drawn anew before the kernel chooses.
const BIND_TRIES_MAX: u32 = 16;

/// A UDP socket on a random port, connected to `server`. RFC 5452 §9.2.
pub(super) fn open_random(server: SocketAddr, random: &mut impl CryptoRng) -> io::Result<Socket> {
    let domain = Domain::for_address(server);
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    for _ in 0..BIND_TRIES_MAX {
        let span = u32::from(u16::MAX - PORT_MIN) + 1;
        // The remainder favours a few ports by one in 66,000: not worth a rejection loop.
        let port = PORT_MIN + (random.next_u32() % span) as u16;
        match socket.bind(&SockAddr::from(SocketAddr::new(any, port))) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    socket.connect(&SockAddr::from(server))?;
    Ok(socket)
}

/// Sends `datagrams` over a connected socket; returns how many the kernel took.
pub(super) fn send_many(socket: &Socket, datagrams: &[&[u8]]) -> io::Result<usize> {
    let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH_MAX];
    let count = datagrams.len().min(BATCH_MAX);
    for (part, datagram) in parts.iter_mut().zip(datagrams) {
        part.iov_base = datagram.as_ptr().cast_mut().cast();
        part.iov_len = datagram.len();
    }
    let mut headers = headers_over(&mut parts);
    // SAFETY: every header points at one part that outlives the call, every part at a datagram
    // of that length, which sendmmsg(2) only reads.
    let sent = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count as u32, libc::MSG_DONTWAIT)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Room for the answers of one call.
pub(super) struct Inbox {
    octets: Vec<u8>,
    lens: [usize; BATCH_MAX],
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { octets: vec![0; BATCH_MAX * ANSWER_LEN_MAX], lens: [0; BATCH_MAX] }
    }

    /// Takes what has arrived, at most [`BATCH_MAX`] datagrams; returns how many.
    pub(super) fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH_MAX];
        for (part, room) in parts.iter_mut().zip(self.octets.chunks_exact_mut(ANSWER_LEN_MAX)) {
            part.iov_base = room.as_mut_ptr().cast();
            part.iov_len = room.len();
        }
        let mut headers = headers_over(&mut parts);
        // SAFETY: every header points at one part that outlives the call, every part at its own
        // room of `octets`, which nobody else touches meanwhile.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH_MAX as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        for (len, header) in self.lens.iter_mut().zip(&headers[..got]) {
            *len = header.msg_len as usize;
        }
        Ok(got)
    }

    /// The datagram at `index` of those received last.
    pub(super) fn datagram(&self, index: usize) -> &[u8] {
        let start = index * ANSWER_LEN_MAX;
        &self.octets[start..start + self.lens[index].min(ANSWER_LEN_MAX)]
    }
}

fn headers_over(parts: &mut [libc::iovec; BATCH_MAX]) -> [libc::mmsghdr; BATCH_MAX] {
    // SAFETY: an mmsghdr of zeros is valid: no name, no parts, no control data.
    let mut headers: [libc::mmsghdr; BATCH_MAX] = unsafe { std::mem::zeroed() };
    for (header, part) in headers.iter_mut().zip(parts) {
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
    }
    headers
}

/// An epoll instance whose entries are numbered by the caller.
pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointer is passed; the result is checked before it becomes an owner.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and ours alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The descriptor, readable while one of the entries is ready.
    pub(super) fn fd(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Watches `socket` for arrivals under `number`; ends by itself when the socket is closed.
    pub(super) fn add(&self, socket: &Socket, number: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: number };
        let (epoll, fd) = (self.0.as_raw_fd(), socket.as_raw_fd());
        // SAFETY: both descriptors are open, and the event outlives the call.
        let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits at most `wait_us`, rounded up to ms; gives the numbers of those that are ready.
    pub(super) fn wait(&self, wait_us: u64, ready: &mut Vec<u64>) -> io::Result<()> {
        let wait_ms = i32::try_from(wait_us.div_ceil(1000)).unwrap_or(i32::MAX);
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        let (fd, room) = (self.0.as_raw_fd(), events.len() as i32);
        // SAFETY: the pointer and the count are those of one live array.
        let count = unsafe { libc::epoll_wait(fd, events.as_mut_ptr(), room, wait_ms) };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        ready.clear();
        ready.extend(events[..count].iter().map(|event| event.u64));
        Ok(())
    }
}
