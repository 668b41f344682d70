//! Every kernel this machine has gives the bytes of the plain one.

use proptest::prelude::*;

use super::*;
use crate::fec::gf256::multiply;

/// One output byte by the field's own multiplication.
fn by_the_field(matrix: &Matrix, sources: &[&[u8]], row: usize, at: usize) -> u8 {
    let coefficients = &matrix.coefficients[row * matrix.columns..];
    coefficients.iter().zip(sources).fold(0, |sum, (&c, source)| sum ^ multiply(c, source[at]))
}

fn run(kernel: Kernel, matrix: &Matrix, sources: &[&[u8]], len: usize) -> Vec<Vec<u8>> {
    // Old bytes in the outputs must not matter.
    let mut outputs = vec![vec![0xa5; len]; matrix.rows()];
    let mut views: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    combine(kernel, matrix, sources, &mut views);
    outputs
}

#[test]
fn every_product_of_every_kernel_is_right() {
    let source: Vec<u8> = (0..=255).collect();
    let matrix = Matrix::new(256, 1, |row, _| row as u8);
    for kernel in Kernel::available() {
        let outputs = run(kernel, &matrix, &[&source], 256);
        for (c, output) in outputs.iter().enumerate() {
            for (x, &product) in output.iter().enumerate() {
                assert_eq!(product, multiply(c as u8, x as u8), "{c} * {x}, {}", kernel.name());
            }
        }
    }
}

#[test]
fn this_machine_has_a_kernel_and_the_plain_one() {
    assert_eq!(Kernel::available().last(), Some(Kernel::Scalar));
    assert_eq!(Kernel::available().next(), Some(Kernel::best()));
    #[cfg(target_arch = "x86_64")]
    assert_ne!(Kernel::best(), Kernel::Scalar);
}

proptest! {
    #[test]
    fn all_kernels_give_the_same_bytes(
        rows in 0_usize..24,
        columns in 1_usize..40,
        len in 0_usize..400,
        seed: u64,
    ) {
        let byte = |a: usize, b: usize| {
            let mixed = (seed ^ ((a as u64) << 32) ^ b as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56) as u8
        };
        let matrix = Matrix::new(rows, columns, byte);
        let sources: Vec<Vec<u8>> =
            (0..columns).map(|c| (0..len).map(|at| byte(1_000 + c, at)).collect()).collect();
        let sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
        let plain = run(Kernel::Scalar, &matrix, &sources, len);
        for (row, output) in plain.iter().enumerate() {
            for at in (0..len).step_by(37) {
                prop_assert_eq!(output[at], by_the_field(&matrix, &sources, row, at));
            }
        }
        for kernel in Kernel::available() {
            prop_assert_eq!(&run(kernel, &matrix, &sources, len), &plain, "{}", kernel.name());
        }
    }
}
