//! The relay's state: the two links, the clients, and what becomes of each datagram.
//!
//! Rule of this file: it sends and receives on sockets that never block, and never waits.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::batch::{self, Inbox, Message};
use super::clients::{Client, Clients};
use super::datagram::{Datagram, Due};
use super::{RelayConfig, RelayStats, socket};
use crate::capture::UdpTap;
use crate::clock::Clock;
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

/// Everything the engine works on, and the handle looks at.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) clock: Clock,
    /// Until the end, which gives its port back.
    pub(super) listener: Option<UdpSocket>,
    registry: Registry,
    upstream: SocketAddr,
    up: Link<Datagram>,
    down: Link<Datagram>,
    pub(super) clients: Clients,
    clients_max: usize,
    idle: Nanos,
    next_sweep: Nanos,
    /// Whether several datagrams may leave by one call.
    pub(super) offload: bool,
    /// Datagrams that leave now, and the messages they leave in: empty between two turns.
    pub(super) due: Vec<Due>,
    pub(super) messages: Vec<Message>,
    spare: Vec<Vec<u8>>,
    expired: u64,
    refused_sockets: u64,
    receive_errors: u64,
    listener_overruns: u32,
    pub(super) tap: Option<UdpTap>,
}

impl Core {
    pub(super) fn new(
        config: &RelayConfig,
        seed: Seed,
        listener: UdpSocket,
        registry: Registry,
    ) -> Self {
        let link = |direction, config: &RelayConfig| {
            let link_config = match direction {
                Direction::Up => config.up.clone(),
                Direction::Down => config.down.clone(),
            };
            Link::new(direction, link_config, seed).with_log(config.log_packets_max).with_bytes()
        };
        Self {
            clock: Clock::start(),
            listener: Some(listener),
            registry,
            upstream: config.upstream,
            up: link(Direction::Up, config),
            down: link(Direction::Down, config),
            clients: Clients::default(),
            clients_max: config.clients_max,
            idle: config.idle,
            next_sweep: Nanos::ZERO,
            offload: config.offload,
            due: Vec::new(),
            messages: Vec::new(),
            spare: Vec::new(),
            expired: 0,
            refused_sockets: 0,
            receive_errors: 0,
            listener_overruns: 0,
            tap: None,
        }
    }

    pub(super) fn stats(&mut self) -> RelayStats {
        self.count_listener_overruns();
        RelayStats {
            up: *self.up.stats(),
            down: *self.down.stats(),
            clients: self.clients.len() as u64,
            clients_total: u64::from(self.clients.total),
            clients_expired: self.expired,
            sockets_refused: self.refused_sockets,
            receive_errors: self.receive_errors,
        }
    }

    pub(super) const fn link(&mut self, direction: Direction) -> &mut Link<Datagram> {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    pub(super) const fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    /// When there is something to do without a datagram coming in.
    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        let sweep = (self.clients.len() > 0).then_some(self.next_sweep);
        let links = [self.up.next_deadline(), self.down.next_deadline(), sweep];
        links.into_iter().flatten().min()
    }

    /// Reads one batch from the listener; `true` when it is empty.
    pub(super) fn read_listener(&mut self, inbox: &mut Inbox) -> bool {
        let Some(listener) = &self.listener else { return true };
        let count = match inbox.receive(listener) {
            Ok(count) => count,
            Err(error) => return self.could_not_receive(&error),
        };
        let now = self.clock.now();
        for index in 0..count {
            let Some((meta, overruns, bytes)) = inbox.entry(index) else {
                self.receive_errors += 1;
                continue;
            };
            if let Some(overruns) = overruns {
                count_overruns(&mut self.up, &mut self.listener_overruns, overruns);
            }
            let place = self.client_of(now, meta.from, meta.to);
            // Split before any decision: what came together is decided one by one.
            each(bytes, meta.segment_bytes, |bytes| match place {
                Some(place) => self.relay(Direction::Up, now, place, meta.tos, bytes),
                None => {
                    self.up.refuse(bytes.len() as u32, DropReason::FlowsFull);
                    self.show_refusal(now, meta.from, meta.tos, bytes);
                }
            });
        }
        count < inbox.capacity()
    }

    /// Reads one batch from the upstream socket of the client at `place`; `true` when it is empty.
    pub(super) fn read_upstream(&mut self, place: usize, inbox: &mut Inbox) -> bool {
        let Some(client) = self.clients.get(place) else { return true };
        let count = match inbox.receive(&client.socket) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                self.refused(place);
                return false;
            }
            Err(error) => return self.could_not_receive(&error),
        };
        let now = self.clock.now();
        for index in 0..count {
            let Some((meta, overruns, bytes)) = inbox.entry(index) else {
                self.receive_errors += 1;
                continue;
            };
            if let (Some(overruns), Some(client)) = (overruns, self.clients.get_mut(place)) {
                count_overruns(&mut self.down, &mut client.overruns, overruns);
            }
            each(bytes, meta.segment_bytes, |bytes| {
                self.relay(Direction::Down, now, place, meta.tos, bytes);
            });
        }
        count < inbox.capacity()
    }

    fn could_not_receive(&mut self, error: &io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::WouldBlock => true,
            io::ErrorKind::Interrupted => false,
            _ => {
                self.receive_errors += 1;
                false
            }
        }
    }

    /// The system says that a datagram of this client found nobody at the upstream: one delivery
    /// was none. (The system keeps one such notice a socket, so of a burst one may be counted.)
    pub(super) fn refused(&mut self, place: usize) {
        if let Some(client) = self.clients.get_mut(place)
            && client.sent > 0
        {
            client.sent -= 1;
            let size_bytes = client.sent_bytes;
            self.show_unreachable(place);
            self.up.revoke_delivery(size_bytes, DropReason::Refused);
        }
    }

    fn relay(&mut self, direction: Direction, now: Nanos, place: usize, tos: u8, bytes: &[u8]) {
        let Some(client) = self.clients.get_mut(place) else { return };
        client.last_active = now;
        let flow = client.flow;
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(bytes);
        let id = self.tap.as_mut().map_or(0, UdpTap::next_id);
        let payload = Datagram { client: place, id, tos, bytes: buffer };
        let packet = Packet { flow, size_bytes: bytes.len() as u32, payload };
        let verdict = self.link(direction).input(now, packet);
        if let Some(client) = self.clients.get_mut(place) {
            client.on_their_way += copies(&verdict);
        }
        self.show_arrival(now, direction, &verdict, (place, id, tos), bytes);
    }

    pub(super) fn reuse(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= SPARE_BYTES_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// The place of the client at `address`; a new one gets an upstream socket. `None`: there are
    /// as many clients as there may be, or the system has no socket left.
    fn client_of(&mut self, now: Nanos, address: SocketAddr, to: Option<IpAddr>) -> Option<usize> {
        let place = match self.clients.find(address) {
            Some(place) => place,
            None if self.clients.len() >= self.clients_max => return None,
            None => {
                if self.clients.len() == 0 {
                    self.next_sweep = now + self.sweep_interval();
                }
                let socket = self.open(self.clients.next_place())?;
                self.clients.enter(address, socket)
            }
        };
        if to.is_some()
            && let Some(client) = self.clients.get_mut(place)
        {
            client.local = to;
        }
        Some(place)
    }

    /// A socket connected to the upstream, for the client at `place`.
    fn open(&mut self, place: usize) -> Option<UdpSocket> {
        let open = || {
            let mut socket = socket::connect(self.upstream).ok()?;
            let register = self.registry.register(&mut socket, Token(place), Interest::READABLE);
            register.ok().map(|()| socket)
        };
        let socket = open();
        self.refused_sockets += u64::from(socket.is_none());
        socket
    }

    /// Gives clients a new upstream socket, as a NAT that forgets its mappings does: the upstream
    /// sees them come from another port, and what it sends to the old one is lost. All of them, or
    /// the one of `flow`. Returns how many were moved.
    pub(super) fn rebind(&mut self, flow: Option<FlowOrdinal>) -> usize {
        let mut inbox = None;
        let mut moved = 0;
        for place in self.clients.places() {
            let is_meant = |client: &Client| flow.is_none_or(|flow| flow == client.flow);
            if !self.clients.get(place).is_some_and(is_meant) {
                continue;
            }
            // What the old socket already has came before.
            let inbox = inbox.get_or_insert_with(Inbox::new);
            while !self.read_upstream(place, inbox) {}
            let Some(socket) = self.open(place) else { continue };
            let Some(client) = self.clients.get_mut(place) else { continue };
            let mut old = std::mem::replace(&mut client.socket, socket);
            let mut seen = std::mem::take(&mut client.overruns);
            client.sent = 0;
            moved += 1;
            self.retire(&mut old, &mut seen);
        }
        moved
    }

    /// The last look at an upstream socket that is closed next.
    fn retire(&mut self, socket: &mut UdpSocket, seen: &mut u32) {
        if let Some(overruns) = batch::overruns(socket) {
            count_overruns(&mut self.down, seen, overruns);
        }
        // Closing removes it from the event queue in any case.
        let _ = self.registry.deregister(socket);
    }

    fn count_listener_overruns(&mut self) {
        if let Some(overruns) = self.listener.as_ref().and_then(batch::overruns) {
            count_overruns(&mut self.up, &mut self.listener_overruns, overruns);
        }
    }

    fn sweep_interval(&self) -> Nanos {
        Nanos::from_nanos((self.idle.as_nanos() / 4).max(SWEEP_INTERVAL_MIN.as_nanos()))
    }

    /// Forgets the clients that have been silent for too long and have nothing on its way.
    pub(super) fn sweep(&mut self, now: Nanos) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + self.sweep_interval();
        for place in self.clients.places() {
            let Some(client) = self.clients.take_silent(place, now, self.idle) else { continue };
            let Client { mut socket, mut overruns, flow, .. } = client;
            self.retire(&mut socket, &mut overruns);
            self.up.forget_flow(flow);
            self.down.forget_flow(flow);
            self.expired += 1;
        }
    }

    /// Drops what is on its way and closes the upstream sockets.
    pub(super) fn shut_down(&mut self) {
        self.show_the_end();
        self.up.drop_queued(DropReason::Closed);
        self.down.drop_queued(DropReason::Closed);
        for Client { mut socket, mut overruns, .. } in self.clients.drain() {
            self.retire(&mut socket, &mut overruns);
        }
        self.count_listener_overruns();
        self.listener = None;
        self.spare = Vec::new();
    }
}

/// Calls `take` for each datagram in `bytes`; no bytes are an empty datagram.
fn each(bytes: &[u8], segment_bytes: usize, mut take: impl FnMut(&[u8])) {
    if bytes.is_empty() {
        return take(bytes);
    }
    bytes.chunks(segment_bytes).for_each(take);
}

/// How many copies of a packet are on their way after `verdict`.
fn copies(verdict: &Verdict) -> u64 {
    u64::from(verdict.is_delivered()) + u64::from(verdict.effects.contains(Effects::DUPLICATE))
}

/// A socket has dropped `total` datagrams in its life (the counter wraps), `seen` of which are
/// counted: the others are the relay's own loss. Their sizes are not known.
fn count_overruns(link: &mut Link<Datagram>, seen: &mut u32, total: u32) {
    let more = total.wrapping_sub(*seen);
    // A datagram that waited tells an older number than the socket itself has told since.
    if more == 0 || more > u32::MAX / 2 {
        return;
    }
    *seen = total;
    for _ in 0..more {
        link.refuse(0, DropReason::RelayOverrun);
    }
}
