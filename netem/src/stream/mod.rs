//! A TCP relay: clients connect to it, it connects to the upstream, and the way between is slow,
//! narrow or breaks off. `up` is client to server.
//!
//! It joins two TCP connections, so it shows what an application sees of a bad network: latency,
//! jitter, a limited rate, data in small pieces, connections that end, hang or are reset. Loss,
//! duplicates and reordering are refused ([`PACKETS_ONLY`]): TCP repairs them.
//!
//! Rules of this folder: bytes keep their order; a full pipe stops reading, so the sender feels
//! the rate; every piece that does not arrive is counted by reason.

mod connection;
mod engine;
mod memory;
mod pipe;
mod setting;
mod shape;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::clock::{Shared, Worker, fresh_seed};
use crate::packet::Direction;
use crate::random::Seed;
use crate::relay::RelayError;
use crate::stats::LinkStats;

use engine::{Core, Engine};

pub use memory::{MEMORY_BYTES_MAX_DEFAULT, SHARE_BYTES};
pub use setting::{STREAM_ALIASES, STREAM_SETTINGS, StreamSettingError};
pub use shape::{PACKETS_ONLY, Slice, StreamShape};

/// How many connections a stream relay serves at once unless said otherwise.
pub const CONNECTIONS_MAX_DEFAULT: usize = 16_384;

/// What a stream relay does, and where.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// Where clients connect to; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The server.
    pub upstream: SocketAddr,
    /// Client to server.
    pub up: StreamShape,
    /// Server to client.
    pub down: StreamShape,
    /// The seed of the jitter; `None` takes a fresh one.
    pub seed: Option<Seed>,
    /// One connection more is closed at once.
    pub connections_max: usize,
    /// What all connections together may hold; then they read no more, and the senders feel it.
    /// Each direction of each connection may hold [`SHARE_BYTES`] in any case.
    pub memory_bytes_max: usize,
}

impl StreamConfig {
    /// A relay that does nothing to the streams.
    pub fn new(listen: SocketAddr, upstream: SocketAddr) -> Self {
        let (up, down) = (StreamShape::default(), StreamShape::default());
        let connections_max = CONNECTIONS_MAX_DEFAULT;
        let memory_bytes_max = MEMORY_BYTES_MAX_DEFAULT;
        Self { listen, upstream, up, down, seed: None, connections_max, memory_bytes_max }
    }
}

/// What a stream relay has done so far. Packets are pieces of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamStats {
    /// Client to server.
    pub up: LinkStats,
    /// Server to client.
    pub down: LinkStats,
    /// Connections now.
    pub connections: u64,
    /// Connections that were ever relayed.
    pub connections_total: u64,
    /// Connections closed at once, because there were too many.
    pub connections_refused: u64,
    /// Connections that the upstream did not take.
    pub upstream_failures: u64,
    /// Connections that were reset, by a peer or by `reset`.
    pub resets: u64,
    /// Connections that `limit` or `timeout` ended.
    pub ended: u64,
    /// Bytes that all connections hold now, with what it costs to keep them.
    pub held_bytes: u64,
    /// The most that they have ever held.
    pub held_bytes_max: u64,
}

impl StreamStats {
    /// Whether every piece is accounted for in both directions.
    pub fn is_balanced(&self) -> bool {
        self.up.is_balanced() && self.down.is_balanced()
    }
}

/// A running stream relay; dropping it closes it, and all its connections.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use netem::stream::{Stream, StreamConfig};
///
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let mut config = StreamConfig::new("127.0.0.1:0".parse()?, server.local_addr()?);
/// config.up.delay = "5ms".parse()?;
/// let relay = Stream::start(config)?;
///
/// TcpStream::connect(relay.address())?.write_all(b"hello")?;
/// let mut text = String::new();
/// server.accept()?.0.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Stream {
    address: SocketAddr,
    upstream: SocketAddr,
    seed: Seed,
    worker: Worker<Core>,
}

impl Stream {
    /// Opens the listener and starts the engine. The upstream need not be there yet.
    ///
    /// # Errors
    /// [`RelayError`]: the listening address cannot be bound, is the upstream itself, or the
    /// system has no resources left.
    pub fn start(config: StreamConfig) -> Result<Self, RelayError> {
        let seed = config.seed.unwrap_or_else(fresh_seed);
        let (listen, upstream) = (config.listen, config.upstream);
        let failed = |source| RelayError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(RelayError::System)?;
        let address = listener.local_addr().map_err(RelayError::System)?;
        if address == upstream {
            return Err(RelayError::Loop { address });
        }
        let shared = Shared::new(Core::new(config, seed));
        let listener = mio::net::TcpListener::from_std(listener);
        let (engine, waker) =
            Engine::new(listener, Arc::clone(&shared)).map_err(RelayError::System)?;
        let worker = Worker::start("netem-stream", shared, waker, move || engine.run())
            .map_err(RelayError::System)?;
        Ok(Self { address, upstream, seed, worker })
    }

    /// Where clients connect to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server.
    pub const fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    /// The seed of the jitter.
    pub const fn seed(&self) -> Seed {
        self.seed
    }

    /// The counters so far.
    pub fn stats(&self) -> StreamStats {
        self.worker.with_core(|core| core.stats())
    }

    /// What happens in one direction now.
    pub fn shape(&self, direction: Direction) -> StreamShape {
        self.worker.with_core(|core| core.shapes[direction as usize].clone())
    }

    /// Changes what happens from now on, to open connections too; bytes on their way keep their
    /// time.
    pub fn set_shape(&self, direction: Direction, shape: StreamShape) {
        self.worker.with_core(|core| core.shapes[direction as usize] = shape);
        self.worker.wake();
    }

    /// Ends all connections and returns the final counters. Closing twice is harmless.
    pub fn close(&self) -> StreamStats {
        self.worker.close();
        self.stats()
    }

    /// Whether the relay has been closed.
    pub fn is_closed(&self) -> bool {
        self.worker.is_closed()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}
