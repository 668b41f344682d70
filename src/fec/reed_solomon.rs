//! Reed–Solomon over chunks of equal length: `k` source chunks as they are, `m` repair chunks,
//! and any `k` of all of them give back the sources.
//!
//! Up to 255 chunks the code is over GF(2^8) with a Cauchy matrix: the coefficient of source `j`
//! in repair `i` is 1 / ((255 - i) + j), so a repair chunk does not depend on how many others
//! there are. Its square parts have a closed-form inverse (Cauchy 1841; Schechter 1959), and so has
//! the matrix that recovers the lost from the rest, which costs O(losses · k). Above 255 chunks
//! the library `reed-solomon-simd` (GF(2^16)) does the work.

use crate::fec::error::CodeError;
use crate::fec::gf256::{Log, inverse};
use crate::fec::kernel::{Kernel, Matrix, combine};

/// Chunks, source and repair together, that GF(2^8) can number.
pub const SMALL_CHUNKS_MAX: usize = 255;

/// Chunks, source and repair together, at most.
pub const CHUNKS_MAX: usize = 65_535;

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
        let sources = sources.iter().enumerate().filter_map(|(i, source)| Some((i, (*source)?)));
        let repairs = repairs.iter().map(|&(row, repair)| (self.k.saturating_add(row), repair));
        let chunks = self.choose(sources.chain(repairs).collect())?;
        let lost = self.lost(&chunks);
        let mut found = vec![vec![0; chunks[self.k - 1].1.len()]; lost.len()];
        let mut outputs: Vec<&mut [u8]> = found.iter_mut().map(Vec::as_mut_slice).collect();
        self.recover_into(&chunks, &lost, &mut outputs)?;
        Ok(lost.into_iter().zip(found).collect())
    }

    /// Those `k` of numbered chunks (repair chunks count from `k`) that are best to decode from,
    /// ascending: the sources, then the first repairs. Of a number given twice the first counts.
    ///
    /// # Errors
    /// [`CodeError::WrongIndex`], [`CodeError::TooFew`].
    pub(crate) fn choose<'a>(
        &self,
        mut chunks: Vec<(usize, &'a [u8])>,
    ) -> Result<Vec<(usize, &'a [u8])>, CodeError> {
        let total = self.k + self.m;
        chunks.sort_by_key(|&(index, _)| index);
        chunks.dedup_by_key(|&mut (index, _)| index);
        if let Some(&(index, _)) = chunks.last().filter(|(index, _)| *index >= total) {
            return Err(CodeError::WrongIndex { index, total });
        }
        if chunks.len() < self.k {
            return Err(CodeError::TooFew { given: chunks.len(), k: self.k });
        }
        chunks.truncate(self.k);
        Ok(chunks)
    }

    /// The numbers of the sources that are not among the [chosen](Self::choose) `chunks`.
    pub(crate) fn lost(&self, chunks: &[(usize, &[u8])]) -> Vec<usize> {
        let mut there = chunks.iter().peekable();
        (0..self.k).filter(|i| there.next_if(|(index, _)| index == i).is_none()).collect()
    }

    /// Writes the `lost` sources, one an output, from the [chosen](Self::choose) `chunks`.
    ///
    /// # Errors
    /// [`CodeError::WrongLength`].
    pub(crate) fn recover_into(
        &self,
        chunks: &[(usize, &[u8])],
        lost: &[usize],
        outputs: &mut [&mut [u8]],
    ) -> Result<(), CodeError> {
        let Some(&(_, last)) = chunks.last().filter(|_| !lost.is_empty()) else { return Ok(()) };
        self.check_lengths(last.len(), chunks.iter().map(|&(i, chunk)| (i, chunk.len())))?;
        if last.is_empty() {
            return Ok(());
        }
        if self.matrix.is_some() {
            let views: Vec<&[u8]> = chunks.iter().map(|&(_, chunk)| chunk).collect();
            combine(self.kernel, &self.recovery(chunks, lost), &views, outputs);
            return Ok(());
        }
        let (sources, repairs) = chunks.split_at(self.k - lost.len());
        let repairs = repairs.iter().map(|&(index, chunk)| (index - self.k, chunk));
        let found = reed_solomon_simd::decode(self.k, self.m, sources.iter().copied(), repairs)
            .map_err(|_| CodeError::TooFew { given: self.k - 1, k: self.k })?;
        for (output, index) in outputs.iter_mut().zip(lost) {
            if let Some(chunk) = found.get(index) {
                output.copy_from_slice(chunk);
            }
        }
        Ok(())
    }

    /// The matrix that gives the `lost` sources from `chunks`.
    ///
    /// With the points y of the lost, z of the known, x of the rows, a(t) = ∏(xᵣ + t) and
    /// b(t) = ∏(yₗ + t), where a factor that is zero is left out (addition is XOR), the entry of
    /// the lost yᵢ and the column at the point p, a z or an x, is
    /// a(yᵢ)/b(yᵢ) · b(p)/a(p) / (p + yᵢ).
    /// For the columns x that is the inverse of a Cauchy matrix; for the columns z its product with
    /// the Cauchy matrix of rows and known sources, so no second pass over the chunks is needed.
    fn recovery(&self, chunks: &[(usize, &[u8])], lost: &[usize]) -> Matrix {
        let mut points = [0; SMALL_CHUNKS_MAX];
        for (point, &(index, _)) in points.iter_mut().zip(chunks) {
            *point = if index < self.k { index as u8 } else { row_point(index - self.k) };
        }
        let points = &points[..self.k];
        let rows = &points[self.k - lost.len()..];
        // b(p)/a(p); for a lost one its inverse is needed.
        let quotient = |p: u8| {
            let a = rows.iter().map(|&x| Log::of_factor(p ^ x)).product::<Log>();
            lost.iter().map(|&y| Log::of_factor(p ^ y as u8)).product::<Log>() / a
        };
        let mut by_column = [Log::of(1); SMALL_CHUNKS_MAX];
        by_column.iter_mut().zip(points).for_each(|(log, &p)| *log = quotient(p));
        Matrix::by_rows(lost.len(), self.k, |i| {
            let y = lost[i] as u8;
            let by_lost = quotient(y);
            let entry =
                move |(&p, &by_p): (&u8, &Log)| (by_p / (by_lost * Log::of(p ^ y))).number();
            points.iter().zip(&by_column).map(entry)
        })
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

#[cfg(test)]
mod tests;
