//! ITU-T G.711 companding: one 16-bit sample <-> one byte, µ-law and A-law.
//!
//! Segment arithmetic from the definition of the two laws; no table, no state. Payload types 0
//! (PCMU) and 8 (PCMA) of RFC 3551 carry these bytes.

/// Compress one linear sample with µ-law (G.711 §3.2).
pub fn compress_ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(ULAW_CLIP) + ULAW_BIAS;
    // The segment is the position of the highest set bit, counted from bit 7.
    let segment = (31 - magnitude.leading_zeros() as i32 - 7).clamp(0, 7);
    let mantissa = (magnitude >> (segment + 3)) & 0x0F;
    // The wire carries the complement, so that silence is a run of ones.
    !(sign | (segment << 4) as u8 | mantissa as u8)
}

/// Expand one µ-law byte to a linear sample.
pub fn expand_ulaw(byte: u8) -> i16 {
    let bits = !byte;
    let segment = i32::from((bits >> 4) & 7);
    let mantissa = i32::from(bits & 0x0F);
    let magnitude = (((mantissa << 3) + ULAW_BIAS) << segment) - ULAW_BIAS;
    (if bits & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

/// Compress one linear sample with A-law (G.711 §3.1).
pub fn compress_alaw(sample: i16) -> u8 {
    // One's complement keeps the two halves symmetrical: -1 is the smallest negative step.
    let (sign, magnitude) =
        if sample < 0 { (0, !i32::from(sample)) } else { (0x80, i32::from(sample)) };
    let segment = (31 - (magnitude | 1).leading_zeros() as i32 - 7).max(0);
    let mantissa = if segment == 0 { magnitude >> 4 } else { magnitude >> (segment + 3) } & 0x0F;
    (sign | (segment << 4) as u8 | mantissa as u8) ^ ALAW_EVEN_BITS
}

/// Expand one A-law byte to a linear sample.
pub fn expand_alaw(byte: u8) -> i16 {
    let bits = byte ^ ALAW_EVEN_BITS;
    let segment = i32::from((bits >> 4) & 7);
    let mantissa = i32::from(bits & 0x0F) << 4;
    let magnitude = if segment == 0 { mantissa + 8 } else { (mantissa + 0x108) << (segment - 1) };
    (if bits & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

const ULAW_BIAS: i32 = 0x84;
const ULAW_CLIP: i32 = 32_635;
/// A-law inverts the even bits on the wire.
const ALAW_EVEN_BITS: u8 = 0x55;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_expanding_and_compressing() {
        for byte in 0..=255u8 {
            // µ-law has two zeros (0x7F is minus zero): both mean the same sample.
            let again = compress_ulaw(expand_ulaw(byte));
            assert_eq!(expand_ulaw(again), expand_ulaw(byte), "ulaw {byte:#x}");
            assert_eq!(compress_alaw(expand_alaw(byte)), byte, "alaw {byte:#x}");
        }
    }

    #[test]
    fn known_points_of_the_two_laws() {
        // Silence is 0xFF / 0xD5; the extremes are what G.711's tables 1 and 2 end with.
        assert_eq!((compress_ulaw(0), compress_alaw(0)), (0xFF, 0xD5));
        assert_eq!((compress_ulaw(i16::MAX), compress_ulaw(i16::MIN)), (0x80, 0x00));
        assert_eq!((compress_alaw(i16::MAX), compress_alaw(i16::MIN)), (0xAA, 0x2A));
        assert_eq!((expand_ulaw(0x80), expand_ulaw(0x00)), (32_124, -32_124));
        assert_eq!((expand_alaw(0xAA), expand_alaw(0x2A)), (32_256, -32_256));
    }

    #[test]
    fn the_error_stays_below_the_step_of_the_segment() {
        for sample in i16::MIN..=i16::MAX {
            let magnitude = i32::from(sample).abs();
            let step_max = (magnitude / 16 + 16).max(16);
            for heard in [expand_ulaw(compress_ulaw(sample)), expand_alaw(compress_alaw(sample))] {
                let error = (i32::from(heard) - i32::from(sample)).abs();
                assert!(error <= step_max, "{sample} became {heard}");
            }
        }
    }

    #[test]
    fn louder_never_becomes_quieter() {
        for sample in i16::MIN..i16::MAX {
            let (low, high) = (sample, sample + 1);
            assert!(expand_ulaw(compress_ulaw(low)) <= expand_ulaw(compress_ulaw(high)));
            assert!(expand_alaw(compress_alaw(low)) <= expand_alaw(compress_alaw(high)));
        }
    }
}
