//! What a link does to packets.

use std::sync::Arc;

use crate::impair::{
    Blackhole, Corrupt, Delay, Duplicate, EcnMarking, Loss, Queue, Rate, Reorder, Rules, Truncate,
};
use crate::replay::Replay;
use crate::units::Bytes;

/// How many packets a link holds unless said otherwise.
pub const QUEUE_PACKETS_DEFAULT: usize = 100_000;

/// What a link does to packets. The default does nothing at all.
///
/// ```
/// use netem::LinkConfig;
/// let config = LinkConfig {
///     loss: "20%".parse()?,
///     delay: "20ms 5ms".parse()?,
///     ..LinkConfig::default()
/// };
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkConfig {
    /// What happens to exactly these packets, before any model is asked.
    pub rules: Rules,
    /// When nothing comes through.
    pub blackhole: Blackhole,
    /// Which packets are lost.
    pub loss: Loss,
    /// Which packets are marked "congestion experienced".
    pub ecn: EcnMarking,
    /// Which packets are corrupted.
    pub corrupt: Corrupt,
    /// Which packets are cut off.
    pub truncate: Truncate,
    /// The largest packet that comes through; larger ones are dropped as `mtu`.
    pub mtu: Option<Bytes>,
    /// Which packets get a second copy.
    pub duplicate: Duplicate,
    /// How fast packets leave.
    pub rate: Option<Rate>,
    /// Who waits in front of the rate.
    pub queue: Queue,
    /// How long packets are delayed.
    pub delay: Delay,
    /// Which packets are overtaken.
    pub reorder: Reorder,
    /// How many packets may be on their way at once; one more is dropped as `queue-full`.
    pub limit_packets: usize,
    /// Where this emulator and tc-netem differ.
    pub semantics: Semantics,
    /// Decisions of an earlier run that are taken again, instead of asking the models.
    pub replay: Option<Arc<Replay>>,
}

/// Where this emulator and tc-netem differ, whose rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Semantics {
    /// Ours: a lost packet is not duplicated.
    #[default]
    Ordered,
    /// tc-netem's: a packet that is both lost and duplicated leaves exactly one copy.
    TcNetem,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            blackhole: Blackhole::default(),
            loss: Loss::default(),
            ecn: EcnMarking::default(),
            corrupt: Corrupt::default(),
            truncate: Truncate::default(),
            mtu: None,
            duplicate: Duplicate::default(),
            rate: None,
            queue: Queue::default(),
            delay: Delay::default(),
            reorder: Reorder::default(),
            limit_packets: QUEUE_PACKETS_DEFAULT,
            semantics: Semantics::default(),
            replay: None,
        }
    }
}

impl LinkConfig {
    /// Whether a decision may depend on what is in a packet.
    #[cfg(all(target_os = "linux", feature = "raw"))]
    pub(crate) fn looks_into_packets(&self) -> bool {
        self.rules != Rules::default()
    }

    /// Whether any decision depends on the one before: then every model takes a step for every
    /// packet, also for one that is dropped already.
    pub(super) const fn has_memory(&self) -> bool {
        self.loss.has_memory()
            || self.ecn.chance.has_memory()
            || self.corrupt.chance().has_memory()
            || self.truncate.chance.has_memory()
            || self.duplicate.0.has_memory()
            || self.delay.has_memory()
            || self.reorder.has_memory()
    }
}
