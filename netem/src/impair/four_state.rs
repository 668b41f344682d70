//! Loss in bursts with good packets inside: the 4-state model, tc-netem's
//! `loss state P13 [P31 [P32 [P23 [P14]]]]`.
//!
//! S. Salsano, F. Ludovici, A. Ordine, D. Giannuzzi, "Definition of a general and intuitive loss
//! model for packet networks and its implementation in the Netem module in the Linux kernel", TR
//! 3.1, 2012. States: 1 received in a gap, 2 received in a burst, 3 lost in a burst, 4 lost alone.
//! Moves: 1 to 3 (p13), 1 to 4 (p14), 3 to 1 (p31), 3 to 2 (p32), 2 to 3 (p23), 4 to 1 always. A
//! packet is lost when it ends up in state 3 or 4. Closed form, in shares of
//! `pi1 : pi2 : pi3 : pi4 = p31 p23 : p13 p32 : p13 p23 : p14 p31 p23`:
//!
//! ```text
//! loss = pi3 + pi4        mean burst = loss / (pi1 (p13 + p14) + pi2 p23)
//! ```
//!
//! The first packet of a flow draws its state from these shares (tc-netem starts in state 1).

use std::fmt;

use crate::random::Draws;
use crate::units::{Probability, UnitError, Words};

use super::Impairment;

const RECEIVED_IN_GAP: u8 = 5;
const RECEIVED_IN_BURST: u8 = 6;
const LOST_IN_BURST: u8 = 7;
const LOST_ALONE: u8 = 8;

/// The 4-state model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FourState {
    p13: Probability,
    p31: Probability,
    p32: Probability,
    p23: Probability,
    p14: Probability,
    /// The stationary shares of states 1 to 3, summed up.
    start: [Probability; 3],
}

impl FourState {
    /// The model with these moves, in the order of tc-netem.
    ///
    /// # Errors
    /// [`UnitError::Contradiction`] when the moves out of state 1 or 3 sum to more than 100%.
    pub fn new([p13, p31, p32, p23, p14]: [Probability; 5]) -> Result<Self, UnitError> {
        let over = |a: Probability, b| Probability::threshold(a) + Probability::threshold(b);
        if over(p13, p14).max(over(p31, p32)) > Probability::ONE.threshold() {
            let value = format!("state {p13} {p31} {p32} {p23} {p14}");
            let reason = "p13 + p14 and p31 + p32 are each at most 100%: one packet moves once";
            return Err(UnitError::Contradiction { value, reason });
        }
        let start = start(p13, p31, p32, p23, p14);
        Ok(Self { p13, p31, p32, p23, p14, start })
    }

    /// The stationary shares of the four states.
    fn shares(&self) -> [f64; 4] {
        let [one, two, three] = self.start.map(Probability::as_fraction);
        [one, two - one, three - two, 1.0 - three]
    }

    /// The share of packets that are lost, by the closed form.
    pub fn loss_expected(&self) -> f64 {
        let [.., in_burst, alone] = self.shares();
        in_burst + alone
    }

    /// The mean length of a run of lost packets, by the closed form.
    pub fn burst_expected(&self) -> f64 {
        let [one, two, ..] = self.shares();
        let starts = one * (self.p13.as_fraction() + self.p14.as_fraction());
        self.loss_expected() / (starts + two * self.p23.as_fraction())
    }

    #[inline]
    pub(super) fn decide(&self, draws: &Draws, state: &mut u8) -> bool {
        let draw = draws.block(Impairment::Loss)[0];
        let either = |a: Probability, to_a, b: Probability, to_b, stay| {
            if a.hit(draw) {
                to_a
            } else if u64::from(draw) < a.threshold() + b.threshold() {
                to_b
            } else {
                stay
            }
        };
        *state = match *state {
            RECEIVED_IN_GAP => {
                either(self.p13, LOST_IN_BURST, self.p14, LOST_ALONE, RECEIVED_IN_GAP)
            }
            RECEIVED_IN_BURST if self.p23.hit(draw) => LOST_IN_BURST,
            RECEIVED_IN_BURST => RECEIVED_IN_BURST,
            LOST_IN_BURST => {
                either(self.p31, RECEIVED_IN_GAP, self.p32, RECEIVED_IN_BURST, LOST_IN_BURST)
            }
            LOST_ALONE => RECEIVED_IN_GAP,
            _ => RECEIVED_IN_GAP + self.start.iter().filter(|sum| !sum.hit(draw)).count() as u8,
        };
        *state >= LOST_IN_BURST
    }

    /// Reads `P13 [P31 [P32 [P23 [P14]]]]`; tc-netem's defaults: p31 = 1-p13, p32 = 0%,
    /// p23 = 100%, p14 = 0%.
    pub(crate) fn read(words: &mut Words<'_>) -> Result<Self, UnitError> {
        let p13: Probability = words.quantity()?;
        let p31 = words.number()?.unwrap_or(p13.complement());
        let p32 = words.number()?.unwrap_or_default();
        let p23 = words.number()?.unwrap_or(Probability::ONE);
        Self::new([p13, p31, p32, p23, words.number()?.unwrap_or_default()])
    }
}

/// The stationary shares of states 1 to 3, summed up, in exact integers.
fn start(
    p13: Probability,
    p31: Probability,
    p32: Probability,
    p23: Probability,
    p14: Probability,
) -> [Probability; 3] {
    let [p13, p31, p32, p23, p14] =
        [p13, p31, p32, p23, p14].map(|p| u128::from(p.threshold() >> 1));
    // Thresholds of 31 bits: three of them multiplied fit easily, and `ratio` has room.
    let one = 1 << 31;
    let shares = [p31 * p23, p13 * p32, p13 * p23, p14 * p31 * p23 / one];
    let whole: u128 = shares.iter().sum();
    if whole == 0 {
        return [Probability::ONE; 3];
    }
    let sums = [shares[0], shares[0] + shares[1], shares[0] + shares[1] + shares[2]];
    sums.map(|sum| Probability::ratio(sum, whole))
}

impl fmt::Display for FourState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p13, p31, p32, p23, p14, .. } = self;
        write!(f, "state {p13} {p31} {p32} {p23} {p14}")
    }
}
