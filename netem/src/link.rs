//! One direction of the network: the ordered pipeline of impairments, sans-IO.
//!
//! Contract: the driver calls [`Link::input`] for each packet that comes in, waits until
//! [`Link::next_deadline`], then calls [`Link::poll`] until it returns `None`. Time never runs
//! backwards. Nothing here reads a clock, sends, or allocates for a packet (tables and queues grow
//! to their working size and stay). The order of the impairments is in [`crate::impair`].

use crate::flows::Flows;
use crate::held::{Held, Waiting};
use crate::impair::{Delay, Duplicate, Loss, Reorder};
use crate::log::DecisionLog;
use crate::packet::{Direction, FlowOrdinal, Packet, PacketOrdinal};
use crate::queue::{Due, ReleaseQueue};
use crate::random::{Draws, Seed};
use crate::stats::LinkStats;
use crate::units::Nanos;
use crate::verdict::{DropReason, Effects, Verdict};

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
    /// Which packets are lost.
    pub loss: Loss,
    /// Which packets get a second copy.
    pub duplicate: Duplicate,
    /// How long packets are delayed.
    pub delay: Delay,
    /// Which packets are overtaken.
    pub reorder: Reorder,
    /// How many packets may be on their way at once; one more is dropped as `queue-full`.
    pub limit_packets: usize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            loss: Loss::default(),
            duplicate: Duplicate::default(),
            delay: Delay::default(),
            reorder: Reorder::default(),
            limit_packets: QUEUE_PACKETS_DEFAULT,
        }
    }
}

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
    seed: Seed,
    now: Nanos,
    /// The number of the next entry into the queue: ties in time leave in this order.
    entries: u64,
    flows: Flows,
    queue: ReleaseQueue<P>,
    held: Held<P>,
    stats: LinkStats,
    log: DecisionLog,
}

impl<P> Link<P> {
    /// A link without traffic and without a log.
    pub fn new(direction: Direction, config: LinkConfig, seed: Seed) -> Self {
        Self {
            direction,
            config,
            seed,
            now: Nanos::ZERO,
            entries: 0,
            flows: Flows::default(),
            queue: ReleaseQueue::new(),
            held: Held::new(),
            stats: LinkStats::default(),
            log: DecisionLog::default(),
        }
    }

    /// The same link, logging the decisions on its first `packets_max` packets.
    #[must_use]
    pub fn with_log(mut self, packets_max: usize) -> Self {
        self.log = DecisionLog::new(packets_max);
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

    /// How many flows it follows.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// Changes what happens to packets from now on; those on their way keep their time. Draws
    /// depend on ordinals only, so they go on as if the new configuration had always been there.
    pub fn set_config(&mut self, config: LinkConfig) {
        self.config = config;
    }

    /// Forgets a flow that will not be used again, so that its place can serve another.
    pub fn forget_flow(&mut self, flow: FlowOrdinal) {
        self.flows.forget(flow);
    }

    /// When [`Link::poll`] has something to give, if ever.
    #[inline]
    pub fn next_deadline(&self) -> Option<Nanos> {
        let queued = self.queue.first_due().map(|(time, _)| time);
        let held = self.held.first_flush().map(|((time, _), _)| time);
        match (queued, held) {
            (Some(queued), Some(held)) => Some(queued.min(held)),
            (time, None) | (None, time) => time,
        }
    }

    /// The next packet that is due at `now`.
    #[inline]
    pub fn poll(&mut self, now: Nanos) -> Option<Packet<P>> {
        let due = |due: Due| due.0 <= now;
        let queued = self.queue.first_due().filter(|&time| due(time));
        let held = self.held.first_flush().filter(|&(time, _)| due(time));
        let packet = match (queued, held) {
            (None, None) => return None,
            (Some(queued), Some((flush, place))) if flush < queued => self.unhold(place),
            (None, Some((_, place))) => self.unhold(place),
            (Some(_), _) => self.queue.pop(),
        }?;
        self.stats.count_delivered(packet.size_bytes);
        Some(packet)
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

    fn unhold(&mut self, place: u32) -> Option<Packet<P>> {
        let packet = self.held.take(place)?;
        if let Some(flow) = self.flows.find(packet.flow) {
            flow.held.retain(|&held| held != place);
        }
        Some(packet)
    }

    fn next_entry(&mut self) -> u64 {
        self.entries += 1;
        self.entries
    }

    fn enqueue(&mut self, due: Nanos, packet: Packet<P>) {
        let entry = self.next_entry();
        self.queue.push((due, entry), packet);
    }
}

impl<P: Clone> Link<P> {
    /// Takes a packet in at `now` and decides what becomes of it.
    pub fn input(&mut self, now: Nanos, packet: Packet<P>) -> Verdict {
        self.now = self.now.max(now);
        self.stats.count_received(packet.size_bytes);
        let Some(place) = self.flows.place(packet.flow) else {
            self.stats.count_drop(DropReason::FlowsFull);
            return dropped(PacketOrdinal(0), DropReason::FlowsFull);
        };
        let ordinal = self.flows.state(place).count();
        let draws = Draws::new(self.seed, self.direction, packet.flow, ordinal);
        let refused = if self.config.loss.decide(&draws) {
            Some(DropReason::Loss)
        } else if self.is_full() {
            Some(DropReason::QueueFull)
        } else {
            None
        };
        if let Some(reason) = refused {
            self.stats.count_drop(reason);
            let verdict = dropped(ordinal, reason);
            self.log.record(&packet, verdict);
            return verdict;
        }
        let [delay, copy_delay] = self.config.delay.decide(&draws);
        let mut verdict = Verdict { ordinal, dropped: None, effects: Effects::NONE, delay };
        if self.config.reorder.decide(&draws) {
            verdict.effects = verdict.effects.with(Effects::REORDER);
        }
        if self.config.duplicate.decide(&draws) {
            // The original takes its place first, so the copy needs room for two.
            let room = self.stats.queued as usize + 2 <= self.config.limit_packets;
            let effect = if room { Effects::DUPLICATE } else { Effects::DUPLICATE_DROPPED };
            verdict.effects = verdict.effects.with(effect);
        }
        self.log.record(&packet, verdict);
        self.accept(place, packet, &verdict, copy_delay);
        verdict
    }

    fn is_full(&self) -> bool {
        self.stats.queued as usize >= self.config.limit_packets
    }

    /// Sends a packet and its copy on their way as `verdict` says.
    fn accept(&mut self, place: u32, packet: Packet<P>, verdict: &Verdict, copy_delay: Nanos) {
        let flow = self.flows.state(place);
        let due = flow.last_release.max(self.now + verdict.delay);
        flow.last_release = due;
        let copy = self.copy(&packet, verdict.effects);
        self.stats.count_queued();
        if verdict.effects.contains(Effects::REORDER) {
            self.stats.reordered += 1;
            self.hold(place, due, packet);
        } else {
            self.enqueue(due, packet);
            if !self.flows.state(place).held.is_empty() {
                self.overtake(place, due);
            }
        }
        if let Some(copy) = copy {
            self.stats.count_queued();
            self.enqueue(due.max(self.now + copy_delay), copy);
        }
    }

    fn copy(&mut self, packet: &Packet<P>, effects: Effects) -> Option<Packet<P>> {
        if effects.contains(Effects::DUPLICATE_DROPPED) {
            self.stats.duplicated += 1;
            self.stats.count_drop(DropReason::QueueFull);
        }
        effects.contains(Effects::DUPLICATE).then(|| {
            self.stats.duplicated += 1;
            packet.clone()
        })
    }

    /// Holds back a packet whose own time is `due`.
    fn hold(&mut self, place: u32, due: Nanos, packet: Packet<P>) {
        let flush = (due + self.config.reorder.flush(), self.next_entry());
        let remaining = self.config.reorder.distance();
        let held = self.held.insert(Waiting { packet, remaining, flush });
        self.flows.state(place).held.push(held);
    }

    /// A packet of the flow leaves at `due`: whoever was waiting for it leaves right behind.
    fn overtake(&mut self, place: u32, due: Nanos) {
        let mut index = 0;
        while let Some(&held) = self.flows.state(place).held.get(index) {
            index += 1;
            let Some(waiting) = self.held.get_mut(held) else { continue };
            waiting.remaining = waiting.remaining.saturating_sub(1);
            // Not when its own timer runs out first.
            if waiting.remaining == 0 && due <= waiting.flush.0 {
                index -= 1;
                self.flows.state(place).held.remove(index);
                if let Some(packet) = self.held.take(held) {
                    self.enqueue(due, packet);
                }
            }
        }
    }
}

fn dropped(ordinal: PacketOrdinal, reason: DropReason) -> Verdict {
    Verdict { ordinal, dropped: Some(reason), effects: Effects::NONE, delay: Nanos::ZERO }
}

#[cfg(test)]
mod tests;
