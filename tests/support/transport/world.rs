//! Moves datagrams and time between a server and its clients until nothing is left to do.

use super::check::{Amplification, Ledger, check_trace};
use super::scenario::{Draw, Scenario};
use super::traffic::{MODES, compose};
use netem::{Arrival, Direction, FlowOrdinal, Nanos, Seed, Simulator};
use std::net::SocketAddr;
use udpcore::transport::{
    CloseReason, Config, ConnectionEvent, Ecn, Endpoint, Handle, Micros, Security, SendError,
    SendOptions, Time,
};

/// Everything must be over by then.
const PATIENCE: Time = Time(300_000_000);

/// A connection as one end sees it.
#[derive(Debug)]
struct End {
    handle: Handle,
    closed: Option<CloseReason>,
}

/// One client, the server's side of it, and what they said to each other.
#[derive(Debug)]
struct Pair {
    endpoint: Endpoint,
    address: SocketAddr,
    client: End,
    server: Option<End>,
    /// Next message of the plan, for client and server.
    next: [usize; 2],
    up: Ledger,
    down: Ledger,
    rebinds: u16,
    close_sent: bool,
}

/// What a run amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Of every datagram, when and whole.
    pub trace_hash: u32,
    pub datagrams: u64,
    pub finished: Time,
    pub delivered: u64,
    pub connections: u64,
    /// Servers that never heard of the end, and learned of it from silence.
    pub closes_lost: u64,
}

pub struct World {
    scenario: Scenario,
    now: Time,
    sim: Simulator<(SocketAddr, Vec<u8>)>,
    server: Endpoint,
    server_address: SocketAddr,
    pairs: Vec<Pair>,
    amplification: Amplification,
    faults: Draw,
    slept: Micros,
    hash: u32,
    datagrams: u64,
    delivered: u64,
    buffer: Vec<u8>,
}

impl World {
    pub fn new(scenario: Scenario) -> Self {
        let seed = scenario.seed;
        let key = |n: u64| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_be_bytes());
            bytes[8..16].copy_from_slice(&n.to_be_bytes());
            bytes
        };
        let endpoint = |listens, n| {
            Endpoint::new(config(&scenario), listens, key(n)).expect("a valid configuration")
        };
        let server_address = SocketAddr::from(([192, 0, 2, 1], 4433));
        let pairs = (0..scenario.clients)
            .map(|n| {
                let mut endpoint = endpoint(false, n as u64 + 1);
                let handle = endpoint.connect(Time(0), server_address);
                open_channels(&mut endpoint, handle);
                Pair {
                    endpoint,
                    address: SocketAddr::from(([198, 51, 100, n as u8 + 1], 1000)),
                    client: End { handle, closed: None },
                    server: None,
                    next: [0, 0],
                    up: Ledger::default(),
                    down: Ledger::default(),
                    rebinds: 0,
                    close_sent: false,
                }
            })
            .collect();
        Self {
            now: Time(0),
            sim: Simulator::new(Seed(seed), scenario.up.clone(), scenario.down.clone()).with_log(0),
            server: endpoint(true, 0),
            server_address,
            pairs,
            amplification: Amplification::default(),
            faults: Draw::new(seed ^ 0x5eed),
            slept: Micros::ZERO,
            hash: 0,
            datagrams: 0,
            delivered: 0,
            buffer: Vec::new(),
            scenario,
        }
    }

    /// Runs to the end and checks what must hold.
    pub fn run(mut self) -> Summary {
        while !self.is_done() {
            assert!(self.now < PATIENCE, "not over at {:?}: {}", self.now, self.describe());
            self.jump();
            self.rebind();
            self.speak();
            self.flush();
            self.listen();
            self.flush();
            self.step();
        }
        let mut closes_lost = 0;
        for pair in &self.pairs {
            let client = pair.endpoint.connection(pair.client.handle).expect("kept");
            let told = || self.describe();
            assert_eq!(pair.client.closed, Some(CloseReason::Local), "{:?}", told());
            pair.up.check_complete(client);
            let end = pair.server.as_ref().expect("the server met the client");
            let server = self.server.connection(end.handle).expect("kept");
            pair.down.check_complete(server);
            let told = || self.describe();
            // CLOSE is said seven times within a few seconds. Where nothing passes meanwhile,
            // silence tells; where much is lost, it sometimes has to: the test counts how often.
            let orderly = end.closed == Some(CloseReason::Peer);
            assert!(orderly || end.closed == Some(CloseReason::IdleTimeout), "{:?}", told());
            closes_lost += u64::from(!orderly && self.scenario.outages.is_empty());
        }
        Summary {
            trace_hash: self.hash,
            datagrams: self.datagrams,
            finished: self.now,
            delivered: self.delivered,
            connections: self.pairs.len() as u64,
            closes_lost,
        }
    }

    /// How everything stands, for a failure.
    fn describe(&self) -> String {
        let mut text = String::new();
        for (number, pair) in self.pairs.iter().enumerate() {
            let ends = [
                ("client", pair.endpoint.connection(pair.client.handle)),
                ("server", pair.server.as_ref().and_then(|e| self.server.connection(e.handle))),
            ];
            for (side, connection) in ends {
                let Some(connection) = connection else { continue };
                let (state, stats) = (connection.state(), connection.stats());
                let flushed = connection.is_flushed();
                text += &format!("\n{side} {number}: {state:?}, flushed {flushed}, {stats:?}");
                if std::env::var_os("UDPCORE_VERBOSE").is_some() {
                    text += &format!("\n{connection:?}");
                }
            }
        }
        text
    }

    fn is_done(&self) -> bool {
        self.pairs.iter().all(|pair| {
            let server_done = pair.server.as_ref().is_some_and(|end| end.closed.is_some());
            pair.client.closed.is_some() && server_done
        })
    }

    fn deliver(&mut self, arrival: Arrival<(SocketAddr, Vec<u8>)>) {
        self.now = self.now.max(Time(arrival.time.as_micros()));
        let (address, mut bytes) = arrival.payload;
        match arrival.direction {
            Direction::Up => {
                let is_short = bytes.first().is_some_and(|flags| flags & 0x80 == 0);
                self.amplification.on_received(address, bytes.len(), is_short);
                self.server.handle_datagram(self.now, address, Ecn::NotEct, &mut bytes);
            }
            Direction::Down => {
                let Some(pair) = self.pairs.iter_mut().find(|p| p.address == address) else {
                    return;
                };
                let from = self.server_address;
                pair.endpoint.handle_datagram(self.now, from, Ecn::NotEct, &mut bytes);
            }
        }
    }

    /// The machine sleeps for a while: what arrives meanwhile is there when it wakes.
    fn jump(&mut self) {
        let due = self.scenario.jumps.first().copied().filter(|(at, _)| *at <= self.now);
        let Some((_, by)) = due else { return };
        self.scenario.jumps.remove(0);
        self.now += by;
        self.slept = self.slept + by;
        while let Some(arrival) = self.sim.advance(Nanos::from_micros(self.now.0)) {
            self.deliver(arrival);
        }
    }

    /// A NAT gives a client another port.
    fn rebind(&mut self) {
        while let Some((_, client)) =
            self.scenario.rebinds.first().filter(|(at, _)| *at <= self.now)
        {
            let pair = &mut self.pairs[*client];
            pair.rebinds += 1;
            pair.address.set_port(1000 + pair.rebinds);
            self.scenario.rebinds.remove(0);
        }
    }

    /// Both sides hand over what is planned; when all of it is settled the client closes.
    fn speak(&mut self) {
        let now = self.now;
        for (number, pair) in self.pairs.iter_mut().enumerate() {
            let plan = &self.scenario.plans[number].messages;
            for (side, by_server) in [false, true].into_iter().enumerate() {
                let (endpoint, handle, ledger) = if by_server {
                    let Some(end) = &pair.server else { continue };
                    (&mut self.server, end.handle, &mut pair.down)
                } else {
                    (&mut pair.endpoint, pair.client.handle, &mut pair.up)
                };
                while let Some(planned) = plan.get(pair.next[side]).filter(|p| p.at <= now) {
                    if planned.by_server == by_server {
                        let index = pair.next[side] as u32;
                        let options = SendOptions {
                            channel: planned.channel,
                            deadline: planned.deadline,
                            priority: planned.priority,
                            fec: planned.fec,
                        };
                        let data = compose(index, now, planned);
                        let Some(connection) = endpoint.connection_mut(handle) else { break };
                        match connection.send(now, data, options) {
                            Ok(receipt) => {
                                ledger.sent.insert(index, (*planned, receipt));
                            }
                            Err(SendError::Full) => break,
                            Err(error) => panic!("message {index}: {error}"),
                        }
                    }
                    pair.next[side] += 1;
                }
            }
            let all_said = pair.next == [plan.len(); 2];
            if all_said && !pair.close_sent && settled(pair, &self.server) {
                pair.close_sent = true;
                if let Some(connection) = pair.endpoint.connection_mut(pair.client.handle) {
                    connection.close(now);
                }
            }
        }
    }

    /// Both sides take what came, and learn what happened.
    fn listen(&mut self) {
        let now = self.now;
        // Half of a round trip is only an estimate where jitter hides the shortest way.
        // A packet held back to be overtaken is up to 50 ms late, too.
        let held = if self.scenario.has_reorder() { Micros::from_ms(50) } else { Micros::ZERO };
        // What waited while the machine slept looks like a longer way, if it is all there is to
        // tell the clocks by.
        let slept = self.slept;
        let slack = self.scenario.jitter * 2 + held + slept + Micros::from_ms(1);
        while let Some((handle, event)) = self.server.poll_event() {
            match event {
                ConnectionEvent::Connected => {
                    let remote = self.server.connection(handle).map(|c| c.remote().ip());
                    let pair = self.pairs.iter_mut().find(|p| Some(p.address.ip()) == remote);
                    let pair = pair.expect("a client we know");
                    assert!(pair.server.is_none(), "one client, two connections");
                    pair.server = Some(End { handle, closed: None });
                    open_channels(&mut self.server, handle);
                }
                ConnectionEvent::Closed(reason) => {
                    let ends = self.pairs.iter_mut().filter_map(|p| p.server.as_mut());
                    let end = ends.into_iter().find(|end| end.handle == handle);
                    end.expect("a connection we know").closed = Some(reason);
                }
            }
        }
        for pair in &mut self.pairs {
            while let Some((_, event)) = pair.endpoint.poll_event() {
                if let ConnectionEvent::Closed(reason) = event {
                    pair.client.closed = Some(reason);
                }
            }
            let window = self.scenario.receive_window;
            let mut take = |endpoint: &mut Endpoint, handle, ledger: &mut Ledger| {
                let Some(connection) = endpoint.connection_mut(handle) else { return };
                assert!(connection.stats().bytes_waiting <= window, "more held than granted");
                while let Some(message) = connection.recv(now, None) {
                    ledger.on_received(now, message.channel, &message.data, slack);
                    self.delivered += 1;
                }
                check_trace(&connection.take_trace());
            };
            if let Some(end) = &pair.server {
                take(&mut self.server, end.handle, &mut pair.up);
            }
            take(&mut pair.endpoint, pair.client.handle, &mut pair.down);
        }
    }

    /// Everybody sends what they have.
    fn flush(&mut self) {
        let now = self.now;
        let mut out = std::mem::take(&mut self.buffer);
        for number in 0..self.pairs.len() {
            loop {
                out.clear();
                let Some(transmit) = self.pairs[number].endpoint.poll_transmit(now, 10, &mut out)
                else {
                    break;
                };
                assert_eq!(transmit.remote, self.server_address);
                let from = self.pairs[number].address;
                for datagram in out.chunks(transmit.segment_len) {
                    self.send(Direction::Up, number, from, datagram);
                }
            }
        }
        loop {
            out.clear();
            let Some(transmit) = self.server.poll_transmit(now, 10, &mut out) else { break };
            for datagram in out.chunks(transmit.segment_len) {
                self.amplification.on_sent(transmit.remote, datagram.len());
                let client = self.pairs.iter().position(|p| p.address == transmit.remote);
                // An address that a NAT has taken away leads nowhere.
                if let Some(number) = client {
                    self.send(Direction::Down, number, transmit.remote, datagram);
                }
            }
        }
        self.buffer = out;
    }

    fn send(&mut self, direction: Direction, client: usize, address: SocketAddr, bytes: &[u8]) {
        self.datagrams += 1;
        self.hash = crc32c::crc32c_append(self.hash, &self.now.0.to_be_bytes());
        self.hash = crc32c::crc32c_append(self.hash, bytes);
        let now = self.now;
        let cut = self.scenario.outages.iter().any(|outage| {
            let hit = if direction == Direction::Up { outage.up } else { outage.down };
            hit && outage.from <= now && now < outage.to
        });
        let corrupt = self.faults.below(1000) < self.scenario.corrupt_permille;
        if cut || bytes.len() + 28 > self.scenario.mtu.max(1228) {
            return;
        }
        let mut bytes = bytes.to_vec();
        if corrupt {
            let bit = self.faults.below(bytes.len() as u64 * 8) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let size = bytes.len() as u32;
        let flow = FlowOrdinal(client as _);
        self.sim.send_sized(direction, flow, size, (address, bytes));
    }

    /// Time moves to whatever comes next.
    fn step(&mut self) {
        let timers = self
            .pairs
            .iter()
            .map(|pair| pair.endpoint.next_deadline())
            .chain([self.server.next_deadline()]);
        let plans = self.pairs.iter().zip(&self.scenario.plans).flat_map(|(pair, plan)| {
            pair.next.map(|next| plan.messages.get(next).map(|planned| planned.at))
        });
        let rebinds = self.scenario.rebinds.first().map(|(at, _)| *at);
        let jumps = self.scenario.jumps.first().map(|(at, _)| *at);
        let soonest =
            timers.chain(plans).chain([rebinds, jumps]).flatten().filter(|at| *at > self.now);
        let due = self.next_timer_is_due();
        let next = soonest.min().unwrap_or(PATIENCE + Micros(1));
        let until = if due { self.now } else { next };
        if let Some(arrival) = self.sim.advance(Nanos::from_micros(until.0)) {
            self.deliver(arrival);
            return;
        }
        self.now = self.now.max(until);
        self.server.handle_timeout(self.now);
        for pair in &mut self.pairs {
            pair.endpoint.handle_timeout(self.now);
        }
    }

    fn next_timer_is_due(&self) -> bool {
        let timers = self.pairs.iter().map(|pair| pair.endpoint.next_deadline());
        timers.chain([self.server.next_deadline()]).flatten().any(|at| at <= self.now)
    }
}

fn config(scenario: &Scenario) -> Config {
    Config {
        security: if scenario.encrypted {
            Security::secret(b"the secret of the simulation")
        } else {
            Security::plaintext()
        },
        congestion: scenario.congestion,
        packets_per_key: scenario.packets_per_key,
        message_len_max: 70_000,
        receive_window: scenario.receive_window,
        channel_window: scenario.receive_window - scenario.receive_window / 4,
        handshake_timeout: Micros::from_secs(60),
        linger: Micros::from_secs(120),
        trace: true,
        ..Config::default()
    }
}

fn open_channels(endpoint: &mut Endpoint, handle: Handle) {
    let Some(connection) = endpoint.connection_mut(handle) else { return };
    for channel in 0..8 {
        connection.open_channel(channel, MODES[channel as usize % 4]).expect("a new channel");
    }
}

/// Whether every message of both directions has its outcome, so that closing loses nothing.
fn settled(pair: &Pair, server: &Endpoint) -> bool {
    let done =
        |endpoint: &Endpoint, handle| endpoint.connection(handle).is_some_and(|c| c.is_flushed());
    let server_done = pair.server.as_ref().is_some_and(|end| done(server, end.handle));
    server_done && done(&pair.endpoint, pair.client.handle)
}
