//! A token bucket in integer arithmetic: how long to wait before the next send.
//!
//! The level is kept in token-nanoseconds, so no rate and no clock step is rounded away: over
//! any stretch of time the bucket never gives more than `burst + elapsed * rate` tokens.
//! It does not sleep and reads no clock; the caller passes the time since any fixed moment.

use std::time::Duration;

/// Why a bucket cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenBucketError {
    /// A bucket that never fills would wait for ever.
    #[error("rate is 0 tokens a second: give at least 1")]
    ZeroRate,
    /// A bucket that holds nothing never gives anything.
    #[error("burst is 0 tokens: give at least 1")]
    ZeroBurst,
    /// The level would not fit its integer.
    #[error("burst is {0} tokens: give at most {BURST_TOKENS_MAX}")]
    BurstTooLarge(u64),
}

/// Gives `rate` tokens a second and saves up at most `burst`.
///
/// ```
/// # use std::time::Duration;
/// # use udpcore::flow::token_bucket::TokenBucket;
/// let mut bucket = TokenBucket::new(1000, 2, Duration::ZERO).unwrap();
/// assert_eq!(bucket.take(Duration::ZERO, 2), Ok(()));
/// assert_eq!(bucket.take(Duration::ZERO, 1), Err(Duration::from_millis(1)));
/// assert_eq!(bucket.take(Duration::from_millis(1), 1), Ok(()));
/// ```
#[derive(Debug, Clone)]
pub struct TokenBucket {
    rate_per_s: u64,
    full: i128,
    /// May be negative after [`TokenBucket::take_ahead`]: tokens already promised.
    level: i128,
    updated: Duration,
}

impl TokenBucket {
    /// Make a full bucket at time `now`.
    pub fn new(rate_per_s: u64, burst: u64, now: Duration) -> Result<Self, TokenBucketError> {
        if rate_per_s == 0 {
            return Err(TokenBucketError::ZeroRate);
        }
        if burst == 0 {
            return Err(TokenBucketError::ZeroBurst);
        }
        if burst > BURST_TOKENS_MAX {
            return Err(TokenBucketError::BurstTooLarge(burst));
        }
        let full = i128::from(burst) * NANOS_PER_S;
        Ok(Self { rate_per_s, full, level: full, updated: now })
    }

    /// Take `tokens` if they are there; otherwise take nothing and say how long to wait.
    ///
    /// More than the burst can never be there: then the bucket asks for a full one and goes into
    /// debt, so that a large message passes at the right rate instead of never.
    pub fn take(&mut self, now: Duration, tokens: u64) -> Result<(), Duration> {
        self.refill(now);
        let cost = i128::from(tokens) * NANOS_PER_S;
        let needed = cost.min(self.full);
        if self.level >= needed {
            self.level -= cost;
            return Ok(());
        }
        Err(self.time_for(needed - self.level))
    }

    /// Take `tokens` in any case and return how long to wait before using them.
    pub fn take_ahead(&mut self, now: Duration, tokens: u64) -> Duration {
        self.refill(now);
        self.level -= i128::from(tokens) * NANOS_PER_S;
        if self.level >= 0 { Duration::ZERO } else { self.time_for(-self.level) }
    }

    /// Change the rate; what was saved up stays.
    pub fn set_rate(&mut self, now: Duration, rate_per_s: u64) -> Result<(), TokenBucketError> {
        if rate_per_s == 0 {
            return Err(TokenBucketError::ZeroRate);
        }
        self.refill(now);
        self.rate_per_s = rate_per_s;
        Ok(())
    }

    /// Whole tokens that are there at `now`.
    pub fn available(&mut self, now: Duration) -> u64 {
        self.refill(now);
        u64::try_from(self.level.max(0) / NANOS_PER_S).unwrap_or(u64::MAX)
    }

    /// A clock that steps back gives nothing and takes nothing away.
    fn refill(&mut self, now: Duration) {
        let Some(elapsed) = now.checked_sub(self.updated) else { return };
        self.updated = now;
        let elapsed_ns = i128::try_from(elapsed.as_nanos()).unwrap_or(i128::MAX);
        let gained = elapsed_ns.saturating_mul(i128::from(self.rate_per_s));
        self.level = self.level.saturating_add(gained).min(self.full);
    }

    /// Rounded up, so that waiting exactly this long is always enough.
    fn time_for(&self, level: i128) -> Duration {
        let rate = i128::from(self.rate_per_s);
        let nanos = (level + rate - 1) / rate;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

const NANOS_PER_S: i128 = 1_000_000_000;
/// The most tokens a bucket can save up.
pub const BURST_TOKENS_MAX: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn refuses_what_could_never_give() {
        let at = Duration::ZERO;
        assert_eq!(TokenBucket::new(0, 1, at).unwrap_err(), TokenBucketError::ZeroRate);
        assert_eq!(TokenBucket::new(1, 0, at).unwrap_err(), TokenBucketError::ZeroBurst);
        let much = BURST_TOKENS_MAX + 1;
        assert_eq!(
            TokenBucket::new(1, much, at).unwrap_err(),
            TokenBucketError::BurstTooLarge(much)
        );
    }

    #[test]
    fn saves_up_no_more_than_the_burst() {
        let mut bucket = TokenBucket::new(1000, 5, ms(0)).unwrap();
        assert_eq!(bucket.available(ms(60_000)), 5);
        assert_eq!(bucket.take(ms(60_000), 5), Ok(()));
        assert_eq!(bucket.take(ms(60_000), 1), Err(ms(1)));
    }

    #[test]
    fn more_than_the_burst_passes_at_the_rate() {
        let mut bucket = TokenBucket::new(1000, 10, ms(0)).unwrap();
        assert_eq!(bucket.take(ms(0), 100), Ok(()));
        assert_eq!(bucket.take(ms(0), 1), Err(ms(91)));
    }

    #[test]
    fn a_clock_that_steps_back_changes_nothing() {
        let mut bucket = TokenBucket::new(1000, 1, ms(100)).unwrap();
        assert_eq!(bucket.take(ms(100), 1), Ok(()));
        assert_eq!(bucket.take(ms(50), 1), Err(ms(1)));
        assert_eq!(bucket.take(ms(101), 1), Ok(()));
    }

    #[test]
    fn takes_ahead_and_spaces_evenly() {
        let mut bucket = TokenBucket::new(100, 1, ms(0)).unwrap();
        let waits: Vec<_> = (0..4).map(|_| bucket.take_ahead(ms(0), 1)).collect();
        assert_eq!(waits, [ms(0), ms(10), ms(20), ms(30)]);
    }

    proptest! {
        /// Whoever waits as told sends at the rate, late by less than a nanosecond a token.
        #[test]
        fn waiting_as_told_is_enough_and_never_drifts(
            rate in 1u64..2_000_000, burst in 1u64..100, count in 1u64..300,
        ) {
            let mut now = Duration::ZERO;
            let mut bucket = TokenBucket::new(rate, burst, now).unwrap();
            for _ in 0..count {
                if let Err(wait) = bucket.take(now, 1) {
                    now += wait;
                    prop_assert_eq!(bucket.take(now, 1), Ok(()));
                }
            }
            let owed = count.saturating_sub(burst);
            let exact_ns = u128::from(owed) * 1_000_000_000 / u128::from(rate);
            prop_assert!(now.as_nanos() >= exact_ns);
            prop_assert!(now.as_nanos() <= exact_ns + 1 + u128::from(owed));
        }
    }
}
