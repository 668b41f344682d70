//! One direction of the network: the ordered pipeline of impairments, sans-IO.
//!
//! Contract: the driver calls [`Link::input`] for each packet that comes in, waits until
//! [`Link::next_deadline`], then calls [`Link::poll`] until it returns `None`. Time never runs
//! backwards. Nothing here reads a clock, sends, or allocates for a packet (tables and queues grow
//! to their working size and stay). The order of the impairments is in [`crate::impair`].

mod config;
mod decide;
mod transit;

pub use config::{LinkConfig, QUEUE_PACKETS_DEFAULT, Semantics};

use crate::flows::Flows;
use crate::held::Held;
use crate::impair::PacketView;
use crate::log::DecisionLog;
use crate::packet::{Access, Direction, FlowOrdinal, Packet, PacketOrdinal, PayloadMut};
use crate::queue::ReleaseQueue;
use crate::random::{Draws, Seed};
use crate::replay::Divergence;
use crate::shaper::Shaper;
use crate::stats::LinkStats;
use crate::units::Nanos;
use crate::verdict::{DropReason, Effects, Verdict};
use decide::{Plan, decide};

/// One direction of an emulated network for packets that carry a `P`.
///
/// ```
/// use netem::{Direction, FlowOrdinal, Link, LinkConfig, Nanos, Packet, Seed};
///
/// let config = LinkConfig { delay: "20ms".parse()?, ..LinkConfig::default() };
/// let mut link = Link::new(Direction::Up, config, Seed(7));
/// let packet = Packet { flow: FlowOrdinal(0), size_bytes: 5, payload: "hello" };
/// assert!(link.input(Nanos::ZERO, packet).is_delivered());
///
/// assert_eq!(link.next_deadline(), Some(Nanos::from_millis(20)));
/// assert!(link.poll(Nanos::from_millis(19)).is_none());
/// assert_eq!(link.poll(Nanos::from_millis(20)).unwrap().payload, "hello");
/// assert!(link.stats().is_balanced());
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug)]
pub struct Link<P> {
    direction: Direction,
    config: LinkConfig,
    has_memory: bool,
    seed: Seed,
    now: Nanos,
    /// The number of the next entry into the queue: ties in time leave in this order.
    entries: u64,
    flows: Flows,
    shaper: Shaper<P>,
    queue: ReleaseQueue<P>,
    held: Held<P>,
    stats: LinkStats,
    log: DecisionLog,
    access: Option<Access<P>>,
    divergence: Option<Divergence>,
}

/// What becomes of a packet that had been let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<P> {
    /// It comes out.
    Delivered(Packet<P>),
    /// The queue of a limited rate dropped it after all.
    Dropped(Packet<P>, DropReason),
}

impl<P> Link<P> {
    /// A link without traffic and without a log.
    pub fn new(direction: Direction, config: LinkConfig, seed: Seed) -> Self {
        Self {
            direction,
            has_memory: config.has_memory(),
            config,
            seed,
            now: Nanos::ZERO,
            entries: 0,
            flows: Flows::default(),
            shaper: Shaper::new(),
            queue: ReleaseQueue::new(),
            held: Held::new(),
            stats: LinkStats::default(),
            log: DecisionLog::default(),
            access: None,
            divergence: None,
        }
    }

    /// The same link, logging the decisions on its first `packets_max` packets.
    #[must_use]
    pub fn with_log(mut self, packets_max: usize) -> Self {
        self.log = DecisionLog::new(packets_max);
        self
    }

    /// The same link, which also looks at payloads and changes them: rules see the content,
    /// `corrupt` flips bits, `truncate` cuts off, `ecn` marks. Without this, corrupted packets are
    /// only counted and noted in their verdict, and nothing is ECN capable.
    #[must_use]
    pub fn with_bytes(mut self) -> Self
    where
        P: PayloadMut,
    {
        self.access = Some(Access::of_payload());
        self
    }

    /// Which way this link leads.
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// The seed of its draws.
    pub const fn seed(&self) -> Seed {
        self.seed
    }

    /// What it does to packets now.
    pub const fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// What it has done so far.
    pub const fn stats(&self) -> &LinkStats {
        &self.stats
    }

    /// The decisions it has taken so far.
    pub const fn log(&self) -> &DecisionLog {
        &self.log
    }

    /// Where a replay first met a packet that its log does not know.
    pub const fn divergence(&self) -> Option<&Divergence> {
        self.divergence.as_ref()
    }

    /// How many flows it follows.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// Changes what happens to packets from now on; those on their way keep their time. Draws
    /// depend on ordinals only, so they go on as if the new configuration had always been there.
    pub fn set_config(&mut self, config: LinkConfig) {
        self.has_memory = config.has_memory();
        self.config = config;
    }

    /// Forgets a flow that will not be used again, so that its place can serve another.
    pub fn forget_flow(&mut self, flow: FlowOrdinal) {
        self.flows.forget(flow);
    }

    /// Counts a packet that came out as dropped after all: the driver could not send it.
    pub fn revoke_delivery(&mut self, size_bytes: u32, reason: DropReason) {
        self.stats.revoke_delivery(size_bytes, reason);
    }

    /// Counts a packet that came in but can belong to no flow: dropped, for `reason`.
    pub fn refuse(&mut self, size_bytes: u32, reason: DropReason) {
        self.stats.count_received(size_bytes);
        self.stats.count_drop(reason);
    }

    /// Drops everything that is on its way, for `reason`; the statistics stay balanced.
    pub fn drop_queued(&mut self, reason: DropReason) {
        while let Some(packet) = self.poll(Nanos::MAX) {
            self.stats.revoke_delivery(packet.size_bytes, reason);
        }
    }
}

impl<P: Clone> Link<P> {
    /// Takes a packet in at `now` and decides what becomes of it.
    #[inline]
    pub fn input(&mut self, now: Nanos, mut packet: Packet<P>) -> Verdict {
        self.now = self.now.max(now);
        let is_shaped = self.config.rate.is_some() || !self.shaper.is_empty();
        if is_shaped {
            self.serve(self.now);
        }
        self.stats.count_received(packet.size_bytes);
        let Some(place) = self.flows.place(packet.flow) else {
            self.stats.count_drop(DropReason::FlowsFull);
            let (ordinal, dropped) = (PacketOrdinal(0), Some(DropReason::FlowsFull));
            return Verdict { ordinal, dropped, effects: Effects::NONE, delay: Nanos::ZERO };
        };
        let ordinal = self.flows.state(place).count();
        let draws = Draws::new(self.seed, self.direction, packet.flow, ordinal);
        let Plan { mut verdict, copy_delay } = self.plan(place, &packet, ordinal, &draws);
        if verdict.is_delivered() {
            self.admit(&packet, is_shaped, &mut verdict);
        }
        let line = self.log.record(packet.flow, packet.size_bytes, verdict);
        if let Some(reason) = verdict.dropped {
            self.stats.count_drop(reason);
            return verdict;
        }
        self.stats.count_effects(verdict.effects);
        if !verdict.effects.is_empty() {
            if verdict.effects.contains(Effects::DUPLICATE_DROPPED) {
                self.stats.count_drop(DropReason::QueueFull);
            }
            self.change(&mut packet, verdict.effects, &draws);
        }
        if is_shaped {
            self.wait(packet, &verdict, copy_delay, line);
        } else {
            self.depart(place, packet, &verdict, copy_delay);
        }
        verdict
    }

    #[inline]
    fn plan(
        &mut self,
        place: u32,
        packet: &Packet<P>,
        ordinal: PacketOrdinal,
        draws: &Draws,
    ) -> Plan {
        let bytes = match &self.access {
            Some(access) => (access.bytes)(&packet.payload),
            None => &[],
        };
        let view = PacketView {
            now: self.now,
            direction: self.direction,
            flow: packet.flow,
            ordinal,
            size_bytes: packet.size_bytes,
            bytes,
        };
        if let Some(replay) = &self.config.replay {
            let found = replay.decision(self.direction, packet.flow, ordinal, packet.size_bytes);
            let verdict = match found {
                Ok(decision) => decision.verdict,
                Err(divergence) => {
                    self.divergence.get_or_insert(divergence);
                    let (effects, delay) = (Effects::NONE, Nanos::ZERO);
                    Verdict { ordinal, dropped: None, effects, delay }
                }
            };
            return Plan { verdict, copy_delay: self.config.delay.decide(draws, &mut None)[1] };
        }
        let is_ecn_capable =
            self.access.as_ref().is_some_and(|access| (access.is_ecn_capable)(&packet.payload));
        let models = &mut self.flows.state(place).models;
        decide(&self.config, self.has_memory, &view, is_ecn_capable, draws, models)
    }

    /// Refuses a packet, or its copy, for which there is no room.
    #[inline]
    fn admit(&mut self, packet: &Packet<P>, is_shaped: bool, verdict: &mut Verdict) {
        let queue = &self.disciplined();
        let refused = if self.stats.queued as usize >= self.config.limit_packets {
            Some(DropReason::QueueFull)
        } else if is_shaped && !self.shaper.takes(queue, packet.size_bytes) {
            Some(DropReason::TailDrop)
        } else {
            None
        };
        if let Some(reason) = refused {
            let (effects, delay) = (Effects::NONE, Nanos::ZERO);
            *verdict = Verdict { dropped: Some(reason), effects, delay, ..*verdict };
            return;
        }
        // The original takes its place first, so the copy needs room for two.
        if verdict.effects.contains(Effects::DUPLICATE)
            && self.stats.queued as usize + 2 > self.config.limit_packets
        {
            let effects = verdict.effects.without(Effects::DUPLICATE);
            verdict.effects = effects.with(Effects::DUPLICATE_DROPPED);
        }
    }

    /// Does to the payload what was decided.
    fn change(&mut self, packet: &mut Packet<P>, effects: Effects, draws: &Draws) {
        if effects.contains(Effects::CORRUPT)
            && let Some(access) = &self.access
        {
            self.config.corrupt.flip(draws, (access.bytes_mut)(&mut packet.payload));
        }
        if effects.contains(Effects::TRUNCATE) {
            let length = self.config.truncate.to.get().min(packet.size_bytes);
            packet.size_bytes = length;
            if let Some(access) = &self.access {
                (access.truncate)(&mut packet.payload, length as usize);
            }
        }
        if effects.contains(Effects::MARK)
            && let Some(access) = &self.access
        {
            (access.mark_congestion)(&mut packet.payload);
        }
    }
}

#[cfg(test)]
mod tests;
