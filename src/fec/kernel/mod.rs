//! Whole chunks: every output is a sum of the sources, each times a coefficient.
//!
//! One generic loop (`stripes`) runs over what an instruction set offers (`Lanes`); which one is
//! used is decided at run time. All kernels give the same bytes: a test compares them with
//! `scalar`. This folder is the only place of the crate's arithmetic with `unsafe` code.

#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
mod stripes;
mod tables;
#[cfg(target_arch = "x86_64")]
mod x86;

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Tables, byte by byte; everywhere.
    Scalar,
    /// 16-byte table look-ups of nibbles.
    Ssse3,
    /// 32-byte table look-ups of nibbles.
    Avx2,
    /// Multiplication as a bit matrix, 32 bytes at a time.
    GfniAvx2,
    /// Multiplication as a bit matrix, 64 bytes at a time.
    GfniAvx512,
    /// 16-byte table look-ups of nibbles, on Arm.
    Neon,
}

impl Kernel {
    /// All kernels, the best first.
    const BY_MERIT: [Self; 6] =
        [Self::GfniAvx512, Self::GfniAvx2, Self::Avx2, Self::Ssse3, Self::Neon, Self::Scalar];

    /// The best kernel this machine has.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::Scalar)
    }

    /// The kernels this machine has, the best first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::BY_MERIT.into_iter().filter(|kernel| kernel.is_available())
    }

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Ssse3 => "ssse3",
            Self::Avx2 => "avx2",
            Self::GfniAvx2 => "gfni-avx2",
            Self::GfniAvx512 => "gfni-avx512",
            Self::Neon => "neon",
        }
    }

    fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3 => is_x86_feature_detected!("ssse3"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::GfniAvx2 => is_x86_feature_detected!("gfni") && is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::GfniAvx512 => {
                is_x86_feature_detected!("gfni") && is_x86_feature_detected!("avx512f")
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Ssse3 | Self::Avx2 | Self::GfniAvx2 | Self::GfniAvx512 => false,
            #[cfg(not(target_arch = "aarch64"))]
            Self::Neon => false,
        }
    }
}

/// A matrix of coefficients, ready for any kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    columns: usize,
    /// Row by row.
    coefficients: Vec<u8>,
}

impl Matrix {
    /// A matrix of `rows` × `columns`, filled by `coefficient(row, column)`.
    pub fn new(rows: usize, columns: usize, coefficient: impl Fn(usize, usize) -> u8) -> Self {
        let coefficient = &coefficient;
        Self::by_rows(rows, columns, |row| (0..columns).map(move |column| coefficient(row, column)))
    }

    /// A matrix of `rows` × `columns`, filled by `row(row)`, which gives the entries of a row.
    pub fn by_rows<R: IntoIterator<Item = u8>>(
        rows: usize,
        columns: usize,
        mut row: impl FnMut(usize) -> R,
    ) -> Self {
        let mut coefficients = Vec::with_capacity(rows * columns);
        for i in 0..rows {
            coefficients.extend(row(i).into_iter().take(columns));
        }
        Self { columns, coefficients }
    }

    /// How many outputs it gives.
    pub fn rows(&self) -> usize {
        self.coefficients.len().checked_div(self.columns).unwrap_or(0)
    }

    /// How many sources it takes.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// Computes every output as the sum of `sources[column]` times `matrix[row][column]`.
///
/// ```
/// use udpcore::fec::kernel::{Kernel, Matrix, combine};
/// let parity = Matrix::new(1, 2, |_, _| 1);
/// let mut output = [0; 3];
/// combine(Kernel::best(), &parity, &[b"abc", b"xyz"], &mut [&mut output]);
/// assert_eq!(output, [b'a' ^ b'x', b'b' ^ b'y', b'c' ^ b'z']);
/// ```
///
/// # Panics
/// The counts of sources and outputs are not the matrix's, the lengths are not all the same, or
/// the machine does not have the kernel: bugs in the caller.
pub fn combine(kernel: Kernel, matrix: &Matrix, sources: &[&[u8]], outputs: &mut [&mut [u8]]) {
    assert_eq!((outputs.len(), sources.len()), (matrix.rows(), matrix.columns()), "counts");
    let Some(len) = outputs.first().map(|output| output.len()) else { return };
    assert!(outputs.iter().all(|output| output.len() == len), "outputs of different lengths");
    assert!(sources.iter().all(|source| source.len() == len), "sources of different lengths");
    assert!(kernel.is_available(), "this machine has no {}", kernel.name());
    match kernel {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the lengths were checked above, the instructions are there.
        Kernel::Ssse3 => unsafe { x86::ssse3(matrix, sources, outputs) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Kernel::Avx2 => unsafe { x86::avx2(matrix, sources, outputs) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Kernel::GfniAvx2 => unsafe { x86::gfni_avx2(matrix, sources, outputs) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Kernel::GfniAvx512 => unsafe { x86::gfni_avx512(matrix, sources, outputs) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Kernel::Neon => unsafe { neon::neon(matrix, sources, outputs) },
        _ => scalar::combine(matrix, sources, outputs, 0..len),
    }
}

#[cfg(test)]
mod tests;
