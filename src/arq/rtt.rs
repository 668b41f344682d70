//! The round-trip time to one peer and the retransmission timeout that follows (RFC 6298).
//!
//! Samples come from messages that were sent once only: that is Karn's algorithm, and it is the
//! caller who keeps it.

use std::time::Duration;

/// Never retransmit sooner than this. RFC 6298 §2.4 asks for 1 s; 200 ms is what Linux' TCP
/// uses. A plain peer acknowledges only when its program asks for messages, and it does not
/// recognise duplicates, so being too eager costs more than waiting.
pub const RTO_MIN: Duration = Duration::from_millis(200);

/// Smoothed round-trip time and variation of one path; nothing until the first sample.
///
/// ```
/// use std::time::Duration;
/// use udpcore::arq::rtt::RttEstimator;
/// let mut rtt = RttEstimator::default();
/// assert_eq!(rtt.rto(), None);
/// rtt.sample(Duration::from_millis(400));
/// assert_eq!(rtt.rto(), Some(Duration::from_millis(1_200)));
/// rtt.sample(Duration::from_millis(400));
/// assert_eq!(rtt.rto(), Some(Duration::from_millis(1_000)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RttEstimator {
    measured: Option<Measured>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Measured {
    srtt: Duration,
    rttvar: Duration,
}

impl RttEstimator {
    /// Takes a sample.
    pub fn sample(&mut self, rtt: Duration) {
        self.measured = Some(match self.measured {
            // RFC 6298 §2.2: SRTT <- R, RTTVAR <- R/2.
            None => Measured { srtt: rtt, rttvar: rtt / 2 },
            // RFC 6298 §2.3: RTTVAR with the SRTT from before (beta = 1/4), then SRTT
            // (alpha = 1/8).
            Some(Measured { srtt, rttvar }) => Measured {
                rttvar: (rttvar * 3 + srtt.abs_diff(rtt)) / 4,
                srtt: (srtt * 7 + rtt) / 8,
            },
        });
    }

    /// The smoothed round-trip time.
    pub fn srtt(&self) -> Option<Duration> {
        self.measured.map(|measured| measured.srtt)
    }

    /// The retransmission timeout, at least [`RTO_MIN`].
    pub fn rto(&self) -> Option<Duration> {
        // RFC 6298 §2.3: RTO <- SRTT + max(G, 4 * RTTVAR); microseconds leave G out.
        self.measured.map(|measured| (measured.srtt + measured.rttvar * 4).max(RTO_MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_path_converges_to_the_minimum() {
        let mut rtt = RttEstimator::default();
        rtt.sample(Duration::from_millis(900));
        for _ in 0..200 {
            rtt.sample(Duration::from_millis(20));
        }
        let srtt = rtt.srtt().unwrap();
        assert!(srtt.abs_diff(Duration::from_millis(20)) < Duration::from_millis(1));
        assert_eq!(rtt.rto(), Some(RTO_MIN));
    }

    #[test]
    fn variation_widens_the_timeout() {
        let mut rtt = RttEstimator::default();
        rtt.sample(Duration::from_millis(300));
        let steady = rtt.rto();
        for n in 0..50 {
            rtt.sample(Duration::from_millis(if n % 2 == 0 { 100 } else { 900 }));
        }
        assert!(rtt.rto() > steady);
    }
}
