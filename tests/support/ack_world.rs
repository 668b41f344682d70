//! `UDPWithACK` machines around one server on netem's simulator, in virtual time.
//!
//! Client `n` is flow `n`; `Up` leads from the clients to the server. Every message is derived
//! from the seed, the client and its index, so the checker knows what must arrive.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use netem::{Direction, FlowOrdinal, LinkConfig, Nanos, Seed, Simulator};
use udpcore::arq::ack::{AckConfig, AckEndpoint};
use udpcore::arq::send_policy::SendPolicy;
use udpcore::flow::time::Micros;
use udpcore::wire::serial::Serial;

use crate::support::rng::Rng;

/// What to simulate.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The seed of the network and of the messages.
    pub(crate) seed: u64,
    /// How many clients send to the server.
    pub(crate) clients: u32,
    /// How many messages each of them sends.
    pub(crate) messages: usize,
    /// Retries and timeout of each message.
    pub(crate) policy: SendPolicy,
    /// The number of each client's first message.
    pub(crate) first_seq: u32,
    /// The way there and the way back.
    pub(crate) link: LinkConfig,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Messages acknowledged, of all clients.
    pub(crate) acked: u64,
    /// Messages failed, of all clients.
    pub(crate) failed: u64,
    /// Messages delivered to the server's application.
    pub(crate) delivered: u64,
    /// Duplicates the server recognised.
    pub(crate) duplicates: u64,
    /// Repetitions the clients sent.
    pub(crate) retransmissions: u64,
    /// How long it took.
    pub(crate) virtual_time: Duration,
    /// The network's decisions, as text.
    pub(crate) log: String,
}

const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 9, 9)), 9);

struct World {
    plan: Plan,
    sim: Simulator<Vec<u8>>,
    clients: Vec<AckEndpoint>,
    server: AckEndpoint,
    submitted: Vec<usize>,
    /// How often each message was delivered, by client and index.
    delivered: BTreeMap<(u32, usize), u32>,
}

/// The message `index` of `client`: 1 to 1,400 bytes.
pub(crate) fn message(seed: u64, client: u32, index: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed ^ u64::from(client) << 40 ^ index as u64);
    let len = 1 + rng.below(1_400) as usize;
    rng.bytes(len)
}

/// Runs the plan until every message is settled and the network is empty.
///
/// # Panics
/// When a message is corrupted, delivered twice or invented, when one is acknowledged without
/// having been delivered, when the books of an endpoint or of a link do not balance.
pub(crate) fn run(plan: Plan) -> Outcome {
    let first_seq = Serial::new(plan.first_seq);
    let config = AckConfig { first_seq, ..AckConfig::default() };
    let mut world = World {
        sim: Simulator::new(Seed(plan.seed), plan.link.clone(), plan.link.clone()),
        clients: (0..plan.clients).map(|_| AckEndpoint::new(config)).collect(),
        server: AckEndpoint::new(AckConfig::default()),
        submitted: vec![0; plan.clients as usize],
        delivered: BTreeMap::new(),
        plan,
    };
    while world.step() {}
    world.outcome()
}

impl World {
    fn now(&self) -> Micros {
        Micros::new(self.sim.now().as_micros())
    }

    /// One event: submit and transmit what can be, then move to the next arrival or deadline.
    fn step(&mut self) -> bool {
        let now = self.now();
        for (n, client) in self.clients.iter_mut().enumerate() {
            let flow = FlowOrdinal(n as u32);
            let next = &mut self.submitted[n];
            while *next < self.plan.messages && client.has_room() {
                let payload = message(self.plan.seed, flow.0, *next);
                client.send(now, SERVER, &payload, self.plan.policy).expect("room");
                *next += 1;
            }
            while let Some(transmit) = client.poll_transmit() {
                self.sim.send(Direction::Up, flow, transmit.contents.as_slice().to_vec());
            }
        }
        while let Some(transmit) = self.server.poll_transmit() {
            let flow = FlowOrdinal(u32::from(transmit.to.port()));
            self.sim.send(Direction::Down, flow, transmit.contents.as_slice().to_vec());
        }
        let deadline = self.clients.iter().filter_map(AckEndpoint::poll_timeout).min();
        let until = match (deadline, self.sim.next_deadline()) {
            (None, None) => return false,
            (Some(deadline), _) => Nanos::from_micros(deadline.get()),
            (None, Some(arrival)) => arrival,
        };
        match self.sim.advance(until) {
            Some(arrival) => self.arrive(arrival.direction, arrival.flow, &arrival.payload),
            None => {
                let now = self.now();
                self.clients.iter_mut().for_each(|client| client.handle_timeout(now));
            }
        }
        true
    }

    fn arrive(&mut self, direction: Direction, flow: FlowOrdinal, datagram: &[u8]) {
        let now = self.now();
        match direction {
            Direction::Down => self.clients[flow.0 as usize].handle_datagram(now, SERVER, datagram),
            Direction::Up => {
                let from = SocketAddr::from(([10, 0, 0, 1], flow.0 as u16));
                self.server.handle_datagram(now, from, datagram);
                while let Some(received) = self.server.receive() {
                    let client = u32::from(received.from.port());
                    let first = Serial::new(self.plan.first_seq);
                    let index = first.distance_to(received.seq).cast_unsigned() as usize;
                    assert_eq!(
                        received.payload,
                        message(self.plan.seed, client, index),
                        "corrupted"
                    );
                    let times = self.delivered.entry((client, index)).or_default();
                    *times += 1;
                    assert_eq!(*times, 1, "message {index} of client {client} delivered twice");
                }
            }
        }
    }

    fn outcome(self) -> Outcome {
        for direction in Direction::BOTH {
            assert!(self.sim.stats(direction).is_balanced());
        }
        let (mut acked, mut failed, mut retransmissions) = (0, 0, 0);
        for (n, client) in self.clients.iter().enumerate() {
            let stats = client.stats();
            assert!(client.is_idle(), "client {n} has unsettled messages");
            assert_eq!(stats.sent, self.plan.messages as u64);
            assert_eq!(stats.sent, stats.acked + stats.failed);
            assert_eq!(stats.malformed() + stats.ack_unknown + stats.ack_wrong_peer, 0);
            let failures: Vec<usize> = client
                .failures()
                .map(|(seq, _)| Serial::new(self.plan.first_seq).distance_to(seq) as usize)
                .collect();
            for index in 0..self.plan.messages {
                let arrived = self.delivered.contains_key(&(n as u32, index));
                assert!(
                    arrived || failures.binary_search(&index).is_ok(),
                    "{index} acked, not delivered"
                );
            }
            acked += stats.acked;
            failed += stats.failed;
            retransmissions += stats.retransmissions;
        }
        let server = self.server.stats();
        assert_eq!((server.restarted, server.queue_full, server.malformed()), (0, 0, 0));
        Outcome {
            acked,
            failed,
            delivered: server.received,
            duplicates: server.duplicates,
            retransmissions,
            virtual_time: self.sim.now().to_duration(),
            log: self.sim.log_text(),
        }
    }
}
