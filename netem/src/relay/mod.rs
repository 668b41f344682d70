//! A UDP relay: clients talk to it, it talks to the upstream, and the network between is bad.
//!
//! Each client gets an upstream socket of its own, so the server sees distinct peers. Clients are
//! numbered by first arrival: that is their flow. TOS and ECN are carried across both ways, and
//! answers leave from the address that the client sent to. The engine runs on its own thread;
//! everything here may be called from any thread.
//!
//! Rules of this folder: no datagram is lost without being counted by reason; the upstream may be
//! down, come and go; no datagram leaves before its time.

mod batch;
mod clients;
mod core;
mod datagram;
mod engine;
mod error;
mod release;
mod show;
mod socket;
mod stats;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use mio::Poll;

use crate::capture::{CaptureStats, UdpTap};
use crate::clock::{Shared, Worker, fresh_seed};
use crate::link::LinkConfig;
use crate::log::{LOG_PACKETS_DEFAULT, write_log};
use crate::packet::{Direction, FlowOrdinal};
use crate::random::Seed;
use crate::replay::Divergence;
use crate::units::Nanos;

use engine::Engine;

pub use error::RelayError;
pub use socket::resolve;
pub use stats::RelayStats;

/// How many clients a relay serves at once unless said otherwise.
pub const CLIENTS_MAX_DEFAULT: usize = 16_384;
/// A client that is silent for so long is forgotten unless said otherwise. RFC 4787, section
/// 4.3: a NAT must not forget a UDP mapping within two minutes.
pub const IDLE_DEFAULT: Nanos = Nanos::from_secs(120);

/// What a relay does, and where.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Where clients send to; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The server.
    pub upstream: SocketAddr,
    /// Client to server.
    pub up: LinkConfig,
    /// Server to client.
    pub down: LinkConfig,
    /// The seed of all decisions; `None` takes a fresh one.
    pub seed: Option<Seed>,
    /// A datagram of one client more is dropped as `flows-full`.
    pub clients_max: usize,
    /// A client that is silent for so long is forgotten.
    pub idle: Nanos,
    /// How many packets a direction the decision log keeps.
    pub log_packets_max: usize,
    /// Where to write what passes, see [`crate::capture`].
    pub pcap: Option<PathBuf>,
    /// Let several datagrams leave by one call (UDP GSO) where the system can. The results are
    /// the same without.
    pub offload: bool,
}

impl RelayConfig {
    /// A relay that does nothing to the datagrams.
    pub fn new(listen: SocketAddr, upstream: SocketAddr) -> Self {
        Self {
            listen,
            upstream,
            up: LinkConfig::default(),
            down: LinkConfig::default(),
            seed: None,
            clients_max: CLIENTS_MAX_DEFAULT,
            idle: IDLE_DEFAULT,
            log_packets_max: LOG_PACKETS_DEFAULT,
            pcap: None,
            offload: true,
        }
    }
}

/// A running relay; dropping it closes it.
///
/// ```
/// use std::net::UdpSocket;
/// use netem::relay::{Relay, RelayConfig};
///
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let config = RelayConfig::new("127.0.0.1:0".parse()?, server.local_addr()?);
/// let relay = Relay::start(config)?;
///
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hello", relay.address())?;
/// let mut buffer = [0; 16];
/// let (size, _) = server.recv_from(&mut buffer)?;
/// assert_eq!(&buffer[..size], b"hello");
/// assert_eq!(relay.close().up.delivered, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    upstream: SocketAddr,
    seed: Seed,
    worker: Worker<core::Core>,
}

impl Relay {
    /// Opens the sockets and starts the engine.
    ///
    /// # Errors
    /// [`RelayError`]: the listening address cannot be bound, the upstream cannot be reached from
    /// this machine at all, or the system has no resources left.
    pub fn start(config: RelayConfig) -> Result<Self, RelayError> {
        let seed = config.seed.unwrap_or_else(fresh_seed);
        let listener = socket::listen(config.listen)?;
        let address = listener.local_addr().map_err(RelayError::System)?;
        if address == config.upstream {
            return Err(RelayError::Loop { address });
        }
        // Fails now, with a reason, rather than for every client.
        socket::connect(config.upstream)?;
        let upstream = config.upstream;
        let poll = Poll::new().map_err(RelayError::System)?;
        let registry = poll.registry().try_clone().map_err(RelayError::System)?;
        let mut core = core::Core::new(&config, seed, listener, registry);
        if let Some(path) = &config.pcap {
            core.capture(UdpTap::create(path, address, upstream, seed)?);
        }
        let shared = Shared::new(core);
        let (engine, waker) = Engine::new(poll, Arc::clone(&shared)).map_err(RelayError::System)?;
        let worker = Worker::start("netem-relay", shared, waker, move || engine.run())
            .map_err(RelayError::System)?;
        Ok(Self { address, upstream, seed, worker })
    }

    /// Where clients send to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server.
    pub const fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    /// The seed of all decisions.
    pub const fn seed(&self) -> Seed {
        self.seed
    }

    /// The counters so far.
    pub fn stats(&self) -> RelayStats {
        self.worker.with_core(|core| core.stats())
    }

    /// What happens in one direction now.
    pub fn config(&self, direction: Direction) -> LinkConfig {
        self.worker.with_core(|core| core.link(direction).config().clone())
    }

    /// Changes what happens to datagrams from now on; those on their way keep their time.
    pub fn set_config(&self, direction: Direction, config: LinkConfig) {
        self.worker.with_core(|core| core.link(direction).set_config(config));
        self.worker.wake();
    }

    /// Gives clients a new upstream socket, as a NAT that forgets its mappings does: the upstream
    /// sees them come from another port, and what it still sends to the old one is lost. All
    /// clients, or the one whose flow is given. Returns how many were moved.
    ///
    /// ```
    /// # use netem::relay::{Relay, RelayConfig};
    /// # let server = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// # let config = RelayConfig::new("127.0.0.1:0".parse()?, server.local_addr()?);
    /// # let relay = Relay::start(config)?;
    /// assert_eq!(relay.rebind_upstream(None), 0, "nobody has come yet");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rebind_upstream(&self, flow: Option<FlowOrdinal>) -> usize {
        let moved = self.worker.with_core(|core| core.rebind(flow));
        // What the old sockets still had is on its way now.
        self.worker.wake();
        moved
    }

    /// The decision log so far, see [`crate::log`].
    pub fn log_text(&self) -> String {
        let (up, down) = self.worker.with_core(|core| {
            (core.link(Direction::Up).log().clone(), core.link(Direction::Down).log().clone())
        });
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write_log(&mut text, self.seed, &up, &down);
        text
    }

    /// Where a replay first met a datagram that its log does not know.
    pub fn divergence(&self) -> Option<Divergence> {
        let of = |way| self.worker.with_core(|core| core.link(way).divergence().copied());
        Direction::BOTH.into_iter().find_map(of)
    }

    /// How the capture does, if one was asked for.
    pub fn capture_stats(&self) -> Option<CaptureStats> {
        self.worker.with_core(|core| core.tap().map(UdpTap::stats))
    }

    /// Stops the engine and returns the final counters. What was still on its way is counted as
    /// dropped, `closed`. Closing twice is harmless.
    pub fn close(&self) -> RelayStats {
        self.worker.close();
        self.stats()
    }

    /// Whether the relay has been closed.
    pub fn is_closed(&self) -> bool {
        self.worker.is_closed()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}
