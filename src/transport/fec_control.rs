//! How many repair symbols a message gets, and the share of packets lost that says so.
//!
//! Repair symbols cost bandwidth always and help only when something is lost, so with [`Fec::Auto`]
//! they go only with messages whose deadline cannot absorb a retransmission. They count against the
//! congestion window like everything else, and a loss that was repaired is still a loss to the
//! congestion controller (RFC 9265 §2).

use super::time::Micros;

/// Whether repair symbols go with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fec {
    /// None: what is lost is sent again.
    #[default]
    Off,
    /// As many as the losses of the path ask for, if a retransmission would come too late.
    Auto,
    /// So many for each thousand source symbols, rounded up, always.
    Permille(u16),
}

/// A message of more symbols than this gets no repair: the code ends at 255.
pub(crate) const SOURCES_MAX: usize = 200;
/// At most so many repair symbols.
pub(crate) const REPAIRS_MAX: usize = 55;
/// With [`Fec::Auto`], one message in so many may be lost for good.
const FAILURES_ONE_IN: f64 = 400.0;
/// A path without losses so far may still lose one packet in a hundred.
const LOSS_FLOOR: f64 = 0.01;
/// RFC 9002 §6.1.2 and an acknowledgement held back: what the detection of a loss takes.
const ACK_DELAY: Micros = Micros::from_ms(25);

/// An average of how many packets get lost; new packets count for 1/128.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LossShare {
    /// In 1/65536.
    share: u32,
}

impl LossShare {
    pub(crate) fn on_packet(&mut self, is_lost: bool) {
        let target = if is_lost { 1 << 16 } else { 0 };
        let change = (i64::from(target) - i64::from(self.share)) / 128;
        self.share = (i64::from(self.share) + change).clamp(0, 1 << 16) as u32;
    }

    fn value(self) -> f64 {
        f64::from(self.share) / 65_536.0
    }
}

/// What is known of the path when a message begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FecPath {
    pub(crate) loss: LossShare,
    pub(crate) srtt: Micros,
}

impl FecPath {
    /// How many repair symbols a message of `sources` gets that has `left` until its deadline.
    pub(crate) fn repairs(self, fec: Fec, sources: usize, left: Option<Micros>) -> usize {
        if sources > SOURCES_MAX {
            return 0;
        }
        match fec {
            Fec::Off => 0,
            Fec::Permille(share) => (sources * usize::from(share)).div_ceil(1000).min(REPAIRS_MAX),
            Fec::Auto => match left {
                Some(left) if left < self.retransmission() => self.enough(sources),
                _ => 0,
            },
        }
    }

    /// From a first transmission to the arrival of a second: the loss is noticed after a round
    /// trip and an eighth, and half a round trip later the repetition is there.
    fn retransmission(self) -> Micros {
        self.srtt * 13 / 8 + ACK_DELAY
    }

    /// The least number with which more losses than repairs are rare enough.
    fn enough(self, sources: usize) -> usize {
        let loss = self.loss.value().max(LOSS_FLOOR);
        let most = (3 * sources).min(REPAIRS_MAX);
        (1..most)
            .find(|repairs| {
                more_losses_than(*repairs, sources + repairs, loss) < 1.0 / FAILURES_ONE_IN
            })
            .unwrap_or(most)
    }
}

/// The probability that of `packets` more than `losses` are lost.
fn more_losses_than(losses: usize, packets: usize, loss: f64) -> f64 {
    let mut term = (1.0 - loss).powi(packets as i32);
    let mut sum = term;
    for lost in 0..losses {
        term *= loss / (1.0 - loss) * (packets - lost) as f64 / (lost + 1) as f64;
        sum += term;
    }
    1.0 - sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(losses: usize) -> FecPath {
        let mut loss = LossShare::default();
        (0..10_000).for_each(|number| loss.on_packet(number % 100 < losses));
        FecPath { loss, srtt: Micros::from_ms(100) }
    }

    #[test]
    fn repairs_go_only_where_a_retransmission_is_too_late() {
        let path = path(5);
        assert_eq!(path.repairs(Fec::Auto, 1, None), 0);
        assert_eq!(path.repairs(Fec::Auto, 1, Some(Micros::from_ms(200))), 0);
        assert!(path.repairs(Fec::Auto, 1, Some(Micros::from_ms(80))) >= 1);
        assert_eq!(path.repairs(Fec::Off, 1, Some(Micros::from_ms(80))), 0);
        assert_eq!(path.repairs(Fec::Permille(300), 10, None), 3);
        assert_eq!(path.repairs(Fec::Permille(1), 10, None), 1);
        assert_eq!(path.repairs(Fec::Auto, 1000, Some(Micros::from_ms(80))), 0);
    }

    #[test]
    fn more_loss_asks_for_more_and_long_messages_for_a_smaller_share() {
        let soon = Some(Micros::from_ms(60));
        let few = path(1).repairs(Fec::Auto, 20, soon);
        let many = path(10).repairs(Fec::Auto, 20, soon);
        assert!(few < many, "{few} and {many}");
        assert!(path(5).repairs(Fec::Auto, 100, soon) < 100 * path(5).repairs(Fec::Auto, 1, soon));
    }

    #[test]
    fn the_tail_of_the_binomial() {
        assert!((more_losses_than(0, 1, 0.05) - 0.05).abs() < 1e-12);
        assert!((more_losses_than(1, 2, 0.05) - 0.0025).abs() < 1e-12);
        assert!((more_losses_than(1, 3, 0.5) - 0.5).abs() < 1e-12);
    }
}
