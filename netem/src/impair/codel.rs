//! CoDel, controlled delay: the algorithm of RFC 8289, section 5, without a queue of its own.
//!
//! All in integers: the control law's interval / sqrt(count) is computed as the integer square
//! root of interval^2 / count. A packet that understands ECN is marked instead of dropped (section
//! 3 of RFC 8289 leaves that to the implementer); the mark counts as a drop, and is sent.

use super::CoDel;
use crate::units::Nanos;

/// A queue of one packet of this size behind the head is no standing queue (RFC 8289, 5.4).
const MTU_BYTES: u64 = 1500;
/// For so many intervals after dropping stopped it takes up again where it was (RFC 8289, 5.5).
const RECENT_INTERVALS: u64 = 16;

/// The state variables of RFC 8289, section 5.3.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CoDelState {
    first_above: Option<Nanos>,
    drop_next: Nanos,
    count: u64,
    last_count: u64,
    is_dropping: bool,
}

/// A packet taken off the head: itself, how long it has waited, and the bytes behind it.
pub(crate) type Head<T> = (T, Nanos, u64);

impl CoDelState {
    /// RFC 8289, section 5.5: the next packet to send at `now`. `take` takes one off the head;
    /// `drop` drops it, or marks it and gives it back.
    pub(crate) fn dequeue<T>(
        &mut self,
        settings: &CoDel,
        now: Nanos,
        mut take: impl FnMut() -> Option<Head<T>>,
        mut drop: impl FnMut(T) -> Option<T>,
    ) -> Option<T> {
        let (mut packet, mut may_drop) = self.judge(settings, now, take())?;
        if self.is_dropping {
            self.is_dropping = may_drop;
            while self.is_dropping && now >= self.drop_next {
                self.count += 1;
                if let Some(marked) = drop(packet) {
                    self.drop_next = self.law(settings, self.drop_next);
                    return Some(marked);
                }
                let Some(next) = self.judge(settings, now, take()) else {
                    self.is_dropping = false;
                    return None;
                };
                (packet, may_drop) = next;
                self.is_dropping = may_drop;
                if may_drop {
                    self.drop_next = self.law(settings, self.drop_next);
                }
            }
            return Some(packet);
        }
        if !may_drop {
            return Some(packet);
        }
        let sent = drop(packet);
        let next = match sent {
            Some(marked) => Some(marked),
            None => self.judge(settings, now, take()).map(|(packet, _)| packet),
        };
        self.start_dropping(settings, now);
        next
    }

    fn start_dropping(&mut self, settings: &CoDel, now: Nanos) {
        self.is_dropping = true;
        let delta = self.count.saturating_sub(self.last_count);
        let interval = settings.interval.as_nanos();
        let recent = Nanos::from_nanos(interval.saturating_mul(RECENT_INTERVALS));
        self.count = if delta > 1 && now - self.drop_next < recent { delta } else { 1 };
        self.drop_next = self.law(settings, now);
        self.last_count = self.count;
    }

    /// RFC 8289, section 5.6: whether the delay has been above target for an interval.
    fn judge<T>(
        &mut self,
        settings: &CoDel,
        now: Nanos,
        head: Option<Head<T>>,
    ) -> Option<(T, bool)> {
        let Some((packet, sojourn, backlog_bytes)) = head else {
            self.first_above = None;
            return None;
        };
        if sojourn < settings.target || backlog_bytes <= MTU_BYTES {
            self.first_above = None;
            return Some((packet, false));
        }
        let since = *self.first_above.get_or_insert(now + settings.interval);
        Some((packet, now >= since))
    }

    /// The control law: `from` + interval / sqrt(count).
    fn law(&self, settings: &CoDel, from: Nanos) -> Nanos {
        let interval = u128::from(settings.interval.as_nanos());
        let step = (interval * interval / u128::from(self.count.max(1))).isqrt();
        from + Nanos::from_nanos(step as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a queue that never shrinks the drops come as RFC 8289, section 4.5 says: the first
    /// after one interval, then ever faster, by interval / sqrt(count).
    #[test]
    fn drops_follow_the_control_law() {
        let settings = CoDel::default();
        let mut codel = CoDelState::default();
        let mut drops = Vec::new();
        for milli in 0..1000 {
            let now = Nanos::from_millis(milli);
            let head = || Some(((), Nanos::from_millis(20), 100_000));
            codel.dequeue(&settings, now, head, |()| {
                drops.push(milli);
                None
            });
        }
        let mut expected = vec![100];
        let mut next = 100.0;
        for count in 1..1000 {
            next += 100.0 / f64::from(count).sqrt();
            expected.push(next.ceil() as u64);
        }
        expected.retain(|&milli| milli < 1000);
        assert_eq!(drops, expected);
    }

    #[test]
    fn a_short_wait_or_a_short_queue_is_left_alone() {
        for (sojourn_ms, backlog_bytes) in [(4, 100_000), (20, 1500)] {
            let mut codel = CoDelState::default();
            for milli in 0..1000 {
                let sojourn = Nanos::from_millis(sojourn_ms);
                let head = || Some(((), sojourn, backlog_bytes));
                let now = Nanos::from_millis(milli);
                let drop = |()| panic!("dropped at {milli} ms");
                assert!(codel.dequeue(&CoDel::default(), now, head, drop).is_some());
            }
        }
    }
}
