//! The plain kernel: the reference of the others, and their help with what is left over.

use std::ops::Range;

use crate::fec::kernel::Matrix;
use crate::fec::kernel::tables::NIBBLES;

/// Computes the bytes `range` of every output.
pub(super) fn combine(
    matrix: &Matrix,
    sources: &[&[u8]],
    outputs: &mut [&mut [u8]],
    range: Range<usize>,
) {
    for (row, output) in outputs.iter_mut().enumerate() {
        let output = &mut output[range.clone()];
        output.fill(0);
        for (column, source) in sources.iter().enumerate() {
            let table = &NIBBLES[usize::from(matrix.coefficients[row * matrix.columns + column])];
            for (sum, &byte) in output.iter_mut().zip(&source[range.clone()]) {
                *sum ^= table[usize::from(byte & 15)] ^ table[16 + usize::from(byte >> 4)];
            }
        }
    }
}
