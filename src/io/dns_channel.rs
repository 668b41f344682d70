//! The socket of one try of the resolver: opened, served when it is ready, closed.

use crate::dns::client::{Client, Transmit, Via};
use crate::dns::frame::{Deframer, frame};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

/// Largest UDP payload.
pub(super) const DATAGRAM_LEN_MAX: usize = 65_535;

/// The socket of one try.
pub(super) struct Channel {
    attempt: usize,
    via: Via,
    server: SocketAddr,
    socket: Socket,
    /// Bytes of a TCP query not yet written.
    unsent: Vec<u8>,
    stream: Deframer,
    pub(super) done: bool,
}

impl Channel {
    pub(super) fn open(transmit: Transmit) -> io::Result<Self> {
        let Transmit { attempt, via, server, payload } = transmit;
        let kind = if via == Via::Udp { Type::DGRAM } else { Type::STREAM };
        let protocol = if via == Via::Udp { Protocol::UDP } else { Protocol::TCP };
        let socket = Socket::new(Domain::for_address(server), kind.nonblocking(), Some(protocol))?;
        match socket.connect(&SockAddr::from(server)) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let mut unsent = Vec::new();
        if via == Via::Udp {
            match socket.send(&payload) {
                // A full buffer loses this datagram as the network may: the next try repeats it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => drop(result?),
            }
        } else {
            unsent = frame(&payload);
        }
        let stream = Deframer::default();
        Ok(Self { attempt, via, server, socket, unsent, stream, done: false })
    }

    pub(super) fn interest(&self) -> libc::pollfd {
        let events = if self.unsent.is_empty() { libc::POLLIN } else { libc::POLLOUT };
        libc::pollfd { fd: self.fd(), events, revents: 0 }
    }

    fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Does what the socket is ready for.
    pub(super) fn service<R: rand::CryptoRng>(
        &mut self,
        client: &mut Client<R>,
        now_us: u64,
        buffer: &mut [u8],
    ) {
        let result = match self.via {
            Via::Udp => self.receive(client, now_us, buffer),
            Via::Tcp => self.stream(client, now_us, buffer),
        };
        let again = |e: &io::Error| {
            matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        };
        if let Err(error) = result
            && !again(&error)
        {
            self.done = true;
            client.handle_failure(self.attempt, errno(&error));
        }
    }

    /// One datagram a call: poll(2) reports the next one at once.
    fn receive<R: rand::CryptoRng>(
        &mut self,
        client: &mut Client<R>,
        now_us: u64,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let len = (&self.socket).read(buffer)?;
        // The kernel lets only the connected peer through, so the source is the server. What the
        // machine refuses it counts itself.
        let _ = client.handle_datagram(now_us, self.attempt, self.server, &buffer[..len]);
        Ok(())
    }

    fn stream<R: rand::CryptoRng>(
        &mut self,
        client: &mut Client<R>,
        now_us: u64,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        if !self.unsent.is_empty() {
            let sent = (&self.socket).write(&self.unsent)?;
            self.unsent.drain(..sent);
            return Ok(());
        }
        let len = (&self.socket).read(buffer)?;
        if len == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.stream.push(&buffer[..len]);
        if let Some(message) = self.stream.pop() {
            client.handle_stream_message(now_us, self.attempt, &message);
            self.done = true;
        }
        Ok(())
    }
}

/// The number of a system error; one that has none is a connection that broke.
pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::ECONNRESET)
}

/// poll(2), rounding the wait up to whole milliseconds.
pub(super) fn poll(fds: &mut [libc::pollfd], wait_us: u64) -> io::Result<usize> {
    let wait_ms = i32::try_from(wait_us.div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: the pointer and the count are those of one live slice, which poll(2) only writes
    // within.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, wait_ms) };
    usize::try_from(ready).map_err(|_| io::Error::last_os_error())
}
