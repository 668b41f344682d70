//! Several connections through one link with a rate: who gets how much of it.

use super::bulk::{MESSAGE_LEN, MESSAGES_AHEAD};
use super::pipe::HEADERS_LEN;
use netem::{Direction, FlowOrdinal, LinkConfig, Nanos, Seed, Simulator};
use std::net::SocketAddr;
use udpcore::transport::{
    Config, Congestion, Ecn, Endpoint, Handle, Micros, Security, SendOptions, Stats, Time,
};

/// One sender and its receiver.
struct Flow {
    client: Endpoint,
    server: Endpoint,
    ours: Handle,
    theirs: Option<Handle>,
    starts_at: Time,
    delivered: u64,
}

/// What a flow came to.
#[derive(Clone, Debug)]
pub struct Share {
    /// Bytes the receiving application got in the span that was asked for.
    pub delivered: u64,
    pub stats: Stats,
}

/// Runs flows, each with its controller and its start, over one link until `end`; what they got
/// from `from` on.
pub fn share(
    seed: u64,
    link: &LinkConfig,
    flows: &[(Congestion, Micros)],
    [from, end]: [Micros; 2],
) -> Vec<Share> {
    let mut world = World::new(seed, link, flows);
    world.run(Time(0) + from);
    let before: Vec<u64> = world.flows.iter().map(|flow| flow.delivered).collect();
    world.run(Time(0) + end);
    let shares = world.flows.iter().zip(before).map(|(flow, before)| Share {
        delivered: flow.delivered - before,
        stats: flow.client.connection(flow.ours).map(|c| c.stats()).unwrap_or_default(),
    });
    shares.collect()
}

struct World {
    flows: Vec<Flow>,
    sim: Simulator<Vec<u8>>,
    now: Time,
}

fn addresses() -> [SocketAddr; 2] {
    [1, 2].map(|host| SocketAddr::from(([192, 0, 2, host], 1)))
}

impl World {
    fn new(seed: u64, link: &LinkConfig, flows: &[(Congestion, Micros)]) -> Self {
        let flow = |(index, (congestion, start)): (usize, &(Congestion, Micros))| {
            let security = Security::plaintext();
            let config = Config { congestion: *congestion, security, ..Config::default() };
            let mut key = [index as u8; 32];
            key[8..16].copy_from_slice(&seed.to_be_bytes());
            let server = Endpoint::new(config.clone(), true, key).expect("valid");
            key[31] = !key[31];
            let mut client = Endpoint::new(config, false, key).expect("valid");
            let starts_at = Time(0) + *start;
            let ours = client.connect(starts_at, addresses()[1]);
            Flow { client, server, ours, theirs: None, starts_at, delivered: 0 }
        };
        let flows = flows.iter().enumerate().map(flow).collect();
        let sim = Simulator::new(Seed(seed), link.clone(), link.clone()).with_log(0);
        Self { flows, sim, now: Time(0) }
    }

    fn run(&mut self, end: Time) {
        while self.now < end {
            let now = self.now;
            for (index, flow) in self.flows.iter_mut().enumerate() {
                if flow.starts_at <= now {
                    flow.speak(now, index, &mut self.sim);
                }
            }
            let next = self.flows.iter().filter_map(|flow| flow.next_deadline(now)).min();
            self.advance(next.map_or(end, |next| next.min(end)).max(now));
        }
    }

    fn advance(&mut self, until: Time) {
        if let Some(mut arrival) = self.sim.advance(Nanos::from_micros(until.0)) {
            self.now = self.now.max(Time(arrival.time.as_micros()));
            let flow = &mut self.flows[arrival.flow.0 as usize];
            let (endpoint, from) = match arrival.direction {
                Direction::Up => (&mut flow.server, addresses()[0]),
                Direction::Down => (&mut flow.client, addresses()[1]),
            };
            endpoint.handle_datagram(self.now, from, Ecn::NotEct, &mut arrival.payload);
        } else {
            self.now = until;
            for flow in self.flows.iter_mut().filter(|flow| flow.starts_at <= until) {
                flow.client.handle_timeout(until);
                flow.server.handle_timeout(until);
            }
        }
    }
}

impl Flow {
    fn next_deadline(&self, now: Time) -> Option<Time> {
        if now < self.starts_at {
            return Some(self.starts_at);
        }
        let timers = [self.client.next_deadline(), self.server.next_deadline()];
        timers.into_iter().flatten().min()
    }

    /// The application sends and takes what it can; then the endpoints send.
    fn speak(&mut self, now: Time, index: usize, sim: &mut Simulator<Vec<u8>>) {
        if let Some(client) = self.client.connection_mut(self.ours) {
            while client.stats().messages_pending < MESSAGES_AHEAD
                && client.send(now, vec![0; MESSAGE_LEN], SendOptions::default()).is_ok()
            {
            }
        }
        while let Some((handle, _)) = self.server.poll_event() {
            self.theirs = Some(handle);
        }
        if let Some(server) = self.theirs.and_then(|handle| self.server.connection_mut(handle)) {
            while let Some(message) = server.recv(now, None) {
                self.delivered += message.data.len() as u64;
            }
        }
        let mut out = Vec::new();
        let ends = [(&mut self.client, Direction::Up), (&mut self.server, Direction::Down)];
        for (endpoint, direction) in ends {
            while let Some(transmit) = endpoint.poll_transmit(now, 10, &mut out) {
                for datagram in out.chunks(transmit.segment_len) {
                    let size = datagram.len() as u32 + HEADERS_LEN;
                    let flow = FlowOrdinal(index as u32);
                    sim.send_sized(direction, flow, size, datagram.to_vec());
                }
                out.clear();
            }
        }
    }
}
