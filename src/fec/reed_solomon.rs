//! Reed–Solomon over chunks of equal length: `k` source chunks as they are, `m` repair chunks,
//! and any `k` of all of them give back the sources.
//!
//! Up to 255 chunks the code is over GF(2^8) with a Cauchy matrix: the coefficient of source `j`
//! in repair `i` is 1 / ((255 - i) + j), so a repair chunk does not depend on how many others
//! there are. Its square parts have a closed-form inverse (Cauchy 1841; Schechter 1959), and so has
//! the matrix that recovers the lost from the rest, which costs O(losses · k). Above 255 chunks
//! the library `reed-solomon-simd` (GF(2^16)) does the work.

use thiserror::Error;

use crate::fec::gf256::{Log, inverse};
use crate::fec::kernel::{Kernel, Matrix, combine};

/// Chunks, source and repair together, that GF(2^8) can number.
pub const SMALL_CHUNKS_MAX: usize = 255;

/// Chunks, source and repair together, at most.
pub const CHUNKS_MAX: usize = 65_535;

/// Why a code cannot be made or chunks cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodeError {
    /// No such code.
    #[error("no code of {k} source and {m} repair chunks: k >= 1, m >= 0, k + m <= {CHUNKS_MAX}")]
    NoSuchCode {
        /// Source chunks.
        k: usize,
        /// Repair chunks.
        m: usize,
    },
    /// Another number of source chunks than the code has.
    #[error("{given} source chunks given, the code has {k}")]
    WrongCount {
        /// How many were given.
        given: usize,
        /// How many the code has.
        k: usize,
    },
    /// A chunk number outside the code.
    #[error("chunk {index} is not among the {total} of this code")]
    WrongIndex {
        /// The number.
        index: usize,
        /// How many chunks the code has.
        total: usize,
    },
    /// Fewer chunks than source chunks.
    #[error("{given} chunks given, at least {k} are needed")]
    TooFew {
        /// How many were given.
        given: usize,
        /// How many are needed.
        k: usize,
    },
    /// Chunks that cannot belong together.
    #[error("chunk {index} does not fit the others: {len} bytes")]
    WrongLength {
        /// The number of the chunk.
        index: usize,
        /// Its length.
        len: usize,
    },
}

/// A code of `k` source and `m` repair chunks.
#[derive(Debug, Clone)]
pub struct ReedSolomon {
    k: usize,
    m: usize,
    kernel: Kernel,
    /// For the small field.
    matrix: Option<Matrix>,
}

impl ReedSolomon {
    /// The code, on the best kernel of this machine.
    ///
    /// # Errors
    /// [`CodeError::NoSuchCode`].
    ///
    /// ```
    /// use udpcore::fec::reed_solomon::ReedSolomon;
    /// let code = ReedSolomon::new(3, 2).unwrap();
    /// let repairs = code.encode(&[b"abcd", b"efgh", b"ijkl"]).unwrap();
    /// let lost = code
    ///     .reconstruct(&[None, Some(b"efgh"), None], &[(0, &repairs[0]), (1, &repairs[1])])
    ///     .unwrap();
    /// assert_eq!(lost, [(0, b"abcd".to_vec()), (2, b"ijkl".to_vec())]);
    /// ```
    pub fn new(k: usize, m: usize) -> Result<Self, CodeError> {
        Self::with_kernel(k, m, Kernel::best())
    }

    /// The code on a kernel of one's choice.
    ///
    /// # Errors
    /// [`CodeError::NoSuchCode`].
    pub fn with_kernel(k: usize, m: usize, kernel: Kernel) -> Result<Self, CodeError> {
        let total = k.saturating_add(m);
        if k == 0 || total > CHUNKS_MAX {
            return Err(CodeError::NoSuchCode { k, m });
        }
        let small = total <= SMALL_CHUNKS_MAX;
        if !small && m > 0 && !reed_solomon_simd::ReedSolomonEncoder::supports(k, m) {
            return Err(CodeError::NoSuchCode { k, m });
        }
        let matrix = small.then(|| Matrix::new(m, k, coefficient));
        Ok(Self { k, m, kernel, matrix })
    }

    /// Source chunks.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Repair chunks.
    pub fn m(&self) -> usize {
        self.m
    }

    /// Chunk lengths are multiples of this: 1, or 2 for the large field.
    pub fn granularity(&self) -> usize {
        if self.matrix.is_some() { 1 } else { 2 }
    }

    /// The repair chunks of `sources`, which all have the same length, a multiple of
    /// [`Self::granularity`].
    ///
    /// # Errors
    /// [`CodeError::WrongCount`], [`CodeError::WrongLength`].
    pub fn encode(&self, sources: &[&[u8]]) -> Result<Vec<Vec<u8>>, CodeError> {
        let len = sources.first().map_or(0, |source| source.len());
        let mut repairs = vec![vec![0; len]; self.m];
        let mut views: Vec<&mut [u8]> = repairs.iter_mut().map(Vec::as_mut_slice).collect();
        self.encode_into(sources, &mut views)?;
        Ok(repairs)
    }

    /// As [`Self::encode`], into buffers of the sources' length, one per repair chunk.
    ///
    /// # Errors
    /// [`CodeError::WrongCount`], [`CodeError::WrongLength`].
    pub fn encode_into(
        &self,
        sources: &[&[u8]],
        repairs: &mut [&mut [u8]],
    ) -> Result<(), CodeError> {
        if sources.len() != self.k {
            return Err(CodeError::WrongCount { given: sources.len(), k: self.k });
        }
        let len = sources[0].len();
        self.check_lengths(len, sources.iter().enumerate().map(|(i, s)| (i, s.len())))?;
        if len == 0 || repairs.is_empty() {
            return Ok(());
        }
        if let Some(matrix) = &self.matrix {
            combine(self.kernel, matrix, sources, repairs);
            return Ok(());
        }
        let made = reed_solomon_simd::encode(self.k, self.m, sources).map_err(|_| {
            // Counts and lengths were checked above.
            CodeError::NoSuchCode { k: self.k, m: self.m }
        })?;
        repairs.iter_mut().zip(made).for_each(|(to, from)| to.copy_from_slice(&from));
        Ok(())
    }

    /// The lost source chunks with their numbers, from the others (`None` is lost) and from repair
    /// chunks with theirs. More repairs than losses are not looked at.
    ///
    /// # Errors
    /// [`CodeError`] when counts, numbers or lengths do not fit, or too few chunks are there.
    pub fn reconstruct(
        &self,
        sources: &[Option<&[u8]>],
        repairs: &[(usize, &[u8])],
    ) -> Result<Vec<(usize, Vec<u8>)>, CodeError> {
        if sources.len() != self.k {
            return Err(CodeError::WrongCount { given: sources.len(), k: self.k });
        }
        let lost: Vec<usize> = (0..self.k).filter(|&i| sources[i].is_none()).collect();
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        if repairs.len() < lost.len() {
            let given = self.k - lost.len() + repairs.len();
            return Err(CodeError::TooFew { given, k: self.k });
        }
        let repairs = &repairs[..lost.len()];
        if let Some(&(index, _)) = repairs.iter().find(|(index, _)| *index >= self.m) {
            return Err(CodeError::WrongIndex { index: self.k + index, total: self.k + self.m });
        }
        let len = repairs[0].1.len();
        let present = sources.iter().enumerate().filter_map(|(i, s)| Some((i, (*s)?)));
        self.check_lengths(len, present.clone().map(|(i, s)| (i, s.len())))?;
        self.check_lengths(len, repairs.iter().map(|(i, r)| (self.k + i, r.len())))?;
        if len == 0 {
            return Ok(lost.into_iter().map(|i| (i, Vec::new())).collect());
        }
        if self.matrix.is_some() {
            return Ok(self.solve(&lost, present, repairs, len));
        }
        let found = reed_solomon_simd::decode(self.k, self.m, present, repairs.iter().copied())
            .map_err(|_| CodeError::TooFew { given: self.k - 1, k: self.k })?;
        Ok(lost.into_iter().filter_map(|i| Some((i, found.get(&i)?.clone()))).collect())
    }

    /// Every lost chunk as one sum over the chunks that are there.
    fn solve<'a>(
        &self,
        lost: &[usize],
        present: impl Iterator<Item = (usize, &'a [u8])>,
        repairs: &[(usize, &'a [u8])],
        len: usize,
    ) -> Vec<(usize, Vec<u8>)> {
        let (numbers, mut chunks): (Vec<usize>, Vec<&[u8]>) = present.unzip();
        chunks.extend(repairs.iter().map(|&(_, chunk)| chunk));
        let rows = repairs.iter().map(|&(row, _)| row);
        let mut found = vec![vec![0; len]; lost.len()];
        let mut outputs: Vec<&mut [u8]> = found.iter_mut().map(Vec::as_mut_slice).collect();
        combine(self.kernel, &recovery(lost, &numbers, rows), &chunks, &mut outputs);
        lost.iter().copied().zip(found).collect()
    }

    fn check_lengths(
        &self,
        len: usize,
        mut chunks: impl Iterator<Item = (usize, usize)>,
    ) -> Result<(), CodeError> {
        let fits = |l: usize| l == len && l.is_multiple_of(self.granularity());
        match chunks.find(|&(_, l)| !fits(l)) {
            Some((index, len)) => Err(CodeError::WrongLength { index, len }),
            None => Ok(()),
        }
    }
}

/// The coefficient of source `column` in repair `row`. The sum is never zero: 255 - row is at
/// least k, and a column is less than k.
pub(crate) fn coefficient(row: usize, column: usize) -> u8 {
    inverse(row_point(row) ^ column as u8)
}

fn row_point(row: usize) -> u8 {
    255 - row as u8
}

/// The matrix that gives the `lost` sources from the `known` ones and the repairs `rows`, in that
/// order of columns.
///
/// With the points y of the lost, z of the known, x of the rows, a(t) = ∏(xᵣ + t) and
/// b(t) = ∏(yₗ + t), where a factor that is zero is left out (addition is XOR), the entry of the
/// lost yᵢ and the column at the point p, a z or an x, is a(yᵢ)/b(yᵢ) · b(p)/a(p) / (p + yᵢ).
/// For the columns x that is the inverse of a Cauchy matrix; for the columns z its product with
/// the Cauchy matrix of rows and known sources, so no second pass over the chunks is needed.
fn recovery(lost: &[usize], known: &[usize], rows: impl Iterator<Item = usize>) -> Matrix {
    let x: Vec<u8> = rows.map(row_point).collect();
    let y: Vec<u8> = lost.iter().map(|&column| column as u8).collect();
    let points: Vec<u8> =
        known.iter().map(|&column| column as u8).chain(x.iter().copied()).collect();
    let product = |own: u8, others: &[u8]| -> Log {
        others.iter().filter(|&&other| other != own).map(|&other| Log::of(own ^ other)).product()
    };
    let by_lost: Vec<Log> = y.iter().map(|&p| product(p, &x) / product(p, &y)).collect();
    let by_column: Vec<Log> = points.iter().map(|&p| product(p, &y) / product(p, &x)).collect();
    Matrix::new(y.len(), points.len(), |i, column| {
        (by_lost[i] * by_column[column] / Log::of(points[column] ^ y[i])).number()
    })
}

#[cfg(test)]
mod tests;
