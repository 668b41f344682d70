//! A name server for one zone on one address, UDP and TCP, on a thread of its own.
//!
//! For tests and learners. Connections are few and bounded; a client that is slow to read or to
//! ask loses its connection, not the server its time.

use super::dns_channel::{DATAGRAM_LEN_MAX, poll};
use crate::dns::authority::{Transport, respond};
use crate::dns::frame::{Deframer, frame};
use crate::dns::zone::Zone;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Connections at once; beyond that the oldest is closed.
const CONNECTIONS_MAX: usize = 64;
/// A connection without a query for so long is closed. RFC 7766 §6.2.3.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// Unsent answers of one connection.
const UNSENT_LEN_MAX: usize = 1 << 20;
/// Datagrams answered before the connections have their turn.
const DATAGRAMS_MAX: usize = 64;
/// Free ports tried until one is free for both UDP and TCP.
const BIND_TRIES_MAX: u32 = 16;
/// Longest wait, so that idle connections are seen.
const WAIT_US_MAX: u64 = 1_000_000;

/// What a server has done.
#[derive(Debug, Default)]
pub struct Counters {
    /// Queries answered over UDP.
    pub udp: AtomicU64,
    /// Queries answered over TCP.
    pub tcp: AtomicU64,
    /// Datagrams and messages that deserved no answer.
    pub ignored: AtomicU64,
}

/// A running server; ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers for `zone` at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// What binding the sockets or starting the thread says.
    pub fn start(zone: Zone, address: SocketAddr) -> io::Result<Self> {
        let (udp, tcp) = bind_both(address)?;
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let address = udp.local_addr()?;
        let (stop, stopped) = UnixStream::pair()?;
        let counters = Arc::new(Counters::default());
        let mut work =
            Work { zone, udp, tcp, stopped, connections: Vec::new(), counters: counters.clone() };
        let name = format!("dns-{}", address.port());
        let thread = std::thread::Builder::new().name(name).spawn(move || work.run())?;
        Ok(Self { address, counters, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Ends it and waits for its thread.
    pub fn close(&mut self) {
        // The other end of a closed pair is readable: the thread wakes up and leaves.
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

fn bind_both(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    for _ in 0..BIND_TRIES_MAX {
        let tcp = TcpListener::bind(address)?;
        match UdpSocket::bind(tcp.local_addr()?) {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) if address.port() != 0 => return Err(error),
            // Free for TCP, taken for UDP: another one.
            Err(_) => {}
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

struct Connection {
    stream: TcpStream,
    deframer: Deframer,
    unsent: Vec<u8>,
    used: Instant,
}

struct Work {
    zone: Zone,
    udp: UdpSocket,
    tcp: TcpListener,
    stopped: UnixStream,
    connections: Vec<Connection>,
    counters: Arc<Counters>,
}

impl Work {
    fn run(&mut self) {
        let mut buffer = vec![0; DATAGRAM_LEN_MAX];
        loop {
            let entry = |fd, events| libc::pollfd { fd, events, revents: 0 };
            let mut fds = vec![
                entry(self.stopped.as_raw_fd(), libc::POLLIN),
                entry(self.udp.as_raw_fd(), libc::POLLIN),
                entry(self.tcp.as_raw_fd(), libc::POLLIN),
            ];
            fds.extend(self.connections.iter().map(|connection| {
                let write = if connection.unsent.is_empty() { 0 } else { libc::POLLOUT };
                entry(connection.stream.as_raw_fd(), libc::POLLIN | write)
            }));
            match poll(&mut fds, WAIT_US_MAX) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                _ => {}
            }
            if fds[0].revents != 0 {
                return;
            }
            self.serve_connections(&fds[3..], &mut buffer);
            if fds[1].revents != 0 {
                self.serve_datagrams(&mut buffer);
            }
            if fds[2].revents != 0 {
                self.accept();
            }
        }
    }

    fn serve_datagrams(&mut self, buffer: &mut [u8]) {
        for _ in 0..DATAGRAMS_MAX {
            match self.udp.recv_from(buffer) {
                Ok((len, client)) => {
                    let reply = respond(&self.zone, &buffer[..len], Transport::Udp);
                    self.count(&self.counters.udp, reply.is_some());
                    if let Some(reply) = reply {
                        // What cannot be sent is lost, as any datagram may be.
                        let _ = self.udp.send_to(&reply, client);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error about an earlier reply: the next datagram is a new matter.
                Err(_) => {}
            }
        }
    }

    fn accept(&mut self) {
        let Ok((stream, _)) = self.tcp.accept() else { return };
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if self.connections.len() == CONNECTIONS_MAX {
            self.connections.remove(0);
        }
        let (deframer, used) = (Deframer::default(), Instant::now());
        self.connections.push(Connection { stream, deframer, unsent: Vec::new(), used });
    }

    fn serve_connections(&mut self, fds: &[libc::pollfd], buffer: &mut [u8]) {
        let mut ready = fds.iter().map(|fd| fd.revents != 0);
        let (zone, counters) = (&self.zone, &self.counters);
        self.connections.retain_mut(|connection| {
            let open =
                !ready.next().unwrap_or(false) || connection.serve(zone, counters, buffer).is_ok();
            open && connection.used.elapsed() < IDLE_MAX
        });
    }

    fn count(&self, counter: &AtomicU64, answered: bool) {
        let counter = if answered { counter } else { &self.counters.ignored };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Connection {
    fn serve(&mut self, zone: &Zone, counters: &Counters, buffer: &mut [u8]) -> io::Result<()> {
        match self.stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => self.deframer.push(&buffer[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        // RFC 7766 §6.2.1.1: several queries may come before the first answer has left.
        while let Some(query) = self.deframer.pop() {
            self.used = Instant::now();
            match respond(zone, &query, Transport::Tcp) {
                Some(reply) => {
                    self.unsent.extend_from_slice(&frame(&reply));
                    counters.tcp.fetch_add(1, Ordering::Relaxed);
                }
                None => drop(counters.ignored.fetch_add(1, Ordering::Relaxed)),
            }
            if self.unsent.len() > UNSENT_LEN_MAX {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
        }
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
