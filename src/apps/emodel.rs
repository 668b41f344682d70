//! The E-model: an estimate of how a call sounds, from codec, delay and loss.
//!
//! Narrowband (ITU-T G.107) for G.711, wideband (ITU-T G.107.1) for Opus. Only the terms a packet
//! network changes are computed; all others keep the defaults, which give R = 93.2 on the
//! narrowband scale and 129 on the wideband one. It estimates; it does not listen.

/// Which band a codec is judged in: the same opinion is another rating on the other scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// 300 to 3,400 Hz, as the telephone. ITU-T G.107.
    Narrowband,
    /// 50 to 7,000 Hz. ITU-T G.107.1.
    Wideband,
}

impl Scale {
    /// The recommendation that defines it.
    pub fn recommendation(self) -> &'static str {
        match self {
            Self::Narrowband => "G.107",
            Self::Wideband => "G.107.1",
        }
    }

    /// R of a call without any impairment but the defaults.
    pub fn best(self) -> f64 {
        match self {
            Self::Narrowband => 93.2,
            Self::Wideband => 129.0,
        }
    }

    /// How many of its points are one of the narrowband scale's. G.107.1 §7.7.
    fn stretch(self) -> f64 {
        match self {
            Self::Narrowband => 1.0,
            Self::Wideband => 1.29,
        }
    }
}

/// What a codec costs and how it bears loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodecImpairment {
    /// The scale the numbers are of.
    pub scale: Scale,
    /// Ie (Ie,wb): what the codec costs without loss.
    pub equipment: f64,
    /// Bpl: how well it bears loss; larger is better.
    pub robustness: f64,
}

/// G.711 that plays silence for what is lost. ITU-T G.113 appendix I.
pub const G711_SILENCE: CodecImpairment = narrowband(0.0, 4.3);
/// G.711 with packet-loss concealment after its appendix I. ITU-T G.113 appendix I.
pub const G711_CONCEALED: CodecImpairment = narrowband(0.0, 25.1);
/// Opus, wideband, with concealment.
///
/// G.113 has no values for Opus. These were derived with an instrumental model by M. Alahmadi
/// (the data of his Opus E-model, 2021): wideband at a constant 15 kbit/s, random loss. It is the
/// highest rate he has for wideband, ours is 24 kbit/s: the estimate is on the cautious side.
pub const OPUS_CONCEALED: CodecImpairment = wideband(18.1, 18.7);
/// Opus that plays silence for what is lost: its own cost, the loss of a codec that hides none.
pub const OPUS_SILENCE: CodecImpairment = wideband(18.1, 4.3);

const fn narrowband(equipment: f64, robustness: f64) -> CodecImpairment {
    CodecImpairment { scale: Scale::Narrowband, equipment, robustness }
}

const fn wideband(equipment: f64, robustness: f64) -> CodecImpairment {
    CodecImpairment { scale: Scale::Wideband, equipment, robustness }
}

/// The rating factor R, 0 to 93.2 or 129 as the codec's scale has it.
///
/// `delay_ms` is one way, mouth to ear; `loss` is a share of 0 to 1, what the jitter buffer came
/// too late for included; `burst_ratio` is 1 for random loss, more when losses come together.
pub fn rating(delay_ms: f64, loss: f64, burst_ratio: f64, codec: CodecImpairment) -> f64 {
    let loss_percent = (loss * 100.0).clamp(0.0, 100.0);
    let burst_ratio = burst_ratio.max(1.0);
    // G.107 §3.5 (7-29), and the same in G.107.1:
    // Ie,eff = Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl).
    let equipment = codec.equipment
        + (95.0 - codec.equipment) * loss_percent / (loss_percent / burst_ratio + codec.robustness);
    let best = codec.scale.best();
    (best - delay_impairment(delay_ms) - equipment).clamp(0.0, best)
}

/// The mean opinion score, 1 to 4.5, for a rating (G.107 annex B, G.107.1 §7.7).
///
/// A score of one scale does not compare with one of the other: listeners judge what they know.
pub fn opinion_score(rating: f64, scale: Scale) -> f64 {
    match rating / scale.stretch() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn score(delay_ms: f64, loss: f64, codec: CodecImpairment) -> f64 {
        opinion_score(rating(delay_ms, loss, 1.0, codec), codec.scale)
    }

    #[test]
    fn published_points() {
        // G.107: all defaults give R = 93.2, MOS 4.41.
        assert!((score(0.0, 0.0, G711_CONCEALED) - 4.41).abs() < 0.005);
        // G.107 annex B, table B.1: R 90, 80, 70, 60, 50 are MOS 4.34, 4.03, 3.60, 3.10, 2.58.
        for (r, mos) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!((opinion_score(r, Scale::Narrowband) - mos).abs() < 0.01, "{r}");
            assert!((opinion_score(1.29 * r, Scale::Wideband) - mos).abs() < 0.01, "{r}");
        }
        for scale in [Scale::Narrowband, Scale::Wideband] {
            assert_eq!((opinion_score(-1.0, scale), opinion_score(130.0, scale)), (1.0, 4.5));
        }
    }

    #[test]
    fn concealment_loss_and_delay_count() {
        assert!(score(0.0, 0.1, G711_CONCEALED) > score(0.0, 0.1, G711_SILENCE) + 0.8);
        assert!(score(0.0, 0.1, OPUS_CONCEALED) > score(0.0, 0.1, OPUS_SILENCE) + 0.8);
        assert_eq!(rating(100.0, 0.0, 1.0, G711_SILENCE), 93.2);
        assert!((rating(100.0, 0.0, 1.0, OPUS_CONCEALED) - 110.9).abs() < 1e-9);
        // R / 1.29 = 85.97: MOS 4.23.
        assert!((score(0.0, 0.0, OPUS_CONCEALED) - 4.23).abs() < 0.005);
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
