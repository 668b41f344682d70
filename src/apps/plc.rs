//! Packet-loss concealment: fill a missing frame with the voice's own last waveform.
//!
//! After the method of ITU-T G.711 appendix I (find the pitch, repeat the last periods, blend at
//! the seams, fade), for any sample rate and frame length and without its extra delay. Our own
//! code; not bit-exact with the appendix and not meant to be.

/// Hears every frame that is played and invents the missing ones.
#[derive(Debug, Clone)]
pub struct Concealer {
    rate_hz: usize,
    /// The last samples played, newest last.
    history: Vec<f32>,
    /// The voice's last periods, being repeated; empty when nothing is missing.
    period: Vec<f32>,
    /// The two periods before it: longer gaps repeat more of them, which sounds less like a bell.
    older: Vec<f32>,
    position: usize,
    concealed: usize,
}

impl Concealer {
    /// Make one for `rate_hz` samples a second.
    pub fn new(rate_hz: u32) -> Self {
        let rate_hz = rate_hz.clamp(RATE_HZ_MIN, RATE_HZ_MAX) as usize;
        Self {
            rate_hz,
            history: vec![0.0; rate_hz * HISTORY_MS / 1000],
            period: Vec::new(),
            older: Vec::new(),
            position: 0,
            concealed: 0,
        }
    }

    /// Take a frame that came; returns it with its beginning blended from what was invented.
    pub fn good(&mut self, frame: &[i16]) -> Vec<i16> {
        let mut samples: Vec<f32> = frame.iter().map(|sample| f32::from(*sample)).collect();
        if !self.period.is_empty() {
            // The longer the gap, the longer the blend: 5 ms and 4 ms more for each 10 ms.
            let gap_ms = self.concealed * 1000 / self.rate_hz;
            let blend_ms = (5 + gap_ms.saturating_sub(10) * 4 / 10).min(10);
            let blend = (self.rate_hz * blend_ms / 1000).min(samples.len());
            let invented = self.invent(blend);
            for (n, (sample, old)) in samples.iter_mut().zip(&invented).enumerate() {
                let share = (n as f32 + 0.5) / blend as f32;
                *sample = *sample * share + old * (1.0 - share);
            }
            self.period.clear();
            self.concealed = 0;
        }
        self.remember(&samples);
        to_samples(&samples)
    }

    /// Invent a frame of `count` samples for one that is missing.
    pub fn conceal(&mut self, count: usize) -> Vec<i16> {
        if self.period.is_empty() {
            self.begin();
        }
        let invented = self.invent(count);
        self.remember(&invented);
        to_samples(&invented)
    }

    fn begin(&mut self) {
        let pitch = self.pitch();
        let end = self.history.len();
        let quarter = pitch / 4;
        self.period = self.history[end - pitch..].to_vec();
        // The seam of the loop: the end of the period runs into the samples before the period.
        for n in 0..quarter {
            let share = (n as f32 + 0.5) / quarter as f32;
            let before = self.history[end - pitch - quarter + n];
            let last = &mut self.period[pitch - quarter + n];
            *last = *last * (1.0 - share) + before * share;
        }
        self.older = self.history[end - 3 * pitch..end - pitch].to_vec();
        self.position = 0;
        self.concealed = 0;
    }

    fn invent(&mut self, count: usize) -> Vec<f32> {
        let mut invented = Vec::with_capacity(count);
        for _ in 0..count {
            let gap_ms = (self.concealed * 1000 / self.rate_hz) as f32;
            // Full for 10 ms, then 20 % less each 10 ms, nothing after 60 ms.
            let gain = (1.0 - (gap_ms - FULL_MS) * FADE_PER_MS).clamp(0.0, 1.0);
            invented.push(self.period_sample(gap_ms) * gain);
            self.concealed += 1;
            self.position += 1;
        }
        invented
    }

    /// The sample at the loop's position; from 20 ms on, older periods are mixed in.
    fn period_sample(&self, gap_ms: f32) -> f32 {
        let pitch = self.period.len();
        let newest = self.period[self.position % pitch];
        if gap_ms < VARIED_FROM_MS {
            return newest;
        }
        let older = self.older[self.position % self.older.len()];
        let share = ((gap_ms - VARIED_FROM_MS) / 10.0).min(1.0) * 0.5;
        newest * (1.0 - share) + older * share
    }

    /// The lag of 5 to 15 ms at which the last 20 ms look most like what came before.
    fn pitch(&self) -> usize {
        let (shortest, longest) = (self.rate_hz / 200, self.rate_hz * 15 / 1000);
        let window = self.rate_hz * 20 / 1000;
        let end = self.history.len();
        let recent = &self.history[end - window..];
        let likeness = |lag: usize, step: usize| {
            let before = &self.history[end - window - lag..end - lag];
            let pairs = recent.iter().zip(before).step_by(step);
            let (mut product, mut energy) = (0.0f32, 1.0f32);
            for (a, b) in pairs {
                product += a * b;
                energy += b * b;
            }
            product / energy.sqrt()
        };
        // A coarse search on every other sample, then a fine one around the best.
        let best = |lags: &mut dyn Iterator<Item = usize>, step| {
            lags.map(|lag| (likeness(lag, step), lag))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .map_or(shortest, |(_, lag)| lag)
        };
        let coarse = best(&mut (shortest..=longest).step_by(2), 2);
        let near = coarse.saturating_sub(2).max(shortest)..=(coarse + 2).min(longest);
        best(&mut near.into_iter(), 1)
    }

    fn remember(&mut self, samples: &[f32]) {
        let keep = self.history.len();
        self.history.extend_from_slice(samples);
        self.history.drain(..self.history.len() - keep);
    }
}

fn to_samples(samples: &[f32]) -> Vec<i16> {
    let limit = |sample: f32| sample.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX));
    samples.iter().map(|sample| limit(*sample) as i16).collect()
}

const RATE_HZ_MIN: u32 = 4_000;
const RATE_HZ_MAX: u32 = 192_000;
/// Three of the longest periods and a quarter, or the window and one period.
const HISTORY_MS: usize = 50;
const FULL_MS: f32 = 10.0;
const FADE_PER_MS: f32 = 0.02;
const VARIED_FROM_MS: f32 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice-like tone of 125 Hz with two harmonics, 16 kHz, from sample `start`.
    fn voice(start: usize, count: usize) -> Vec<i16> {
        let sample = |n: usize| {
            let angle = n as f64 * std::f64::consts::TAU * 125.0 / 16_000.0;
            6000.0 * angle.sin() + 2500.0 * (2.0 * angle).sin() + 1000.0 * (5.0 * angle).cos()
        };
        (start..start + count).map(|n| sample(n) as i16).collect()
    }

    fn heard() -> Concealer {
        let mut concealer = Concealer::new(16_000);
        for n in 0..5 {
            assert_eq!(concealer.good(&voice(n * 320, 320)), voice(n * 320, 320));
        }
        concealer
    }

    #[test]
    fn a_steady_voice_goes_on() {
        let invented = heard().conceal(320);
        let wanted = voice(5 * 320, 320);
        // The first 10 ms are at full level and in phase.
        let error: f64 = (0..160).map(|n| f64::from(invented[n] - wanted[n]).powi(2)).sum();
        let energy: f64 = (0..160).map(|n| f64::from(wanted[n]).powi(2)).sum();
        assert!(error < energy / 50.0, "{}", error / energy);
    }

    #[test]
    fn there_is_no_click_at_any_seam() {
        let mut concealer = heard();
        let mut played = voice(4 * 320, 320);
        let steepest = played.windows(2).map(|w| (w[1] - w[0]).abs()).max().unwrap();
        for _ in 0..2 {
            played.extend(concealer.conceal(320));
        }
        played.extend(concealer.good(&voice(7 * 320, 320)));
        let worst = played.windows(2).map(|w| (w[1] - w[0]).abs()).max().unwrap();
        assert!(worst <= steepest + steepest / 2, "{worst} after {steepest}");
    }

    #[test]
    fn a_long_gap_fades_to_silence() {
        let mut concealer = heard();
        for _ in 0..3 {
            concealer.conceal(320);
        }
        assert_eq!(concealer.conceal(320), [0; 320]);
        assert_eq!(concealer.good(&voice(0, 320))[319], voice(0, 320)[319]);
    }

    #[test]
    fn odd_rates_and_sizes_do_not_panic() {
        for rate in [0, 8000, 11_025, 48_000, u32::MAX] {
            let mut concealer = Concealer::new(rate);
            concealer.conceal(0);
            concealer.conceal(5);
            concealer.good(&[]);
            concealer.conceal(7000);
            concealer.good(&[i16::MAX, i16::MIN]);
        }
    }
}
