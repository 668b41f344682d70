//! The loop all vector kernels share.
//!
//! The chunks are cut into stripes of [`VECTORS`] vectors. For each stripe, groups of output rows
//! are held in registers while the sources stream by once; a stripe of all sources stays in the
//! first-level cache from one group to the next. The last stripe ends with the chunk and may
//! overlap the one before: it computes the same bytes again.

use crate::fec::kernel::{Matrix, scalar};

/// Vectors in a stripe.
const VECTORS: usize = 2;

/// What an instruction set offers. All functions need the instructions to be there.
pub(super) trait Lanes {
    /// A vector register.
    type Vector: Copy;
    /// A source vector, made ready to be multiplied several times.
    type Ready: Copy;
    /// Bytes in a vector.
    const BYTES: usize;
    /// Output rows held in registers at once, at most [`ROWS_MAX`].
    const ROWS: usize;

    /// The vector of zeros.
    unsafe fn zero() -> Self::Vector;
    /// The vector at `from`, which need not be aligned.
    unsafe fn load(from: *const u8) -> Self::Vector;
    /// Writes `vector` to `to`, which need not be aligned.
    unsafe fn store(to: *mut u8, vector: Self::Vector);
    /// Makes a source vector ready.
    unsafe fn ready(source: Self::Vector) -> Self::Ready;
    /// `sum` plus the source times the coefficient at `index` of `matrix`.
    unsafe fn add_product(
        sum: Self::Vector,
        source: Self::Ready,
        matrix: &Matrix,
        index: usize,
    ) -> Self::Vector;
}

/// The most rows any kernel holds in registers.
const ROWS_MAX: usize = 10;

/// Computes all outputs.
///
/// # Safety
/// All sources and outputs have the same length, their counts are the matrix's, and the
/// instructions of `L` are there.
#[inline(always)]
#[allow(clippy::multiple_unsafe_ops_per_block, reason = "one call, in ten sizes")]
pub(super) unsafe fn combine<L: Lanes>(
    matrix: &Matrix,
    sources: &[&[u8]],
    outputs: &mut [&mut [u8]],
) {
    let len = outputs.first().map_or(0, |output| output.len());
    let stripe = L::BYTES * VECTORS;
    if len < stripe {
        return scalar::combine(matrix, sources, outputs, 0..len);
    }
    let mut at = 0;
    while at < len {
        let start = at.min(len - stripe);
        let mut row = 0;
        while row < outputs.len() {
            let rows = (outputs.len() - row).min(L::ROWS);
            let group = &mut outputs[row..row + rows];
            // SAFETY: the stripe lies within every chunk, the rest is the caller's promise.
            unsafe {
                match rows {
                    1 => group_of::<L, 1>(matrix, row, sources, group, start),
                    2 => group_of::<L, 2>(matrix, row, sources, group, start),
                    3 => group_of::<L, 3>(matrix, row, sources, group, start),
                    4 => group_of::<L, 4>(matrix, row, sources, group, start),
                    5 => group_of::<L, 5>(matrix, row, sources, group, start),
                    6 => group_of::<L, 6>(matrix, row, sources, group, start),
                    7 => group_of::<L, 7>(matrix, row, sources, group, start),
                    8 => group_of::<L, 8>(matrix, row, sources, group, start),
                    9 => group_of::<L, 9>(matrix, row, sources, group, start),
                    _ => group_of::<L, ROWS_MAX>(matrix, row, sources, group, start),
                }
            }
            row += rows;
        }
        at += stripe;
    }
}

/// One stripe of `N` outputs, whose first one is row `row` of the matrix.
#[inline(always)]
#[allow(clippy::multiple_unsafe_ops_per_block, reason = "all rest on the same promise")]
unsafe fn group_of<L: Lanes, const N: usize>(
    matrix: &Matrix,
    row: usize,
    sources: &[&[u8]],
    outputs: &mut [&mut [u8]],
    start: usize,
) {
    // SAFETY: the caller promises that the instructions are there, that `start` plus a stripe is
    // within every source and output, and that the matrix has these rows and columns.
    unsafe {
        let mut sums = [[L::zero(); VECTORS]; N];
        for (column, source) in sources.iter().enumerate() {
            let from = source.as_ptr().add(start);
            let mut ready = [L::ready(L::load(from)); VECTORS];
            for (v, ready) in ready.iter_mut().enumerate().skip(1) {
                *ready = L::ready(L::load(from.add(v * L::BYTES)));
            }
            for (n, sums) in sums.iter_mut().enumerate() {
                let index = (row + n) * matrix.columns + column;
                for (sum, ready) in sums.iter_mut().zip(ready) {
                    *sum = L::add_product(*sum, ready, matrix, index);
                }
            }
        }
        for (output, sums) in outputs.iter_mut().zip(sums) {
            let to = output.as_mut_ptr().add(start);
            for (v, sum) in sums.into_iter().enumerate() {
                L::store(to.add(v * L::BYTES), sum);
            }
        }
    }
}
