//! A bridge between two interfaces: every frame that comes in on one goes out on the other, and
//! the wire between is bad. `up` is left to right.
//!
//! Works for every protocol. Decides per packet as it would be on the wire: each segment of a
//! frame that the sender left to be cut (TSO, UDP GSO) has its own fate, and those that leave
//! together leave in one frame again. Checksums that the sender left to the hardware are carried
//! across as such, VLAN tags that the interface took off are put back: nothing has to be switched
//! off.
//!
//! Rules of this folder: `pnet` is named here only; a frame is never trusted; every frame is
//! counted by reason; the interfaces are left as they were found.

mod engine;
mod error;
mod flows;
mod frame;
mod frame_io;
mod outbox;
mod packet_io;
mod piece;
mod segment;
mod socket;

use std::path::PathBuf;
use std::sync::Arc;

use crate::capture::{CaptureStats, FrameTap};
use crate::clock::{Shared, Worker, fresh_seed};
use crate::link::LinkConfig;
use crate::log::{LOG_PACKETS_DEFAULT, write_log};
use crate::packet::Direction;
use crate::random::Seed;
use crate::replay::Divergence;
use crate::stats::LinkStats;

use engine::{Core, Engine};

pub use error::BridgeError;
pub use flows::TRACKED_FLOWS_MAX;
#[doc(hidden)]
pub use piece::check_frame;

/// What a bridge does, and between which interfaces.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// The interface whose frames go up.
    pub left: String,
    /// The interface whose frames go down.
    pub right: String,
    /// Left to right.
    pub up: LinkConfig,
    /// Right to left.
    pub down: LinkConfig,
    /// The seed of all decisions; `None` takes a fresh one.
    pub seed: Option<Seed>,
    /// How many packets a direction the decision log keeps.
    pub log_packets_max: usize,
    /// Where to write what passes, see [`crate::capture`].
    pub pcap: Option<PathBuf>,
    /// How frames are taken and sent.
    pub backend: Backend,
}

/// How a bridge takes and sends frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// Many frames a system call, VLAN tags put back.
    #[default]
    Packet,
    /// Through `pnet`, one frame after the other; VLAN tags that an interface takes off are lost.
    Pnet,
}

impl BridgeConfig {
    /// A bridge that does nothing to the frames.
    pub fn new(left: impl Into<String>, right: impl Into<String>) -> Self {
        Self {
            left: left.into(),
            right: right.into(),
            up: LinkConfig::default(),
            down: LinkConfig::default(),
            seed: None,
            log_packets_max: LOG_PACKETS_DEFAULT,
            pcap: None,
            backend: Backend::default(),
        }
    }
}

/// What a bridge has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BridgeStats {
    /// Left to right.
    pub up: LinkStats,
    /// Right to left.
    pub down: LinkStats,
    /// Flows that were told apart.
    pub flows_total: u64,
    /// Frames that came in to be cut into packets: the counters count the packets.
    pub segmented: u64,
    /// Times the system refused to give a frame, other than "nothing there".
    pub receive_errors: u64,
}

impl BridgeStats {
    /// Whether every packet is accounted for in both directions.
    pub fn is_balanced(&self) -> bool {
        self.up.is_balanced() && self.down.is_balanced()
    }
}

/// A running bridge; dropping it closes it. Needs `CAP_NET_RAW` (or root).
///
/// ```no_run
/// use netem::bridge::{Bridge, BridgeConfig};
///
/// let mut config = BridgeConfig::new("veth-left", "veth-right");
/// config.up.loss = "1%".parse()?;
/// let bridge = Bridge::start(config)?;
/// println!("{:?}", bridge.close());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Bridge {
    seed: Seed,
    worker: Worker<Core>,
}

impl Bridge {
    /// Opens both interfaces and starts the engine.
    ///
    /// # Errors
    /// [`BridgeError`]: an interface that is not there or not up, the same one twice, or no right
    /// to open it.
    pub fn start(config: BridgeConfig) -> Result<Self, BridgeError> {
        let seed = config.seed.unwrap_or_else(fresh_seed);
        if config.left == config.right {
            return Err(BridgeError::SameInterface { name: config.left });
        }
        let left = frame_io::open(&config.left, config.backend)?;
        let right = frame_io::open(&config.right, config.backend)?;
        let mut core = Core::new(&config, seed, left, right);
        if let Some(path) = &config.pcap {
            core.capture(FrameTap::create(path, &config.left, &config.right, seed)?);
        }
        let shared = Shared::new(core);
        let (engine, waker) = Engine::new(Arc::clone(&shared)).map_err(BridgeError::System)?;
        let worker = Worker::start("netem-bridge", shared, waker, move || engine.run())
            .map_err(BridgeError::System)?;
        Ok(Self { seed, worker })
    }

    /// The seed of all decisions.
    pub const fn seed(&self) -> Seed {
        self.seed
    }

    /// The counters so far.
    pub fn stats(&self) -> BridgeStats {
        self.worker.with_core(|core| core.stats())
    }

    /// What happens in one direction now.
    pub fn config(&self, direction: Direction) -> LinkConfig {
        self.worker.with_core(|core| core.link(direction).config().clone())
    }

    /// Where a replay first met a packet that its log does not know.
    pub fn divergence(&self) -> Option<Divergence> {
        let of = |way| self.worker.with_core(|core| core.link(way).divergence().copied());
        Direction::BOTH.into_iter().find_map(of)
    }

    /// Changes what happens to packets from now on; those on their way keep their time.
    pub fn set_config(&self, direction: Direction, config: LinkConfig) {
        self.worker.with_core(|core| core.link(direction).set_config(config));
    }

    /// The decision log so far, see [`crate::log`]. Sizes are those of whole frames.
    pub fn log_text(&self) -> String {
        let (up, down) = self.worker.with_core(|core| {
            (core.link(Direction::Up).log().clone(), core.link(Direction::Down).log().clone())
        });
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write_log(&mut text, self.seed, &up, &down);
        text
    }

    /// How the capture does, if one was asked for.
    pub fn capture_stats(&self) -> Option<CaptureStats> {
        self.worker.with_core(|core| core.tap().map(FrameTap::stats))
    }

    /// Why the bridge ended on its own, if it did: an interface is gone.
    pub fn failure(&self) -> Option<BridgeError> {
        self.worker.with_core(|core| core.failure())
    }

    /// Stops the engine and returns the final counters. What was still on its way is counted as
    /// dropped, `closed`. Closing twice is harmless.
    pub fn close(&self) -> BridgeStats {
        self.worker.close();
        self.stats()
    }

    /// Whether the bridge has ended.
    pub fn is_closed(&self) -> bool {
        self.worker.is_closed()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.close();
    }
}
