//! The relay's state: the two links, the clients, and what becomes of each datagram.
//!
//! Rule of this file: it sends and receives on sockets that never block, and never waits.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::{RelayConfig, RelayStats, socket};
use crate::link::Link;
use crate::packet::{Direction, FlowOrdinal, Packet};
use crate::random::Seed;
use crate::units::Nanos;
use crate::verdict::{DropReason, Effects, Verdict};

/// Buffers kept for reuse, and the largest that is worth keeping.
const SPARE_BUFFERS_MAX: usize = 4096;
const SPARE_BYTES_MAX: usize = 2048;
/// Silent clients are not looked for more often than this.
const SWEEP_INTERVAL_MIN: Nanos = Nanos::from_millis(10);

/// A datagram on its way, and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Datagram {
    client: usize,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Client {
    address: SocketAddr,
    flow: FlowOrdinal,
    socket: UdpSocket,
    last_active: Nanos,
    /// Datagrams of either direction that are in the links.
    on_their_way: u64,
    /// Datagrams sent upstream that were not refused, and the size of the last.
    sent: u64,
    sent_bytes: u32,
}

/// Everything the engine works on, and the handle looks at.
#[derive(Debug)]
pub(super) struct Core {
    upstream: SocketAddr,
    up: Link<Datagram>,
    down: Link<Datagram>,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    places: HashMap<SocketAddr, usize>,
    clients_max: usize,
    idle: Nanos,
    next_flow: u32,
    next_sweep: Nanos,
    spare: Vec<Vec<u8>>,
    expired: u64,
    receive_errors: u64,
}

impl Core {
    pub(super) fn new(config: &RelayConfig, seed: Seed) -> Self {
        let log = config.log_packets_max;
        Self {
            upstream: config.upstream,
            up: Link::new(Direction::Up, config.up.clone(), seed).with_log(log),
            down: Link::new(Direction::Down, config.down.clone(), seed).with_log(log),
            clients: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            clients_max: config.clients_max,
            idle: config.idle,
            next_flow: 0,
            next_sweep: Nanos::ZERO,
            spare: Vec::new(),
            expired: 0,
            receive_errors: 0,
        }
    }

    pub(super) fn stats(&self) -> RelayStats {
        RelayStats {
            up: *self.up.stats(),
            down: *self.down.stats(),
            clients: self.places.len() as u64,
            clients_total: u64::from(self.next_flow),
            clients_expired: self.expired,
            receive_errors: self.receive_errors,
        }
    }

    pub(super) const fn link(&mut self, direction: Direction) -> &mut Link<Datagram> {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    pub(super) fn count_receive_error(&mut self) {
        self.receive_errors += 1;
    }

    /// When there is something to do without a datagram coming in.
    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        let sweep = (!self.places.is_empty()).then_some(self.next_sweep);
        let links = [self.up.next_deadline(), self.down.next_deadline(), sweep];
        links.into_iter().flatten().min()
    }

    /// A datagram of a client came in.
    pub(super) fn client_sent(
        &mut self,
        now: Nanos,
        address: SocketAddr,
        bytes: &[u8],
        registry: &Registry,
    ) {
        let Some(place) = self.client_of(now, address, registry) else {
            return self.up.refuse(bytes.len() as u32, DropReason::FlowsFull);
        };
        self.relay(Direction::Up, now, place, bytes);
    }

    /// A datagram for the client at `place` came in.
    pub(super) fn upstream_sent(&mut self, now: Nanos, place: usize, bytes: &[u8]) {
        self.relay(Direction::Down, now, place, bytes);
    }

    /// Receives from the upstream socket of the client at `place`.
    pub(super) fn receive(&self, place: usize, buffer: &mut [u8]) -> io::Result<usize> {
        match self.clients.get(place) {
            Some(Some(client)) => client.socket.recv(buffer),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// The system says that a datagram of this client found nobody at the upstream: one delivery
    /// was none. (The system keeps one such notice a socket, so of a burst one may be counted.)
    pub(super) fn refused(&mut self, place: usize) {
        if let Some(Some(client)) = self.clients.get_mut(place)
            && client.sent > 0
        {
            client.sent -= 1;
            self.up.revoke_delivery(client.sent_bytes, DropReason::Refused);
        }
    }

    fn relay(&mut self, direction: Direction, now: Nanos, place: usize, bytes: &[u8]) {
        let Some(Some(client)) = self.clients.get_mut(place) else { return };
        client.last_active = now;
        let flow = client.flow;
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(bytes);
        let payload = Datagram { client: place, bytes: buffer };
        let packet = Packet { flow, size_bytes: bytes.len() as u32, payload };
        let verdict = self.link(direction).input(now, packet);
        if let Some(Some(client)) = self.clients.get_mut(place) {
            client.on_their_way += copies(&verdict);
        }
    }

    /// Sends everything that is due at `now`; what goes to clients leaves through `listener`.
    pub(super) fn release(&mut self, now: Nanos, listener: &UdpSocket) {
        while let Some(packet) = self.up.poll(now) {
            let Some(datagram) = self.claim(packet.payload) else { continue };
            self.send_upstream(&datagram, packet.size_bytes);
            self.reuse(datagram.bytes);
        }
        while let Some(packet) = self.down.poll(now) {
            let Some(datagram) = self.claim(packet.payload) else { continue };
            let Some(Some(client)) = self.clients.get(datagram.client) else { continue };
            if let Err(error) = listener.send_to(&datagram.bytes, client.address) {
                self.down.revoke_delivery(packet.size_bytes, reason(&error));
            }
            self.reuse(datagram.bytes);
        }
    }

    /// Takes note that a datagram has left the links.
    fn claim(&mut self, datagram: Datagram) -> Option<Datagram> {
        let client = self.clients.get_mut(datagram.client)?.as_mut()?;
        client.on_their_way -= 1;
        Some(datagram)
    }

    fn send_upstream(&mut self, datagram: &Datagram, size_bytes: u32) {
        let place = datagram.client;
        // An error may be the notice that an earlier datagram was refused; then this one has not
        // been sent yet, and goes out at the second attempt.
        for attempt in 1..=2 {
            let Some(Some(client)) = self.clients.get_mut(place) else { return };
            match client.socket.send(&datagram.bytes) {
                Ok(_) => {
                    client.sent += 1;
                    client.sent_bytes = size_bytes;
                    return;
                }
                Err(error) if attempt == 1 && reason(&error) == DropReason::Refused => {
                    self.refused(place);
                }
                Err(error) => return self.up.revoke_delivery(size_bytes, reason(&error)),
            }
        }
    }

    fn reuse(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= SPARE_BYTES_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// The place of the client at `address`; a new one gets an upstream socket. `None`: there are
    /// as many clients as there may be, or the system has no socket left.
    fn client_of(&mut self, now: Nanos, address: SocketAddr, registry: &Registry) -> Option<usize> {
        if let Some(&place) = self.places.get(&address) {
            return Some(place);
        }
        if self.places.len() >= self.clients_max {
            return None;
        }
        let place = self.free.last().copied().unwrap_or(self.clients.len());
        let mut socket = socket::connect(self.upstream).ok()?;
        registry.register(&mut socket, Token(place), Interest::READABLE).ok()?;
        let flow = FlowOrdinal(self.next_flow);
        let client = Client {
            address,
            flow,
            socket,
            last_active: now,
            on_their_way: 0,
            sent: 0,
            sent_bytes: 0,
        };
        self.next_flow += 1;
        if self.places.is_empty() {
            self.next_sweep = now + self.sweep_interval();
        }
        self.places.insert(address, place);
        match self.free.pop() {
            Some(place) => self.clients[place] = Some(client),
            None => self.clients.push(Some(client)),
        }
        Some(place)
    }

    fn sweep_interval(&self) -> Nanos {
        Nanos::from_nanos((self.idle.as_nanos() / 4).max(SWEEP_INTERVAL_MIN.as_nanos()))
    }

    /// Forgets the clients that have been silent for too long and have nothing on its way.
    pub(super) fn sweep(&mut self, now: Nanos, registry: &Registry) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + self.sweep_interval();
        for place in 0..self.clients.len() {
            let silent = |client: &mut Client| {
                client.on_their_way == 0 && now - client.last_active >= self.idle
            };
            let Some(mut client) = self.clients[place].take_if(silent) else { continue };
            // The socket is closed next, which removes it from the event queue in any case.
            let _ = registry.deregister(&mut client.socket);
            self.places.remove(&client.address);
            self.free.push(place);
            self.up.forget_flow(client.flow);
            self.down.forget_flow(client.flow);
            self.expired += 1;
        }
    }

    /// Drops what is on its way and closes the upstream sockets.
    pub(super) fn shut_down(&mut self) {
        self.up.drop_queued(DropReason::Closed);
        self.down.drop_queued(DropReason::Closed);
        self.places.clear();
        self.clients.clear();
        self.spare = Vec::new();
    }
}

/// How many copies of a packet are on their way after `verdict`.
fn copies(verdict: &Verdict) -> u64 {
    u64::from(verdict.is_delivered()) + u64::from(verdict.effects.contains(Effects::DUPLICATE))
}

/// Why a datagram that could not be sent counts as dropped.
fn reason(error: &io::Error) -> DropReason {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::ConnectionRefused, _) => DropReason::Refused,
        (io::ErrorKind::WouldBlock, _) | (_, Some(libc::ENOBUFS)) => DropReason::SendBufferFull,
        _ => DropReason::SendFailed,
    }
}
