//! TinyMT32, the generator both ends of the sliding-window code draw coefficients from (RFC 8682).
//! Not for anything secret.

const MAT1: u32 = 0x8f70_11ee;
const MAT2: u32 = 0xfc78_ff1f;
const TMAT: u32 = 0x3793_fdff;

/// The generator.
#[derive(Debug, Clone)]
pub struct TinyMt32 {
    state: [u32; 4],
}

impl TinyMt32 {
    /// The generator with the seed `seed` (RFC 8682 §2.1; its parameters make any seed valid).
    pub fn new(seed: u32) -> Self {
        let mut state = [seed, MAT1, MAT2, TMAT];
        for i in 1..8_u32 {
            let before = state[((i - 1) & 3) as usize];
            let mixed = (before ^ (before >> 30)).wrapping_mul(1_812_433_253);
            state[(i & 3) as usize] ^= i.wrapping_add(mixed);
        }
        let mut this = Self { state };
        (0..8).for_each(|_| this.step());
        this
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        self.step();
        let [a, _, c, d] = self.state;
        let sum = a.wrapping_add(c >> 8);
        d ^ sum ^ mask(sum, TMAT)
    }

    fn step(&mut self) {
        let [a, b, c, d] = self.state;
        let mut x = (a & 0x7fff_ffff) ^ b ^ c;
        x ^= x << 1;
        let y = d ^ (d >> 1) ^ x;
        self.state = [b, c ^ mask(y, MAT1), x ^ (y << 10) ^ mask(y, MAT2), y];
    }
}

/// `bits` if `value` is odd, otherwise nothing.
fn mask(value: u32, bits: u32) -> u32 {
    (value & 1).wrapping_neg() & bits
}

#[cfg(test)]
mod tests {
    use super::TinyMt32;

    /// The first of the test values of RFC 8682 §3 for the seed 1.
    #[test]
    fn rfc_8682_vector() {
        let mut generator = TinyMt32::new(1);
        let expected = [2_545_341_989, 981_918_433, 3_715_302_833, 2_387_538_352, 3_591_001_365];
        assert_eq!(expected.map(|_| generator.next_u32()), expected);
    }
}
