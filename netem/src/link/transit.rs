//! What happens to a packet after it was let in: the wire, the delay, and being overtaken.

use super::Link;
use super::Outcome;
use crate::held::Waiting as HeldBack;
use crate::impair::{Discipline, Queue};
use crate::packet::Packet;
use crate::queue::Due;
use crate::shaper::{Served, Waiting};
use crate::units::Nanos;
use crate::verdict::{DropReason, Effects, Verdict};

impl<P> Link<P> {
    /// When to call [`Link::poll`] next, if ever. It may still give nothing then: with a limited
    /// rate this is also when the wire becomes free.
    #[inline]
    pub fn next_deadline(&self) -> Option<Nanos> {
        let queued = self.queue.first_due().map(|(time, _)| time);
        let held = self.held.first_flush().map(|((time, _), _)| time);
        let first = match (queued, held) {
            (Some(queued), Some(held)) => Some(queued.min(held)),
            (time, None) | (None, time) => time,
        };
        if self.shaper.is_empty() {
            return first;
        }
        let served = self.shaper.next_deadline(self.config.rate.as_ref());
        first.into_iter().chain(served).min()
    }

    /// The next packet that is due at `now`.
    #[inline]
    pub fn poll(&mut self, now: Nanos) -> Option<Packet<P>> {
        loop {
            match self.poll_outcome(now)? {
                Outcome::Delivered(packet) => return Some(packet),
                Outcome::Dropped(..) => {}
            }
        }
    }

    /// What becomes of the next packet at `now`. Like [`Link::poll`], but it also gives back the
    /// packets that the queue of a limited rate dropped after it had let them in.
    #[inline]
    pub fn poll_outcome(&mut self, now: Nanos) -> Option<Outcome<P>> {
        if !self.shaper.is_empty() {
            self.serve(now);
            if let Some((packet, reason)) = self.shaper.dropped.pop_front() {
                return Some(Outcome::Dropped(packet, reason));
            }
        }
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
        Some(Outcome::Delivered(packet))
    }

    /// Sends what the wire has carried up to `now` on its way.
    pub(super) fn serve(&mut self, now: Nanos) {
        let queue = self.disciplined();
        loop {
            let Self { shaper, config, access, log, stats, .. } = self;
            let mark = |entry: &mut Waiting<P>| {
                if let Some(access) = access {
                    (access.mark_congestion)(&mut entry.packet.payload);
                }
                stats.ecn_marked += 1;
                log.amend(entry.line, |verdict| {
                    verdict.effects = verdict.effects.with(Effects::MARK);
                });
            };
            match shaper.serve(now, config.rate.as_ref(), &queue, mark) {
                None => return,
                Some(Served::Left(at, entry)) => self.launch(at, entry),
                Some(Served::Dropped(reason, entry)) => {
                    stats.drop_queued(reason);
                    log.amend(entry.line, |verdict| amend_drop(verdict, reason));
                    self.shaper.dropped.push_back((entry.packet, reason));
                }
            }
        }
    }

    /// The queue's settings; in a replay the log has said who is dropped, and nobody else is.
    pub(super) fn disciplined(&self) -> Queue {
        let mut queue = self.config.queue;
        if self.config.replay.is_some() {
            queue.discipline = Discipline::DropTail;
        }
        queue
    }

    /// A packet has left the wire at `at`.
    fn launch(&mut self, at: Nanos, entry: Waiting<P>) {
        let Waiting { packet, arrived, delay, effects, is_copy, .. } = entry;
        let due = match self.flows.find(packet.flow) {
            Some(place) if is_copy => {
                let due = self.flows.state(place).last_release.max(at + delay);
                self.enqueue(due, packet);
                due
            }
            Some(place) => self.release(place, at, delay, effects, packet),
            None => {
                // Its flow was forgotten meanwhile.
                self.enqueue(at + delay, packet);
                at + delay
            }
        };
        self.stats.delays.count(due - arrived);
    }

    /// Sends a packet that begins its delay at `at` on its way, and returns when it is due.
    #[inline]
    fn set_due(&mut self, place: u32, at: Nanos, delay: Nanos, effects: Effects) -> Nanos {
        let own = at + delay;
        if self.config.delay.is_unordered() || effects.contains(Effects::AHEAD) {
            return own;
        }
        let flow = self.flows.state(place);
        flow.last_release = flow.last_release.max(own);
        flow.last_release
    }

    #[inline]
    fn release(
        &mut self,
        place: u32,
        at: Nanos,
        delay: Nanos,
        effects: Effects,
        packet: Packet<P>,
    ) -> Nanos {
        let due = self.set_due(place, at, delay, effects);
        if effects.contains(Effects::REORDER) {
            self.hold(place, due, packet);
        } else {
            self.enqueue(due, packet);
            if !self.flows.state(place).held.is_empty() {
                self.overtake(place, due);
            }
        }
        due
    }

    fn unhold(&mut self, place: u32) -> Option<Packet<P>> {
        let packet = self.held.take(place)?;
        if let Some(flow) = self.flows.find(packet.flow) {
            self.flows.state(flow).held.retain(|&held| held != place);
        }
        Some(packet)
    }

    fn next_entry(&mut self) -> u64 {
        self.entries += 1;
        self.entries
    }

    #[inline]
    fn enqueue(&mut self, due: Nanos, packet: Packet<P>) {
        let entry = self.next_entry();
        self.queue.push((due, entry), packet);
    }

    /// Holds back a packet whose own time is `due`.
    fn hold(&mut self, place: u32, due: Nanos, packet: Packet<P>) {
        let flush = (due + self.config.reorder.flush(), self.next_entry());
        let remaining = self.config.reorder.distance();
        let held = self.held.insert(HeldBack { packet, remaining, flush });
        self.flows.state(place).held.push(held);
    }

    /// A packet of the flow leaves at `due`: whoever was waiting for it leaves right behind.
    fn overtake(&mut self, place: u32, due: Nanos) {
        let mut index = 0;
        while let Some(&held) = self.flows.state(place).held.get(index) {
            index += 1;
            let Some(waiting) = self.held.get_mut(held) else { continue };
            waiting.remaining = waiting.remaining.saturating_sub(1);
            // Not when its own timer runs out first, or at the same time: a driver that looks often
            // has taken it out by then, and one that looks seldom must get the same.
            if waiting.remaining == 0 && due < waiting.flush.0 {
                index -= 1;
                self.flows.state(place).held.remove(index);
                if let Some(packet) = self.held.take(held) {
                    self.enqueue(due, packet);
                }
            }
        }
    }
}

impl<P: Clone> Link<P> {
    /// Sends a packet and its copy on their way as `verdict` says, without a limited rate.
    #[inline]
    pub(super) fn depart(
        &mut self,
        place: u32,
        packet: Packet<P>,
        verdict: &Verdict,
        copy_delay: Nanos,
    ) {
        let effects = verdict.effects;
        let copy = effects.contains(Effects::DUPLICATE).then(|| packet.clone());
        self.stats.count_queued();
        let due = self.release(place, self.now, verdict.delay, effects, packet);
        self.stats.delays.count(due - self.now);
        if let Some(copy) = copy {
            self.stats.count_queued();
            let due = due.max(self.now + copy_delay);
            self.stats.delays.count(due - self.now);
            self.enqueue(due, copy);
        }
    }

    /// Puts a packet and its copy into the queue of the limited rate.
    pub(super) fn wait(
        &mut self,
        packet: Packet<P>,
        verdict: &Verdict,
        copy_delay: Nanos,
        line: usize,
    ) {
        let queue = self.disciplined();
        let effects = verdict.effects;
        let copy = effects.contains(Effects::DUPLICATE).then(|| packet.clone());
        let is_ecn_capable =
            self.access.as_ref().is_some_and(|access| (access.is_ecn_capable)(&packet.payload));
        let arrived = self.now;
        let original = Waiting {
            packet,
            arrived,
            delay: verdict.delay,
            effects,
            is_copy: false,
            is_ecn_capable,
            line,
        };
        self.stats.count_queued();
        self.shaper.push(&queue, original);
        if let Some(packet) = copy {
            self.stats.count_queued();
            if !self.shaper.takes(&queue, packet.size_bytes) {
                self.stats.drop_queued(DropReason::TailDrop);
                self.log.amend(line, |verdict| amend_drop(verdict, DropReason::TailDrop));
                self.shaper.dropped.push_back((packet, DropReason::TailDrop));
                return;
            }
            let (delay, is_copy) = (copy_delay, true);
            let copy = Waiting { packet, arrived, delay, effects, is_copy, is_ecn_capable, line };
            self.shaper.push(&queue, copy);
        }
    }
}

/// Notes that one of the packet's copies was dropped after it had been let in; of two, the other
/// one remains.
fn amend_drop(verdict: &mut Verdict, reason: DropReason) {
    if verdict.effects.contains(Effects::DUPLICATE) {
        let effects = verdict.effects.without(Effects::DUPLICATE);
        verdict.effects = effects.with(Effects::DUPLICATE_DROPPED);
    } else {
        verdict.dropped = Some(reason);
        verdict.delay = Nanos::ZERO;
    }
}
