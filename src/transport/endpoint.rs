//! All connections of one socket, sans-IO: routes datagrams, opens connections, keeps no state
//! for strangers beyond a limit.
//!
//! The same four families of methods as a connection; a driver or a simulator owns the socket
//! and the clock. Costs are logarithmic in the number of connections, and connections that have
//! nothing to do cost nothing.

mod open;
mod routes;
mod stateless;

pub use routes::Handle;

use super::ack::Ecn;
use super::config::{Config, ConfigError};
use super::connection::{Connection, ConnectionEvent, Transmit};
use super::reset_budget::ResetBudget;
use super::state::State;
use super::stats::DropReason;
use super::time::{Micros, Time};
use super::trace::TraceEvent;
use crate::wire::transport::{ConnectionId, is_long, peek_dcid};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use ring::hmac;
use routes::Table;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// What an endpoint may hold.
#[derive(Clone, Copy, Debug)]
pub struct EndpointLimits {
    /// Connections at a time (default 65,536).
    pub connections_max: usize,
    /// With this many half-open connections, strangers must prove their address first
    /// (default 64).
    pub half_open_max: usize,
}

impl Default for EndpointLimits {
    fn default() -> Self {
        Self { connections_max: 65_536, half_open_max: 64 }
    }
}

/// Whether so many strangers come that each must prove its address before anything is kept for it.
#[derive(Debug, Default)]
struct Flood {
    until: Time,
    /// Strangers since it began or was last found to go on.
    strangers: usize,
}

/// After the last sign of a flood, strangers must prove their addresses for so long.
const FLOOD_MEMORY: Micros = Micros::from_secs(10);

impl Flood {
    /// A stranger comes while `half_open` wait; `limit` of them, or as many strangers within the
    /// memory of a flood, are (still) one.
    fn is_on(&mut self, now: Time, half_open: usize, limit: usize) -> bool {
        self.strangers += 1;
        if half_open >= limit || (now < self.until && self.strangers >= limit) {
            *self = Self { until: now + FLOOD_MEMORY, strangers: 0 };
        }
        now < self.until
    }
}

/// All connections of one socket.
#[derive(Debug)]
pub struct Endpoint {
    config: Arc<Config>,
    limits: EndpointLimits,
    listens: bool,
    rng: ChaCha12Rng,
    reset_key: Arc<hmac::Key>,
    cookie_key: hmac::Key,
    table: Table,
    half_open: BTreeSet<Handle>,
    flood: Flood,
    /// Connections that may have something to send, each at most once.
    dirty: VecDeque<Handle>,
    is_dirty: BTreeSet<Handle>,
    /// Connections that had input or commands since they were last asked for.
    changed: BTreeSet<Handle>,
    timers: BTreeSet<(Time, Handle)>,
    stateless: VecDeque<(SocketAddr, Vec<u8>)>,
    resets: ResetBudget,
    events: VecDeque<(Handle, ConnectionEvent)>,
    dropped: BTreeMap<DropReason, u64>,
}

// Construction.
impl Endpoint {
    /// An endpoint; one that `listens` takes connections of others. Everything random follows
    /// from `seed`, which must be secret and new each time outside of a simulation.
    pub fn new(config: Config, listens: bool, seed: [u8; 32]) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut rng = ChaCha12Rng::from_seed(seed);
        let mut key = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            hmac::Key::new(hmac::HMAC_SHA256, &bytes)
        };
        let (drawn, cookie_key) = (key(), key());
        let reset_key = Arc::new(config.security.reset_key().unwrap_or(drawn));
        Ok(Self {
            config: Arc::new(config),
            limits: EndpointLimits::default(),
            listens,
            rng,
            reset_key,
            cookie_key,
            table: Table::default(),
            half_open: BTreeSet::new(),
            flood: Flood::default(),
            dirty: VecDeque::new(),
            is_dirty: BTreeSet::new(),
            changed: BTreeSet::new(),
            timers: BTreeSet::new(),
            stateless: VecDeque::new(),
            resets: ResetBudget::default(),
            events: VecDeque::new(),
            dropped: BTreeMap::new(),
        })
    }

    /// The same endpoint with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: EndpointLimits) -> Self {
        self.limits = limits;
        self
    }
}

// Input.
impl Endpoint {
    /// A datagram arrived. Its bytes are decrypted in place.
    pub fn handle_datagram(&mut self, now: Time, from: SocketAddr, ecn: Ecn, datagram: &mut [u8]) {
        let Some(dcid) = peek_dcid(datagram) else {
            return self.drop_datagram(DropReason::Malformed);
        };
        // A reset comes with random ids; what it ends with tells whom it concerns.
        let is_short = !is_long(datagram);
        let resets = || self.table.reset_route(datagram).filter(|_| is_short);
        if let Some(handle) = self.table.route(dcid).or_else(resets) {
            if let Some(connection) = self.table.get_mut(handle) {
                connection.handle_datagram(now, from, ecn, datagram);
                self.touch(handle);
            }
        } else if !is_short {
            self.handle_stranger(now, from, datagram);
        } else {
            self.answer_with_reset(now, from, dcid, datagram.len());
        }
    }

    /// The next deadline has come (harmless before).
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((_, handle)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.pop_first();
            if let Some(connection) = self.table.get_mut(handle) {
                connection.handle_timeout(now);
                self.table.set_timer(handle, None);
                self.touch(handle);
            }
        }
    }
}

// Commands.
impl Endpoint {
    /// A connection, to give commands to.
    pub fn connection_mut(&mut self, handle: Handle) -> Option<&mut Connection> {
        self.touch(handle);
        self.table.get_mut(handle)
    }

    /// Takes no more connections.
    pub fn stop_listening(&mut self) {
        self.listens = false;
    }

    /// Ends a connection that nobody will take.
    pub fn refuse(&mut self, now: Time, handle: Handle) {
        self.drop_datagram(DropReason::TooManyConnections);
        if let Some(connection) = self.connection_mut(handle) {
            connection.abort(now);
        }
    }

    /// Forgets a connection, whatever its state. To be called for each that is over, once its
    /// messages have been taken.
    pub fn forget(&mut self, handle: Handle) {
        if let Some(at) = self.table.timer(handle) {
            self.timers.remove(&(at, handle));
        }
        self.half_open.remove(&handle);
        self.changed.remove(&handle);
        self.table.remove(handle);
    }
}

// Output.
impl Endpoint {
    /// Writes datagrams for one address to the end of `out`, at most `segments_max`.
    pub fn poll_transmit(
        &mut self,
        now: Time,
        segments_max: usize,
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if let Some(transmit) = self.poll_stateless(segments_max, out) {
            return Some(transmit);
        }
        while let Some(handle) = self.dirty.pop_front() {
            let transmit = self
                .table
                .get_mut(handle)
                .and_then(|connection| connection.poll_transmit(now, segments_max, out));
            if transmit.is_some() {
                // Back in line, so that connections take turns.
                self.dirty.push_back(handle);
                return transmit;
            }
            self.is_dirty.remove(&handle);
            self.settle(handle);
        }
        None
    }

    /// What the application should know.
    pub fn poll_event(&mut self) -> Option<(Handle, ConnectionEvent)> {
        self.events.pop_front()
    }

    /// What a connection recorded since the last call, if [`Config::trace`] is on.
    pub fn take_trace(&mut self, handle: Handle) -> Vec<(Time, TraceEvent)> {
        self.table.get_mut(handle).map(Connection::take_trace).unwrap_or_default()
    }

    /// A connection that had input or commands since the last call.
    pub fn poll_changed(&mut self) -> Option<Handle> {
        self.changed.pop_first()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called, at the latest. Valid after
    /// [`poll_transmit`](Self::poll_transmit) has returned `None`.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }
}

// Getters.
impl Endpoint {
    /// A connection, to look at.
    pub fn connection(&self, handle: Handle) -> Option<&Connection> {
        self.table.get(handle)
    }

    /// One of the ids the peer uses for a connection.
    pub fn local_id(&self, handle: Handle) -> Option<ConnectionId> {
        self.table.get(handle)?.local_ids().next()
    }

    /// How many connections there are, in any state.
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// Whether every connection has said its last word.
    pub fn is_quiet(&self) -> bool {
        self.table.connections().all(Connection::is_gone)
    }

    /// How many connections wait for their client to prove itself.
    pub fn half_open(&self) -> usize {
        self.half_open.len()
    }

    /// Datagrams dropped before they reached a connection, by reason.
    pub fn dropped(&self) -> impl Iterator<Item = (DropReason, u64)> {
        self.dropped.iter().map(|(reason, count)| (*reason, *count))
    }
}

// What follows a change of a connection.
impl Endpoint {
    fn drop_datagram(&mut self, reason: DropReason) {
        *self.dropped.entry(reason).or_default() += 1;
    }

    /// The connection may have something to send or to say.
    fn touch(&mut self, handle: Handle) {
        self.changed.insert(handle);
        if self.is_dirty.insert(handle) {
            self.dirty.push_back(handle);
        }
        self.collect(handle);
    }

    /// Moves events and routes of a connection to where they belong.
    fn collect(&mut self, handle: Handle) {
        let Some(connection) = self.table.get_mut(handle) else { return };
        let (mut routings, mut events) = (Vec::new(), Vec::new());
        while let Some(routing) = connection.poll_routing() {
            routings.push(routing);
        }
        while let Some(event) = connection.poll_event() {
            events.push(event);
        }
        for routing in routings {
            self.table.apply(handle, routing);
        }
        for event in events {
            // A half-open connection that ends: nobody has heard of it, nobody will ask for it.
            if self.half_open.remove(&handle) && event != ConnectionEvent::Connected {
                return self.forget(handle);
            }
            self.events.push_back((handle, event));
        }
    }

    /// A connection has nothing to send now: note when it wants to be called again.
    fn settle(&mut self, handle: Handle) {
        self.collect(handle);
        let Some(connection) = self.table.get(handle) else { return };
        let next = connection.next_deadline();
        let is_closed = connection.state() == State::Closed;
        let known = self.table.timer(handle);
        if known != next {
            if let Some(at) = known {
                self.timers.remove(&(at, handle));
            }
            if let Some(at) = next {
                self.timers.insert((at, handle));
            }
            self.table.set_timer(handle, next);
        }
        if is_closed {
            self.table.unroute(handle);
        }
    }
}
