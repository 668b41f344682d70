//! The E-model (ITU-T G.107): an estimate of how a call sounds, from delay and loss.
//!
//! Only the terms a packet network changes are computed; all others keep the defaults of G.107
//! table 2, which give R = 93.2. It estimates; it does not listen.

/// What a codec costs and how it bears loss (ITU-T G.113 appendix I).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodecImpairment {
    /// Ie: what the codec costs without loss.
    pub equipment: f64,
    /// Bpl: how well it bears loss; larger is better.
    pub robustness: f64,
}

/// G.711 that plays silence for what is lost.
pub const G711_SILENCE: CodecImpairment = CodecImpairment { equipment: 0.0, robustness: 4.3 };
/// G.711 with packet-loss concealment after its appendix I.
pub const G711_CONCEALED: CodecImpairment = CodecImpairment { equipment: 0.0, robustness: 25.1 };

/// The rating factor R, 0 to 93.2.
///
/// `delay_ms` is one way, mouth to ear; `loss` is a share of 0 to 1, what the jitter buffer came
/// too late for included; `burst_ratio` is 1 for random loss, more when losses come together.
pub fn rating(delay_ms: f64, loss: f64, burst_ratio: f64, codec: CodecImpairment) -> f64 {
    let loss_percent = (loss * 100.0).clamp(0.0, 100.0);
    let burst_ratio = burst_ratio.max(1.0);
    // G.107 §3.5 (7-29): Ie,eff = Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl).
    let equipment = codec.equipment
        + (95.0 - codec.equipment) * loss_percent / (loss_percent / burst_ratio + codec.robustness);
    (RATING_DEFAULT - delay_impairment(delay_ms) - equipment).clamp(0.0, 100.0)
}

/// The mean opinion score, 1 to 4.5, for a rating (G.107 annex B).
pub fn opinion_score(rating: f64) -> f64 {
    match rating {
        r if r <= 0.0 => 1.0,
        r if r >= 100.0 => 4.5,
        r => (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0),
    }
}

/// G.107 §3.4 (7-27): Idd is zero up to 100 ms. Echo is taken as cancelled.
fn delay_impairment(delay_ms: f64) -> f64 {
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    let sixth = |x: f64| (1.0 + x.powi(6)).powf(1.0 / 6.0);
    25.0 * (sixth(x) - 3.0 * sixth(x / 3.0) + 2.0)
}

const RATING_DEFAULT: f64 = 93.2;

#[cfg(test)]
mod tests {
    use super::*;

    fn score(delay_ms: f64, loss: f64, codec: CodecImpairment) -> f64 {
        opinion_score(rating(delay_ms, loss, 1.0, codec))
    }

    #[test]
    fn published_points() {
        // G.107: all defaults give R = 93.2, MOS 4.41.
        assert!((score(0.0, 0.0, G711_CONCEALED) - 4.41).abs() < 0.005);
        // G.107 annex B, table B.1: R 90, 80, 70, 60, 50 are MOS 4.34, 4.03, 3.60, 3.10, 2.58.
        for (r, mos) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!((opinion_score(r) - mos).abs() < 0.01, "{r}");
        }
        assert_eq!((opinion_score(-1.0), opinion_score(101.0)), (1.0, 4.5));
    }

    #[test]
    fn concealment_loss_and_delay_count() {
        assert!(score(0.0, 0.1, G711_CONCEALED) > score(0.0, 0.1, G711_SILENCE) + 0.8);
        assert_eq!(rating(100.0, 0.0, 1.0, G711_SILENCE), RATING_DEFAULT);
        let mut last = f64::INFINITY;
        for delay in (0..2000).step_by(50) {
            let now = rating(f64::from(delay), 0.02, 1.0, G711_CONCEALED);
            assert!(now <= last);
            last = now;
        }
        assert!(rating(0.0, 0.05, 2.0, G711_CONCEALED) < rating(0.0, 0.05, 1.0, G711_CONCEALED));
        assert_eq!(score(9000.0, 1.0, G711_SILENCE), 1.0);
    }
}
