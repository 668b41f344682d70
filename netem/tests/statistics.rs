//! Are the models what they say they are? Goodness of fit with stated confidence, fixed seeds.
//!
//! A test that fails prints its seed; `cargo test -p netem --test statistics NAME` repeats it.

use netem::impair::{Delay, Duplicate, FourState, GilbertElliott, Loss, Reorder};
use netem::{Direction, FlowOrdinal, Link, LinkConfig, Nanos, Packet, Seed};

/// The fate of `packets` packets of one flow: lost or not.
fn fates(loss: &str, seed: u64, packets: usize) -> Vec<bool> {
    let config = LinkConfig { loss: loss.parse().unwrap(), ..LinkConfig::default() };
    let mut link = Link::new(Direction::Up, config, Seed(seed));
    let mut fate = |_| {
        let packet = Packet { flow: FlowOrdinal(0), size_bytes: 100, payload: () };
        let lost = !link.input(Nanos::ZERO, packet).is_delivered();
        link.poll(Nanos::ZERO);
        lost
    };
    (0..packets).map(&mut fate).collect()
}

fn share(fates: &[bool]) -> f64 {
    fates.iter().filter(|&&lost| lost).count() as f64 / fates.len() as f64
}

/// The fates as bits, 64 to a word, for counting pairs.
fn packed(fates: &[bool]) -> Vec<u64> {
    let word =
        |chunk: &[bool]| chunk.iter().rev().fold(0, |word, &lost| word << 1 | u64::from(lost));
    fates.chunks(64).map(word).collect()
}

/// The autocorrelation at `lag`, 1 to 63.
fn autocorrelation(packed: &[u64], packets: usize, lag: usize) -> f64 {
    let lost: u32 = packed.iter().map(|word| word.count_ones()).sum();
    let mean = f64::from(lost) / packets as f64;
    let nexts = packed.iter().skip(1).chain([&0]);
    let later = packed.iter().zip(nexts).map(|(word, next)| word >> lag | next << (64 - lag));
    let both: u32 = packed.iter().zip(later).map(|(word, later)| (word & later).count_ones()).sum();
    (f64::from(both) / (packets - lag) as f64 - mean * mean) / (mean * (1.0 - mean))
}

/// How many runs of lost packets have each length; the last place counts all longer ones.
fn run_lengths(fates: &[bool], longest: usize) -> Vec<u64> {
    let mut counts = vec![0; longest];
    for run in fates.split(|lost| !lost).filter(|run| !run.is_empty()) {
        counts[run.len().min(longest) - 1] += 1;
    }
    counts
}

/// The value that chi-square with `degrees` exceeds with probability about 3e-6: Wilson and
/// Hilferty's approximation at 4.5 sigma (20 seeds and 4 points, Bonferroni from 1e-3, is 1.2e-5).
fn chi_square_bound(degrees: usize) -> f64 {
    let k = degrees as f64;
    let spread = 2.0 / (9.0 * k);
    k * (1.0 - spread + 4.5 * spread.sqrt()).powi(3)
}

#[test]
fn random_loss_is_exact_and_without_memory() {
    const PACKETS: usize = 1_000_000;
    for (text, p) in [("0.01%", 1e-4), ("0.1%", 1e-3), ("1%", 0.01), ("10%", 0.1), ("50%", 0.5)] {
        for seed in 1..=20 {
            let fates = fates(text, seed, PACKETS);
            let n = PACKETS as f64;
            let sigma = (p * (1.0 - p) / n).sqrt();
            let off = (share(&fates) - p) / sigma;
            assert!(off.abs() <= 4.0, "loss {text} seed {seed}: {off:.1} sigma");
            let bits = packed(&fates);
            for lag in 1..=10 {
                // Of independent fates the estimate has standard deviation 1/sqrt(n). It is a
                // count of pairs: where hardly one is expected, two may be there.
                let rho = autocorrelation(&bits, PACKETS, lag);
                let bound = 4.5 / n.sqrt() + 2.0 / (n * p * (1.0 - p));
                assert!(rho.abs() < bound, "loss {text} seed {seed} lag {lag}: {rho}");
            }
            // A run of exactly k begins at one packet with probability (1-p)^2 p^k.
            let expect = |k: i32| n * (1.0 - p) * (1.0 - p) * p.powi(k);
            let longest = (1..40).take_while(|&k| expect(k) >= 20.0).count();
            if longest == 0 {
                continue;
            }
            let counts = run_lengths(&fates, longest + 1);
            let chi: f64 = counts[..longest]
                .iter()
                .zip(1..)
                .map(|(&count, k)| (count as f64 - expect(k)).powi(2) / expect(k))
                .sum();
            assert!(chi < chi_square_bound(longest), "loss {text} seed {seed}: chi2 {chi:.1}");
        }
    }
}

#[test]
fn correlated_loss_has_its_marginal_and_its_autocorrelation() {
    for (text, p, rho, packets) in
        [("1% 25%", 0.01, 0.25, 4_000_000), ("20% 60%", 0.2, 0.6, 1_000_000)]
    {
        for seed in 1..=3 {
            let fates = fates(text, seed, packets);
            // The bars for `1% 25%`: 1.00 +- 0.04 %, 0.25 +- 0.02.
            let loss = share(&fates);
            assert!((loss - p).abs() < 0.04 * p, "{text} seed {seed}: {loss}");
            let bits = packed(&fates);
            for lag in 1..=4 {
                let seen = autocorrelation(&bits, packets, lag);
                let expected = f64::powi(rho, lag as i32);
                assert!((seen - expected).abs() < 0.02, "{text} seed {seed} lag {lag}: {seen}");
            }
        }
    }
}

/// Why the correlation is not tc-netem's: mixing each uniform number with the one before draws
/// them all towards one half, and the lower tail, where the losses are, is gone.
#[test]
fn the_formula_of_tc_netem_loses_next_to_nothing() {
    let (p, rho) = (0.01, 0.25);
    let mut before = 0.5;
    let lost = (0..1_000_000u32).filter(|&number| {
        let draw = netem::random::philox4x32([number, 0, 0, 0], [7, 0])[0];
        before = f64::from(draw) / f64::from(u32::MAX) * (1.0 - rho) + before * rho;
        before < p
    });
    let lost = lost.count();
    assert!(lost < 100, "{lost} of a million, where 10,000 were asked for");
    assert!((share(&fates("1% 25%", 7, 1_000_000)) - p).abs() < 0.04 * p);
}

fn mean_burst(fates: &[bool]) -> f64 {
    let runs = fates.split(|lost| !lost).filter(|run| !run.is_empty()).count();
    fates.iter().filter(|&&lost| lost).count() as f64 / runs as f64
}

#[test]
fn burst_models_meet_their_closed_forms() {
    const PACKETS: usize = 10_000_000;
    let within = |what: &str, seen: f64, expected: f64| {
        let error = (seen / expected - 1.0).abs();
        assert!(error < 0.01, "{what}: {seen} instead of {expected}");
    };
    for text in ["gemodel 2% 20%", "gemodel 10% 50% 70% 1%"] {
        let Loss::GilbertElliott(model) = text.parse().unwrap() else { panic!("{text}") };
        let model: GilbertElliott = model;
        let fates = fates(text, 7, PACKETS);
        within(text, share(&fates), model.loss_expected());
        within(text, mean_burst(&fates), model.burst_expected());
    }
    for text in ["state 5% 30% 20% 40% 1%", "state 10%"] {
        let Loss::FourState(model) = text.parse().unwrap() else { panic!("{text}") };
        let model: FourState = model;
        let fates = fates(text, 7, PACKETS);
        within(text, share(&fates), model.loss_expected());
        within(text, mean_burst(&fates), model.burst_expected());
    }
    // By hand: pi_bad = 2/22, bursts of 1/r = 5.
    let Loss::GilbertElliott(simple) = "gemodel 2% 20%".parse().unwrap() else { panic!() };
    assert!((simple.loss_expected() - 2.0 / 22.0).abs() < 1e-6);
    assert!((simple.burst_expected() - 5.0).abs() < 1e-6);
}

/// The delays of packets that do not wait for each other, in milliseconds.
fn delays(delay: Delay, packets: u64) -> Vec<f64> {
    let config = LinkConfig { delay, ..LinkConfig::default() };
    let mut link = Link::new(Direction::Up, config, Seed(7));
    let mut delay = |_| {
        let packet = Packet { flow: FlowOrdinal(0), size_bytes: 100, payload: () };
        let verdict = link.input(Nanos::ZERO, packet);
        link.poll(Nanos::MAX);
        verdict.delay.as_nanos() as f64 / 1e6
    };
    (0..packets).map(&mut delay).collect()
}

/// The greatest distance between what was seen and `cdf` (Kolmogorov and Smirnov).
fn ks_distance(mut seen: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    seen.sort_by(f64::total_cmp);
    let n = seen.len() as f64;
    let gaps = seen.iter().enumerate().map(|(place, &x)| {
        let below = cdf(x);
        (below - place as f64 / n).max((place as f64 + 1.0) / n - below)
    });
    gaps.fold(0.0, f64::max)
}

/// The normal distribution function: Simpson's rule over the density, an oracle that shares
/// nothing with the tables.
fn phi(z: f64) -> f64 {
    const STEPS: u32 = 400;
    let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let h = z / f64::from(STEPS);
    let sum: f64 =
        (1..STEPS).map(|n| density(f64::from(n) * h) * if n % 2 == 1 { 4.0 } else { 2.0 }).sum();
    0.5 + (density(0.0) + sum + density(z)) * h / 3.0
}

fn pareto_cdf(x: f64) -> f64 {
    let x = x * 0.75f64.sqrt() + 1.5;
    if x <= 1.0 { 0.0 } else { 1.0 - x.powi(-3) }
}

/// Standard normal quantiles by bisection on [`phi`].
fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if phi(middle) < p { low = middle } else { high = middle }
    }
    low
}

#[test]
fn delay_distributions_pass_kolmogorov_and_smirnov() {
    const PACKETS: u64 = 100_000;
    let bound = 1.95 / (PACKETS as f64).sqrt();
    // 100 ms and 10 ms: nothing reaches below zero.
    let seen = |words: &str| -> Vec<f64> {
        let text = format!("100ms 10ms{words}");
        let delays = delays(text.parse().unwrap(), PACKETS);
        delays.into_iter().map(|delay| (delay - 100.0) / 10.0).collect()
    };
    let check = |words: &str, cdf: &dyn Fn(f64) -> f64| {
        let distance = ks_distance(seen(words), cdf);
        assert!(distance < bound, "{words:?}: D = {distance:.5}, bound {bound:.5}");
    };
    let e = std::f64::consts::E;
    let log_sigma = (e * (e - 1.0)).sqrt();
    let uniform = |x: f64| ((x + 1.0) / 2.0).clamp(0.0, 1.0);
    let lognormal = |x: f64| {
        let y = x * log_sigma + e.sqrt();
        if y <= 0.0 { 0.0 } else { phi(y.ln()) }
    };
    check("", &uniform);
    check(" distribution normal", &phi);
    check(" distribution pareto", &pareto_cdf);
    check(" distribution lognormal", &lognormal);
    // Phi(z) = p makes the sum of the two quantiles a function of z that rises: bisect on a grid.
    let grid: Vec<(f64, f64)> = (1..4000)
        .map(|n| {
            let p = f64::from(n) / 4000.0;
            let pareto = ((1.0 - p).powf(-1.0 / 3.0) - 1.5) / 0.75f64.sqrt();
            ((normal_quantile(p) + 3.0 * pareto) / 4.0 / 0.937_753_856_873_564, p)
        })
        .collect();
    let paretonormal = |x: f64| {
        let place = grid.partition_point(|&(value, _)| value < x);
        let (above, below) = (grid.get(place), place.checked_sub(1).map(|n| grid[n]));
        match (below, above) {
            (Some((x0, p0)), Some(&(x1, p1))) => p0 + (x - x0) / (x1 - x0) * (p1 - p0),
            (None, _) => grid[0].1 / 2.0,
            (_, None) => 1.0 - grid[0].1 / 2.0,
        }
    };
    check(" distribution paretonormal", &paretonormal);
    // With correlation the marginal stays: neighbours depend on each other, so every 20th.
    for (words, cdf) in
        [(" 50% distribution normal", &phi as &dyn Fn(f64) -> f64), (" 50%", &uniform)]
    {
        let text = format!("100ms 10ms{words}");
        let all = delays(text.parse().unwrap(), 20 * PACKETS);
        let apart = all.iter().step_by(20).map(|delay| (delay - 100.0) / 10.0).collect();
        let distance = ks_distance(apart, cdf);
        assert!(distance < bound, "{words:?}: D = {distance:.5}");
    }
}

#[test]
fn jitter_is_as_correlated_as_asked() {
    let delays = delays("100ms 10ms 25% distribution normal".parse().unwrap(), 1_000_000);
    let n = delays.len() as f64;
    let mean = delays.iter().sum::<f64>() / n;
    let variance = delays.iter().map(|delay| (delay - mean).powi(2)).sum::<f64>() / n;
    let both = delays.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>();
    let rho = both / n / variance;
    assert!((rho - 0.25).abs() < 0.01, "{rho}");
    assert!((variance.sqrt() - 10.0).abs() < 0.05, "{variance}");
}

#[test]
fn duplicate_and_reorder_hit_as_often_as_asked() {
    const PACKETS: u64 = 1_000_000;
    for seed in 1..=5 {
        let duplicate: Duplicate = "3%".parse().unwrap();
        let reorder: Reorder = "2%".parse().unwrap();
        let config = LinkConfig { duplicate, reorder, ..LinkConfig::default() };
        let mut link = Link::new(Direction::Up, config, Seed(seed));
        for _ in 0..PACKETS {
            let packet = Packet { flow: FlowOrdinal(0), size_bytes: 100, payload: () };
            link.input(Nanos::ZERO, packet);
            while link.poll(Nanos::ZERO).is_some() {}
        }
        for (what, count, p) in [
            ("duplicate", link.stats().duplicated, 0.03),
            ("reorder", link.stats().reordered, 0.02),
        ] {
            let n = PACKETS as f64;
            let off = (count as f64 - n * p) / (n * p * (1.0 - p)).sqrt();
            assert!(off.abs() <= 4.0, "{what} seed {seed}: {off:.1} sigma");
        }
    }
}

#[test]
fn the_rate_is_exact() {
    for (text, size_bytes) in [("10mbit", 1200), ("3mbit", 997), ("1gbit", 64), ("7777777bit", 1)] {
        let rate = text.parse().unwrap();
        let config = LinkConfig { rate: Some(rate), ..LinkConfig::default() };
        let mut link = Link::new(Direction::Up, config, Seed(7));
        let rate: netem::BitRate = text.parse().unwrap();
        // Always something to send; each packet comes out when its last bit has left.
        let (mut now, mut bits, mut out) = (Nanos::ZERO, 0u64, Vec::new());
        for number in 0..20_000u64 {
            let packet = Packet { flow: FlowOrdinal(0), size_bytes, payload: number };
            assert!(link.input(now, packet).is_delivered());
            while link.stats().queued > 500 {
                now = link.next_deadline().unwrap();
                if link.poll(now).is_some() {
                    bits += u64::from(size_bytes) * 8;
                    out.push((now, bits));
                }
            }
        }
        let (last, bits) = *out.last().unwrap();
        let expected = bits as f64 / rate.bits_per_second() as f64;
        let error = (last.as_secs_f64() / expected - 1.0).abs();
        assert!(error < 1e-6, "{text}: {} s for {expected} s", last.as_secs_f64());
        // In no window more than the rate and one packet.
        for window in out.windows(100) {
            let ((from, before), (to, after)) = (window[0], window[99]);
            let span = (to - from).as_secs_f64() + 2e-9;
            assert!((after - before) as f64 <= span * rate.bits_per_second() as f64 + 1.0);
        }
    }
}
