//! Voice activity: is somebody speaking in this frame?
//!
//! Energy against a noise floor that follows the quietest frames, with a hangover so that the
//! end of a word is not cut off. No spectrum, no model: enough to stop sending silence.

/// Decides frame by frame.
#[derive(Debug, Clone)]
pub struct VoiceActivity {
    /// Mean square of the background.
    floor: f64,
    hangover_frames: u32,
    left: u32,
}

impl VoiceActivity {
    /// Make one that stays on for `hangover_frames` after the last loud frame.
    pub fn new(hangover_frames: u32) -> Self {
        Self { floor: FLOOR_START, hangover_frames, left: 0 }
    }

    /// True while somebody speaks.
    pub fn is_speech(&mut self, frame: &[i16]) -> bool {
        let energy = mean_square(frame);
        let loud = energy > self.floor * SPEECH_OVER_FLOOR && energy > ENERGY_MIN;
        // The floor falls at once and climbs slowly, more slowly still under speech.
        let climb = if loud { CLIMB_IN_SPEECH } else { CLIMB };
        self.floor = if energy < self.floor {
            0.8 * self.floor + 0.2 * energy
        } else {
            (self.floor * climb).min(energy)
        };
        self.floor = self.floor.max(FLOOR_MIN);
        if loud {
            self.left = self.hangover_frames;
            return true;
        }
        let hanging = self.left > 0;
        self.left = self.left.saturating_sub(1);
        hanging
    }
}

/// Mean of the squared samples; 0 for an empty frame.
pub fn mean_square(frame: &[i16]) -> f64 {
    let sum: i64 = frame.iter().map(|sample| i64::from(*sample) * i64::from(*sample)).sum();
    sum as f64 / frame.len().max(1) as f64
}

const FLOOR_START: f64 = 2_500.0;
const FLOOR_MIN: f64 = 25.0;
/// 9 dB.
const SPEECH_OVER_FLOOR: f64 = 8.0;
/// -54 dB of full scale: quieter is nobody.
const ENERGY_MIN: f64 = 4_000.0;
const CLIMB: f64 = 1.02;
const CLIMB_IN_SPEECH: f64 = 1.001;

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a 200 Hz tone at 16 kHz with this amplitude.
    fn tone(amplitude: f64) -> Vec<i16> {
        let sample = |n: i32| amplitude * (f64::from(n) * std::f64::consts::TAU / 80.0).sin();
        (0..320).map(|n| sample(n) as i16).collect()
    }

    #[test]
    fn speech_is_heard_and_silence_is_not() {
        let mut vad = VoiceActivity::new(10);
        assert!(!vad.is_speech(&tone(0.0)));
        assert!(!vad.is_speech(&tone(40.0)));
        assert!(vad.is_speech(&tone(3000.0)));
        let after = (0..20).filter(|_| vad.is_speech(&tone(0.0))).count();
        assert_eq!(after, 10);
    }

    #[test]
    fn a_steady_hum_becomes_background() {
        let mut vad = VoiceActivity::new(0);
        let hum: Vec<bool> = (0..3000).map(|_| vad.is_speech(&tone(400.0))).collect();
        assert!(!hum[2999]);
        assert!(vad.is_speech(&tone(6000.0)));
    }

    #[test]
    fn an_empty_frame_is_silence() {
        assert!(!VoiceActivity::new(3).is_speech(&[]));
    }
}
