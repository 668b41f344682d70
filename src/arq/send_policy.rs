//! How often and when one message is sent again: the tutorial's `max_retries` and `timeout`,
//! made quicker where the path is known without ever giving up sooner.
//!
//! The tutorial repeats at `timeout`, 2·`timeout`, … and gives up one `timeout` after the last
//! repetition. Here the number of repetitions and the moment of giving up are the same, but the
//! first half of the repetitions may come earlier: after the measured retransmission timeout,
//! doubled each time (RFC 6298 §5.5). The second half keeps the tutorial's slow beat, so an
//! outage shorter than `max_retries`·`timeout` is outlived all the same.

use std::time::Duration;

use thiserror::Error;

use crate::flow::time::Micros;

/// The most repetitions one can ask for.
pub const MAX_RETRIES: u32 = 1_000;

/// The shortest wait one can ask for.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// The longest wait one can ask for.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

/// The longest wait between repetitions. A receiver knows a payload again for 30 s after its last
/// sighting: with less than half of that, a repetition may be lost and the next one is still
/// recognised as a duplicate.
pub const RETRY_TIMEOUT_MAX: Duration = Duration::from_millis(14_900);

/// Retries and timeout of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendPolicy {
    max_retries: u32,
    timeout: Duration,
}

/// A policy that cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// Too many retries.
    #[error("max_retries must be 0 to {MAX_RETRIES}, not {0}")]
    Retries(u32),
    /// A timeout out of range.
    #[error("timeout must be between {TIMEOUT_MIN:?} and {TIMEOUT_MAX:?}, not {0:?}")]
    Timeout(Duration),
    /// Repetitions too far apart to be recognised as such.
    #[error(
        "timeout must be at most {RETRY_TIMEOUT_MAX:?} with retries, not {0:?}: receivers know a \
         repetition for 30 s; set max_retries to 0, or the timeout lower"
    )]
    RetryTimeout(Duration),
}

impl SendPolicy {
    /// At most `max_retries` repetitions, `timeout` apart.
    ///
    /// # Errors
    /// Values outside 0..=[`MAX_RETRIES`] or [`TIMEOUT_MIN`]..=[`TIMEOUT_MAX`]; retries further
    /// apart than [`RETRY_TIMEOUT_MAX`].
    pub fn new(max_retries: u32, timeout: Duration) -> Result<Self, PolicyError> {
        if max_retries > MAX_RETRIES {
            return Err(PolicyError::Retries(max_retries));
        }
        if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout) {
            return Err(PolicyError::Timeout(timeout));
        }
        if max_retries > 0 && timeout > RETRY_TIMEOUT_MAX {
            return Err(PolicyError::RetryTimeout(timeout));
        }
        Ok(Self { max_retries, timeout })
    }

    /// How often the message may be repeated.
    pub fn max_retries(&self) -> u32 {
        self.max_retries
    }

    /// The longest wait for an ACK before the next repetition.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When a message first sent at `first_sent` and repeated `retries` times, the last time at
    /// `now`, is due again: for one more repetition, or, with none left, for giving up.
    pub fn next_deadline(
        &self,
        first_sent: Micros,
        retries: u32,
        now: Micros,
        rto: Option<Duration>,
    ) -> Micros {
        let beat = first_sent + self.timeout * (retries + 1);
        let quick = rto.filter(|_| retries < self.max_retries / 2).map(|rto| {
            let doubled = rto.saturating_mul(1 << retries.min(16));
            (now + doubled.min(self.timeout)).min(beat)
        });
        // A driver that slept too long must not fire all repetitions at once.
        let spaced = now + rto.unwrap_or(self.timeout).min(self.timeout);
        quick.unwrap_or(beat).max(spaced)
    }
}

impl Default for SendPolicy {
    /// The tutorial's: 3 retries, 1 s apart.
    fn default() -> Self {
        Self { max_retries: 3, timeout: Duration::from_secs(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times in ms at which a message nobody acknowledges is sent and given up.
    fn schedule(max_retries: u32, timeout_ms: u64, rto_ms: Option<u64>) -> Vec<u64> {
        let policy = SendPolicy::new(max_retries, Duration::from_millis(timeout_ms)).unwrap();
        let rto = rto_ms.map(Duration::from_millis);
        let mut times = vec![Micros::ZERO];
        for retries in 0..=max_retries {
            let now = times[times.len() - 1];
            times.push(policy.next_deadline(Micros::ZERO, retries, now, rto));
        }
        times.iter().map(|t| t.get() / 1_000).collect()
    }

    #[test]
    fn without_a_measured_path_it_is_the_tutorial() {
        assert_eq!(schedule(3, 1_000, None), [0, 1_000, 2_000, 3_000, 4_000]);
        assert_eq!(schedule(0, 500, None), [0, 500]);
    }

    #[test]
    fn a_known_path_brings_the_first_half_forward_and_keeps_the_end() {
        assert_eq!(schedule(3, 1_000, Some(200)), [0, 200, 2_000, 3_000, 4_000]);
        let many = schedule(8, 1_000, Some(200));
        assert_eq!(many, [0, 200, 600, 1_400, 2_400, 5_000, 6_000, 7_000, 8_000, 9_000]);
        // Never later than the tutorial's beat, even on a path slower than the timeout.
        assert_eq!(schedule(2, 100, Some(900)), [0, 100, 200, 300]);
    }

    #[test]
    fn a_late_driver_keeps_the_repetitions_apart() {
        let policy = SendPolicy::default();
        let late = Micros::new(60_000_000);
        let next = policy.next_deadline(Micros::ZERO, 1, late, None);
        assert_eq!(next.since(late), Duration::from_secs(1));
    }

    #[test]
    fn impossible_policies_are_refused_with_words() {
        let error = SendPolicy::new(3, Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "timeout must be between 1ms and 3600s, not 0ns");
        assert!(SendPolicy::new(3, Duration::from_secs(15)).is_err());
        assert!(SendPolicy::new(0, Duration::from_secs(15)).is_ok());
        assert!(SendPolicy::new(1_001, Duration::from_secs(1)).is_err());
    }
}
