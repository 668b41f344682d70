//! The kernel of 64-bit Arm: nibble look-ups with NEON.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    clippy::missing_safety_doc,
    reason = "every function rests on the one promise of `Lanes`: the instructions are there"
)]

use std::arch::aarch64::*;

use crate::fec::kernel::Matrix;
use crate::fec::kernel::stripes::{self, Lanes};
use crate::fec::kernel::tables::NIBBLES;

/// # Safety
/// As [`stripes::combine`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn neon(matrix: &Matrix, sources: &[&[u8]], outputs: &mut [&mut [u8]]) {
    // SAFETY: the caller's promise, passed on.
    unsafe { stripes::combine::<Neon>(matrix, sources, outputs) }
}

struct Neon;

impl Lanes for Neon {
    type Vector = uint8x16_t;
    /// Low and high nibbles.
    type Ready = (uint8x16_t, uint8x16_t);
    const BYTES: usize = 16;
    const ROWS: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> uint8x16_t {
        // SAFETY: the instructions are there.
        unsafe { vdupq_n_u8(0) }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> uint8x16_t {
        // SAFETY: the caller promises 16 readable bytes.
        unsafe { vld1q_u8(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut u8, vector: uint8x16_t) {
        // SAFETY: the caller promises 16 writable bytes.
        unsafe { vst1q_u8(to, vector) }
    }

    #[inline(always)]
    unsafe fn ready(source: uint8x16_t) -> Self::Ready {
        // SAFETY: the instructions are there.
        unsafe { (vandq_u8(source, vdupq_n_u8(15)), vshrq_n_u8::<4>(source)) }
    }

    #[inline(always)]
    unsafe fn add_product(
        sum: uint8x16_t,
        (low, high): Self::Ready,
        matrix: &Matrix,
        index: usize,
    ) -> uint8x16_t {
        // SAFETY: the instructions are there; the matrix has this index; a table has 32 bytes.
        unsafe {
            let table = &NIBBLES[usize::from(*matrix.coefficients.get_unchecked(index))];
            let low = vqtbl1q_u8(vld1q_u8(table.as_ptr()), low);
            let high = vqtbl1q_u8(vld1q_u8(table[16..].as_ptr()), high);
            veorq_u8(sum, veorq_u8(low, high))
        }
    }
}
