//! The coefficients as the kernels want them, computed at compile time.

use crate::fec::gf256::multiply;

/// `NIBBLES[c][n] = c·n` and `NIBBLES[c][16 + n] = c·(n << 4)`: a product is the sum of two.
pub(super) static NIBBLES: [[u8; 32]; 256] = nibbles();

/// Multiplication by `c` as an 8×8 bit matrix in the order of `gf2p8affineqb`: byte 7 - i holds
/// the bits of the input that bit i of the product is the sum of.
pub(super) static AFFINE: [u64; 256] = affine();

const fn nibbles() -> [[u8; 32]; 256] {
    let mut table = [[0; 32]; 256];
    let mut c = 0;
    while c < 256 {
        let mut n = 0;
        while n < 16 {
            table[c][n] = multiply(c as u8, n as u8);
            table[c][16 + n] = multiply(c as u8, (n << 4) as u8);
            n += 1;
        }
        c += 1;
    }
    table
}

const fn affine() -> [u64; 256] {
    let mut table = [0; 256];
    let mut c = 0;
    while c < 256 {
        let mut input_bit = 0;
        while input_bit < 8 {
            let product = multiply(c as u8, 1 << input_bit);
            let mut output_bit = 0;
            while output_bit < 8 {
                if product >> output_bit & 1 == 1 {
                    table[c] |= 1 << (8 * (7 - output_bit) + input_bit);
                }
                output_bit += 1;
            }
            input_bit += 1;
        }
        c += 1;
    }
    table
}
