//! One run of the transport in virtual time, and its hash: the same in every build.
//!
//! A client and a server exchange messages of every mode, with deadlines and repair, over netem's
//! simulator with loss, duplication, reordering and a rate; all of it follows from the seed. This
//! file knows nothing of Python: `tests/transport_trace.rs` includes it, so that a debug build and
//! the wheel run the same lines and compare their hashes with the same literals.

use crate::transport::{
    Config, Congestion, Ecn, Endpoint, Fec, Handle, Micros, Mode, Security, SendOptions, Time,
};
use netem::{Direction, FlowOrdinal, LinkConfig, Nanos, Seed, Simulator};
use std::net::SocketAddr;

const MODES: [Mode; 4] = [Mode::Ordered, Mode::Unordered, Mode::Sequenced, Mode::Unreliable];
const MESSAGES: u64 = 120;
const INTERVAL: Micros = Micros::from_ms(9);
const SPAN: Micros = Micros::from_secs(8);

/// The CRC32C of every datagram, when and whole, and of every message delivered.
pub(crate) fn trace_hash(seed: u64) -> Result<u32, String> {
    let mut run = Run::new(seed)?;
    let (mut next, mut number) = (Time(0), 0);
    while run.now < Time(0) + SPAN {
        if number < MESSAGES && run.now >= next {
            run.speak(seed, number)?;
            number += 1;
            next = run.now + INTERVAL;
        }
        run.send();
        run.listen();
        let until = if number < MESSAGES { next } else { Time(0) + SPAN };
        run.advance(until);
    }
    Ok(run.hash)
}

struct Run {
    now: Time,
    sim: Simulator<Vec<u8>>,
    client: (Endpoint, Handle),
    server: (Endpoint, Option<Handle>),
    addresses: [SocketAddr; 2],
    hash: u32,
}

impl Run {
    fn new(seed: u64) -> Result<Self, String> {
        let link = link(seed).map_err(|error| error.to_string())?;
        let addresses = [1, 2].map(|host| SocketAddr::from(([192, 0, 2, host], 4433)));
        let config = config(seed);
        let endpoint = |listens, key| {
            let mut bytes = [key; 32];
            bytes[..8].copy_from_slice(&seed.to_be_bytes());
            Endpoint::new(config.clone(), listens, bytes).map_err(|error| error.to_string())
        };
        let (mut client, server) = (endpoint(false, 1)?, endpoint(true, 2)?);
        let handle = client.connect(Time(0), addresses[1]);
        open_channels(&mut client, handle);
        let sim = Simulator::new(Seed(seed), link.clone(), link).with_log(0);
        let (client, server) = ((client, handle), (server, None));
        Ok(Self { now: Time(0), sim, client, server, addresses, hash: 0 })
    }

    /// Both ends hand over a message, the server once it knows its client.
    fn speak(&mut self, seed: u64, number: u64) -> Result<(), String> {
        let now = self.now;
        let options = SendOptions {
            channel: (number % 4) as u32,
            deadline: number.is_multiple_of(3).then_some(Micros::from_ms(60 + number)),
            priority: (number % 2) as u8,
            fec: [Fec::Off, Fec::Auto, Fec::Permille(300)][number as usize % 3],
        };
        let len = ((seed + number) * 7919 % 6000) as usize;
        let client = self.client.0.connection_mut(self.client.1);
        let server = self.server.1.and_then(|handle| self.server.0.connection_mut(handle));
        for connection in client.into_iter().chain(server) {
            connection
                .send(now, vec![number as u8; len], options)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn send(&mut self) {
        let mut out = Vec::new();
        let ends = [(&mut self.client.0, Direction::Up), (&mut self.server.0, Direction::Down)];
        for (endpoint, direction) in ends {
            while let Some(transmit) = endpoint.poll_transmit(self.now, 10, &mut out) {
                for datagram in out.chunks(transmit.segment_len) {
                    self.hash = crc32c::crc32c_append(self.hash, &self.now.0.to_be_bytes());
                    self.hash = crc32c::crc32c_append(self.hash, datagram);
                    let size = datagram.len() as u32;
                    self.sim.send_sized(direction, FlowOrdinal(0), size, datagram.to_vec());
                }
                out.clear();
            }
        }
    }

    fn listen(&mut self) {
        while let Some((handle, _)) = self.server.0.poll_event() {
            if self.server.1.replace(handle).is_none() {
                open_channels(&mut self.server.0, handle);
            }
        }
        let server = self.server.1.and_then(|handle| self.server.0.connection_mut(handle));
        let client = self.client.0.connection_mut(self.client.1);
        for connection in client.into_iter().chain(server) {
            while let Some(message) = connection.recv(self.now, None) {
                self.hash = crc32c::crc32c_append(self.hash, &message.data);
            }
        }
    }

    /// To the next arrival or timer, at most to `until`.
    fn advance(&mut self, until: Time) {
        let timers = [self.client.0.next_deadline(), self.server.0.next_deadline()];
        let until = timers.into_iter().flatten().fold(until, Time::min).max(self.now);
        if let Some(mut arrival) = self.sim.advance(Nanos::from_micros(until.0)) {
            self.now = self.now.max(Time(arrival.time.as_micros()));
            let [client, server] = self.addresses;
            let (endpoint, from) = match arrival.direction {
                Direction::Up => (&mut self.server.0, client),
                Direction::Down => (&mut self.client.0, server),
            };
            endpoint.handle_datagram(self.now, from, Ecn::NotEct, &mut arrival.payload);
        } else {
            self.now = until;
            self.client.0.handle_timeout(self.now);
            self.server.0.handle_timeout(self.now);
        }
    }
}

fn link(seed: u64) -> Result<LinkConfig, Box<dyn std::error::Error>> {
    Ok(LinkConfig {
        loss: format!("{}%", seed % 4 * 4).parse()?,
        duplicate: "2%".parse()?,
        reorder: "3%".parse()?,
        delay: format!("{}ms 2ms", 5 + seed % 5 * 20).parse()?,
        rate: Some("5mbit".parse()?),
        queue: "droptail 40".parse()?,
        ..LinkConfig::default()
    })
}

fn config(seed: u64) -> Config {
    let is_odd = seed % 2 == 1;
    Config {
        security: if is_odd { Security::secret(b"a trace") } else { Security::plaintext() },
        congestion: if seed % 4 < 2 { Congestion::Cubic } else { Congestion::NewReno },
        packets_per_key: 100,
        ..Config::default()
    }
}

fn open_channels(endpoint: &mut Endpoint, handle: Handle) {
    let Some(connection) = endpoint.connection_mut(handle) else { return };
    for (channel, mode) in (0..).zip(MODES) {
        // They are new: nothing can forbid it.
        let _ = connection.open_channel(channel, mode);
    }
}
