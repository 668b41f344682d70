//! Loss in bursts: the Gilbert–Elliott model, tc-netem's `loss gemodel P [R [1-H [1-K]]]`.
//!
//! E. N. Gilbert, "Capacity of a burst-noise channel", BSTJ 39, 1960; E. O. Elliott, "Estimates of
//! error rates for codes on burst-noise channels", BSTJ 42, 1963. Two states, good and bad; each
//! packet moves good to bad with probability p and bad to good with r, and is then lost with
//! probability 1-h in the bad state, 1-k in the good one. Closed form:
//!
//! ```text
//! pi_bad = p / (p + r)        loss = pi_bad (1-h) + pi_good (1-k)
//! mean burst (h = 0, k = 1) = 1 / r
//! ```
//!
//! The first packet of a flow draws its state from the stationary shares, so the closed form holds
//! from the start (tc-netem starts in the good state, and loses by the state before the move).

use std::fmt;

use crate::random::Draws;
use crate::units::{Probability, UnitError, Words};

use super::Impairment;

const GOOD: u8 = 3;
const BAD: u8 = 4;

/// The Gilbert–Elliott model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GilbertElliott {
    /// Good to bad.
    p: Probability,
    /// Bad to good.
    r: Probability,
    /// Lost in the bad state, 1-h.
    loss_bad: Probability,
    /// Lost in the good state, 1-k.
    loss_good: Probability,
    start_bad: Probability,
}

impl GilbertElliott {
    /// Good to bad with `p`, bad to good with `r`; lost with `loss_bad` (1-h) in the bad state and
    /// with `loss_good` (1-k) in the good one.
    ///
    /// # Errors
    /// [`UnitError::Contradiction`] when `p` and `r` are both zero: the state would never change.
    pub fn new(
        p: Probability,
        r: Probability,
        loss_bad: Probability,
        loss_good: Probability,
    ) -> Result<Self, UnitError> {
        let (p_steps, r_steps) = (u128::from(p.threshold()), u128::from(r.threshold()));
        if p_steps + r_steps == 0 {
            let reason = "p and r are both zero, so the state never changes: give p, or no loss";
            return Err(UnitError::Contradiction { value: "gemodel 0% 0%".to_owned(), reason });
        }
        let start_bad = Probability::ratio(p_steps, p_steps + r_steps);
        Ok(Self { p, r, loss_bad, loss_good, start_bad })
    }

    /// The share of packets that are lost, by the closed form.
    pub fn loss_expected(&self) -> f64 {
        let bad = self.start_bad.as_fraction();
        bad * self.loss_bad.as_fraction() + (1.0 - bad) * self.loss_good.as_fraction()
    }

    /// The mean length of a run of lost packets, by the closed form.
    pub fn burst_expected(&self) -> f64 {
        let bad = self.start_bad.as_fraction();
        let (p, r) = (self.p.as_fraction(), self.r.as_fraction());
        let (loss_bad, loss_good) = (self.loss_bad.as_fraction(), self.loss_good.as_fraction());
        let again_bad = loss_bad * ((1.0 - r) * loss_bad + r * loss_good);
        let again_good = loss_good * (p * loss_bad + (1.0 - p) * loss_good);
        let both = bad * again_bad + (1.0 - bad) * again_good;
        self.loss_expected() / (self.loss_expected() - both)
    }

    #[inline]
    pub(super) fn decide(&self, draws: &Draws, state: &mut u8) -> bool {
        let [moved, lost, ..] = draws.block(Impairment::Loss);
        let bad = match *state {
            GOOD => self.p.hit(moved),
            BAD => !self.r.hit(moved),
            _ => self.start_bad.hit(moved),
        };
        *state = if bad { BAD } else { GOOD };
        if bad { self.loss_bad.hit(lost) } else { self.loss_good.hit(lost) }
    }

    /// Reads `P [R [1-H [1-K]]]`; tc-netem's defaults: r = 1-p, 1-h = 100%, 1-k = 0%.
    pub(crate) fn read(words: &mut Words<'_>) -> Result<Self, UnitError> {
        let p: Probability = words.quantity()?;
        let r = words.number()?.unwrap_or(p.complement());
        let loss_bad = words.number()?.unwrap_or(Probability::ONE);
        Self::new(p, r, loss_bad, words.number()?.unwrap_or_default())
    }
}

impl fmt::Display for GilbertElliott {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p, r, loss_bad, loss_good, .. } = self;
        write!(f, "gemodel {p} {r} {loss_bad} {loss_good}")
    }
}
