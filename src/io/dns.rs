//! The exchange of the resolver: sockets, a clock and poll(2) around [`crate::dns::Client`].
//!
//! Every try over UDP has a fresh socket, and with it a source port that the kernel draws at
//! random (RFC 5452 §4.5); it is connected, so that the kernel tells when nobody listens.

use crate::dns::client::{Client, Config, IGNORED_WORDS, Outcome, Transmit, Via};
use crate::dns::frame::{Deframer, frame};
use rand::{SeedableRng, TryRng, rngs::StdRng, rngs::SysRng};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

/// Largest UDP payload.
const DATAGRAM_LEN_MAX: usize = 65_535;

/// Longest wait without a look at the caller's check: a signal that arrives between that look
/// and poll(2) does not interrupt poll(2).
const WAIT_US_MAX: u64 = 50_000;

/// What an exchange came to.
#[derive(Debug)]
pub struct Report {
    /// The end of the machine.
    pub outcome: Outcome,
    /// How many tries were made.
    pub attempts: usize,
    /// Datagrams that were ignored, by reason ([`IGNORED_WORDS`]).
    pub ignored: [u32; IGNORED_WORDS.len()],
    /// The last fault in a datagram that fitted otherwise.
    pub fault: Option<crate::dns::ParseError>,
}

/// Why an exchange could not end.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError<E> {
    /// The caller's check said stop.
    #[error("interrupted")]
    Interrupted(E),
    /// A system call failed that never should.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Asks until an answer or the end of all tries; `check` is called when a signal arrives and at
/// least every 50 ms while nothing else does.
///
/// # Errors
/// [`ExchangeError::Interrupted`] with what `check` returned; [`ExchangeError::System`].
pub fn exchange<E>(
    config: Config,
    mut check: impl FnMut() -> Result<(), E>,
) -> Result<Report, ExchangeError<E>> {
    let random = system_random()?;
    let start = Instant::now();
    let now_us = || start.elapsed().as_micros() as u64;
    let mut client = Client::new(config, random);
    let mut channels: Vec<Channel> = Vec::new();
    let mut buffer = vec![0; DATAGRAM_LEN_MAX];
    loop {
        while let Some(transmit) = client.poll_transmit(now_us()) {
            let attempt = transmit.attempt;
            match Channel::open(transmit) {
                Ok(channel) => channels.push(channel),
                Err(error) => client.handle_failure(attempt, errno(&error)),
            }
        }
        let Some(deadline_us) = client.next_deadline() else { break };
        let wait_us = deadline_us.saturating_sub(now_us()).min(WAIT_US_MAX);
        let mut fds: Vec<libc::pollfd> = channels.iter().map(Channel::interest).collect();
        match poll(&mut fds, wait_us) {
            // Nothing, or a signal: time to look whether the caller wants us to stop.
            Ok(0) => check().map_err(ExchangeError::Interrupted)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                check().map_err(ExchangeError::Interrupted)?;
            }
            result => drop(result?),
        }
        for (channel, fd) in channels.iter_mut().zip(&fds) {
            if fd.revents != 0 {
                channel.service(&mut client, now_us(), &mut buffer);
            }
        }
        channels.retain(|channel| !channel.done);
        client.handle_timeout(now_us());
    }
    let (attempts, ignored, fault) = (client.attempt_count(), client.ignored(), client.fault());
    let outcome = client.into_outcome().unwrap_or(Outcome::TimedOut);
    Ok(Report { outcome, attempts, ignored, fault })
}

/// A generator nobody can guess, seeded by the operating system, new for every exchange, so that
/// a forked process does not repeat its parent's numbers.
pub fn system_random() -> io::Result<StdRng> {
    StdRng::try_from_rng(&mut SysRng).map_err(|error| io::Error::other(error.to_string()))
}

/// A message id nobody can guess.
///
/// # Errors
/// When the operating system has no random numbers.
pub fn random_id() -> io::Result<u16> {
    let number = SysRng.try_next_u32().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(number as u16)
}

/// The socket of one try.
struct Channel {
    attempt: usize,
    via: Via,
    server: SocketAddr,
    socket: Socket,
    /// Bytes of a TCP query not yet written.
    unsent: Vec<u8>,
    stream: Deframer,
    done: bool,
}

impl Channel {
    fn open(transmit: Transmit) -> io::Result<Self> {
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

    fn interest(&self) -> libc::pollfd {
        let events = if self.unsent.is_empty() { libc::POLLIN } else { libc::POLLOUT };
        libc::pollfd { fd: self.fd(), events, revents: 0 }
    }

    fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Does what the socket is ready for.
    fn service<R: rand::CryptoRng>(
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

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::ECONNRESET)
}

/// poll(2), rounding the wait up to whole milliseconds.
fn poll(fds: &mut [libc::pollfd], wait_us: u64) -> io::Result<usize> {
    let wait_ms = i32::try_from(wait_us.div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: the pointer and the count are those of one live slice, which poll(2) only writes
    // within.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, wait_ms) };
    usize::try_from(ready).map_err(|_| io::Error::last_os_error())
}
