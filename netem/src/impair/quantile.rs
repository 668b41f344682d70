//! Inverse distribution functions as tables of integers: a uniform 64-bit draw in, sigmas out.
//!
//! The tables are computed when first used, from the formulas below, with nothing but IEEE 754
//! addition, multiplication, division and square root, which are exact to the last bit on every
//! platform; the logarithm and the exponential are series of this file. A draw is looked up with
//! integers only. Each table has 4096 steps over the whole range and 4096 more over the outermost
//! 1/4096 at both ends, linear in between, so tails are right down to 2^-24. All have mean 0 and
//! standard deviation 1:
//!
//! ```text
//! normal        Phi^-1(u)
//! pareto        ((1-u)^(-1/3) - 3/2) / sqrt(3/4)       Pareto, shape 3 (as tc-netem's)
//! paretonormal  (normal(u)/4 + 3 pareto(u)/4) / 0.93775385685..
//! lognormal     (exp(Phi^-1(u)) - sqrt(e)) / sqrt(e (e-1))     of a standard normal
//! ```
//!
//! tc-netem's own paretonormal is a table of random sums in the same proportions; ours adds the
//! two quantiles, which needs no randomness to define. No table of iproute2 is used here.

use std::sync::LazyLock;

/// log2 of the steps of each of the three parts of a table.
const STEPS_LOG2: u32 = 12;
const STEPS: usize = 1 << STEPS_LOG2;
/// Table values are in sigmas times 2^16.
const SCALE: f64 = 65_536.0;
/// How far beyond its steps a tail reaches: half of the last step.
const TAIL_END: f64 = 0.5;
/// Standard deviation of normal(u)/4 + 3 pareto(u)/4, where the correlation of the two is
/// 0.678352789549986 (integrated numerically): sqrt(1/16 + 9/16 + 6/16 * 0.678352789549986).
const PARETONORMAL_SIGMA: f64 = 0.937_753_856_873_563_9;
const LN_2: f64 = std::f64::consts::LN_2;
const SQRT_2_PI: f64 = 2.506_628_274_631_000_5;
const SQRT_E: f64 = 1.648_721_270_700_128_2;

/// One inverse distribution function.
#[derive(Debug)]
pub(crate) struct Quantiles {
    low: Box<[i32]>,
    body: Box<[i32]>,
    high: Box<[i32]>,
}

pub(crate) static NORMAL: LazyLock<Quantiles> = LazyLock::new(|| Quantiles::new(normal()));
pub(crate) static PARETO: LazyLock<Quantiles> = LazyLock::new(|| Quantiles::new(map(pareto)));
pub(crate) static PARETONORMAL: LazyLock<Quantiles> = LazyLock::new(|| {
    let sums = normal().into_iter().zip(map(pareto));
    let sum = |(normal, pareto): (f64, f64)| (normal + 3.0 * pareto) / (4.0 * PARETONORMAL_SIGMA);
    Quantiles::new(sums.map(sum).collect())
});
pub(crate) static LOGNORMAL: LazyLock<Quantiles> = LazyLock::new(|| {
    let sigma = SQRT_E * (SQRT_E * SQRT_E - 1.0).sqrt();
    Quantiles::new(normal().into_iter().map(|z| (exp(z) - SQRT_E) / sigma).collect())
});
/// The normal distribution function itself, over [`PHI_RANGE`] sigmas to both sides.
static PHI: LazyLock<Box<[u64]>> = LazyLock::new(|| {
    let place = |n: usize| (n as f64 / STEPS as f64 * 2.0 - 1.0) * PHI_RANGE as f64;
    (0..=STEPS).map(|n| (upper_tail(-place(n)) * 18_446_744_073_709_551_616.0) as u64).collect()
});
const PHI_RANGE: i64 = 8;

impl Quantiles {
    /// From the quantiles at the places of [`places`], in sigmas.
    fn new(values: Vec<f64>) -> Self {
        let part = |n: usize| -> Box<[i32]> {
            let values = &values[n * (STEPS + 1)..(n + 1) * (STEPS + 1)];
            values.iter().map(|value| (value * SCALE).round() as i32).collect()
        };
        Self { low: part(0), body: part(1), high: part(2) }
    }

    /// The quantile of `draw / 2^64`, in sigmas times 2^48.
    #[inline]
    pub(crate) fn at(&self, draw: u64) -> i64 {
        let outer = draw >> (64 - STEPS_LOG2);
        let (table, place) = match outer as usize {
            0 => (&self.low, draw << STEPS_LOG2),
            n if n == STEPS - 1 => (&self.high, draw << STEPS_LOG2),
            _ => (&self.body, draw),
        };
        interpolate(table, place)
    }
}

/// `table` at `place / 2^64`, times 2^32.
#[inline]
fn interpolate(table: &[i32], place: u64) -> i64 {
    let step = (place >> (64 - STEPS_LOG2)) as usize;
    let into = ((place << STEPS_LOG2) >> 32) as i64;
    let (from, to) = (i64::from(table[step]), i64::from(table[step + 1]));
    (from << 32) + (to - from) * into
}

/// The normal distribution function of `z` (sigmas times 2^32), times 2^64.
#[inline]
pub(crate) fn phi(z: i64) -> u64 {
    let edge = PHI_RANGE << 32;
    let from_left = (z.clamp(-edge, edge - 1) + edge) as u64;
    // 2 * PHI_RANGE sigmas are 2^36 here, and STEPS steps: 24 bits are left within a step.
    let (step, into) = ((from_left >> 24) as usize, from_left & 0x00FF_FFFF);
    let (low, high) = (PHI[step], PHI[step + 1]);
    low + ((u128::from(high - low) * u128::from(into)) >> 24) as u64
}

/// Where the tables are computed: the probabilities below and above each knot, for the low tail,
/// the body and the high tail. The smaller of the two is exact.
fn places() -> impl Iterator<Item = (f64, f64)> {
    let steps = STEPS as f64;
    let knot = move |n: usize| match n {
        0 => TAIL_END,
        n if n == STEPS => steps - TAIL_END,
        n => n as f64,
    };
    let tail = steps * steps;
    let low = (0..=STEPS).map(move |n| if n == STEPS { steps } else { knot(n) } / tail);
    let body = (0..=STEPS).map(move |n| (knot(n) / steps, knot(STEPS - n) / steps));
    let mirrored = low.clone().collect::<Vec<_>>().into_iter().rev();
    low.map(|p| (p, 1.0 - p)).chain(body).chain(mirrored.map(|q| (1.0 - q, q)))
}

fn map(quantile: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    places().map(|(below, above)| quantile(below, above)).collect()
}

fn pareto(_: f64, above: f64) -> f64 {
    (exp(-ln(above) / 3.0) - 1.5) / 0.75f64.sqrt()
}

/// The normal quantiles at all places: Newton's method on Phi, from the knot before.
fn normal() -> Vec<f64> {
    let mut z = 0.0;
    let solve = |(below, above): (f64, f64)| {
        let tail = below.min(above);
        z = newton(tail, if z > 0.0 { z } else { 1.0 });
        if below < above { -z } else { z }
    };
    places().map(solve).collect()
}

/// The `z >= 0` that has `tail` above it, at most one half.
fn newton(tail: f64, start: f64) -> f64 {
    let mut z = start;
    for _ in 0..60 {
        let density = exp(-0.5 * z * z) / SQRT_2_PI;
        // Far out a plain step overshoots; half a sigma at a time always arrives.
        let step = ((upper_tail(z) - tail) / density).clamp(-0.5, 0.5);
        let next = (z + step).max(0.0);
        let moved = (next - z).abs();
        z = next;
        if moved < 1e-13 {
            break;
        }
    }
    z
}

/// What a standard normal variable leaves above `z`, for -8.5 <= z <= 8.5.
fn upper_tail(z: f64) -> f64 {
    let density = exp(-0.5 * z * z) / SQRT_2_PI;
    if z.abs() > 3.0 {
        // Laplace's continued fraction, from the inside out.
        let x = z.abs();
        let fraction = (1..=60).rev().fold(x, |inner, n| x + f64::from(n) / inner);
        let tail = density / fraction;
        return if z > 0.0 { tail } else { 1.0 - tail };
    }
    // Phi(z) - 1/2 = density (z + z^3/3 + z^5/(3*5) + ...).
    let (mut term, mut sum, mut odd) = (z, z, 1.0);
    while term.abs() > 1e-18 {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    0.5 - density * sum
}

/// The exponential, for |x| < 700: x = n ln 2 + r, then a series in r.
fn exp(x: f64) -> f64 {
    let n = (x / LN_2).round();
    let r = x - n * LN_2;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..=20 {
        term *= r / f64::from(k);
        sum += term;
    }
    // 2^n, made of its exponent bits.
    sum * f64::from_bits(((1023 + n as i64) as u64) << 52)
}

/// The natural logarithm of a normal positive number: x = m 2^n with m close to 1, then
/// ln m = 2 artanh((m-1)/(m+1)).
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut n = (bits >> 52) as i64 - 1023;
    let mut m = f64::from_bits(bits & 0x000F_FFFF_FFFF_FFFF | 1023 << 52);
    if m > std::f64::consts::SQRT_2 {
        m /= 2.0;
        n += 1;
    }
    let t = (m - 1.0) / (m + 1.0);
    let (mut power, mut sum) = (t, t);
    for k in 1..=15 {
        power *= t * t;
        sum += power / f64::from(2 * k + 1);
    }
    n as f64 * LN_2 + 2.0 * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_agree_with_the_library() {
        for n in -200..200 {
            let x = f64::from(n) / 10.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-14, "{x}");
            let y = x.exp();
            assert!((ln(y) - y.ln()).abs() < 1e-14 * y.ln().abs().max(1.0), "{y}");
        }
        // Two published values.
        assert!((upper_tail(1.959_963_984_540_054) - 0.025).abs() < 1e-15);
        assert!((upper_tail(5.0) / 2.866_515_718_791_939e-7 - 1.0).abs() < 1e-9);
        assert!((newton(0.001, 1.0) - 3.090_232_306_167_813).abs() < 1e-12);
    }

    #[test]
    fn every_table_rises_and_has_mean_0_and_deviation_1() {
        for (name, table) in
            [("normal", &NORMAL), ("pareto", &PARETO), ("pn", &PARETONORMAL), ("ln", &LOGNORMAL)]
        {
            let mut before = i64::MIN;
            let (mut sum, mut squares) = (0.0, 0.0);
            const POINTS: u64 = 1 << 22;
            for n in 0..POINTS {
                let value = table.at((n << 42) + (1 << 41));
                assert!(value >= before, "{name} at {n}");
                before = value;
                let sigmas = value as f64 / (1u64 << 48) as f64;
                sum += sigmas;
                squares += sigmas * sigmas;
            }
            let (mean, variance) = (sum / POINTS as f64, squares / POINTS as f64);
            assert!(mean.abs() < 2e-3, "{name}: mean {mean}");
            // A Pareto tail cut off at 2^-25 lacks some of its variance.
            assert!((variance - 1.0).abs() < 0.02, "{name}: variance {variance}");
        }
    }

    #[test]
    fn phi_is_the_inverse_of_the_normal_quantiles() {
        for n in 1..1000u64 {
            let draw = n * (u64::MAX / 1000);
            let back = phi(NORMAL.at(draw) >> 16);
            assert!(back.abs_diff(draw) < 1 << 46, "{n}: {:e}", back.abs_diff(draw) as f64);
        }
    }

    /// The tables are part of the generator: FNV-1a of all values, the same on every platform.
    #[test]
    fn the_tables_are_pinned() {
        let sums = [&NORMAL, &PARETO, &PARETONORMAL, &LOGNORMAL].map(|table| {
            let values = table.low.iter().chain(&table.body).chain(&table.high);
            values.flat_map(|value| value.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325u64, |sum, b| {
                (sum ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
            })
        });
        insta::assert_snapshot!(sums.map(|sum| format!("{sum:016x}")).join(" "));
    }
}
