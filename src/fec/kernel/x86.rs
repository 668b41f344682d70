//! The kernels of x86-64: nibble look-ups (SSSE3, AVX2) and bit matrices (GFNI).

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    clippy::missing_safety_doc,
    reason = "every function rests on the one promise of `Lanes`: the instructions are there"
)]

use std::arch::x86_64::*;

use crate::fec::kernel::Matrix;
use crate::fec::kernel::stripes::{self, Lanes};
use crate::fec::kernel::tables::{AFFINE, NIBBLES};

macro_rules! kernel {
    ($name:ident, $lanes:ty, $features:literal) => {
        /// # Safety
        /// As [`stripes::combine`].
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(matrix: &Matrix, sources: &[&[u8]], outputs: &mut [&mut [u8]]) {
            // SAFETY: the caller's promise, passed on.
            unsafe { stripes::combine::<$lanes>(matrix, sources, outputs) }
        }
    };
}

kernel!(ssse3, Ssse3, "ssse3");
kernel!(avx2, Avx2, "avx2");
kernel!(gfni_avx2, GfniAvx2, "avx2,gfni");
kernel!(gfni_avx512, GfniAvx512, "avx512f,gfni");

struct Ssse3;

impl Lanes for Ssse3 {
    type Vector = __m128i;
    /// Low and high nibbles.
    type Ready = (__m128i, __m128i);
    const BYTES: usize = 16;
    const ROWS: usize = 3;

    #[inline(always)]
    unsafe fn zero() -> __m128i {
        // SAFETY: the instructions are there.
        unsafe { _mm_setzero_si128() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m128i {
        // SAFETY: the caller promises 16 readable bytes.
        unsafe { _mm_loadu_si128(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut u8, vector: __m128i) {
        // SAFETY: the caller promises 16 writable bytes.
        unsafe { _mm_storeu_si128(to.cast(), vector) }
    }

    #[inline(always)]
    unsafe fn ready(source: __m128i) -> Self::Ready {
        // SAFETY: the instructions are there.
        unsafe {
            let low = _mm_set1_epi8(15);
            (_mm_and_si128(source, low), _mm_and_si128(_mm_srli_epi64(source, 4), low))
        }
    }

    #[inline(always)]
    unsafe fn add_product(
        sum: __m128i,
        (low, high): Self::Ready,
        matrix: &Matrix,
        index: usize,
    ) -> __m128i {
        // SAFETY: the instructions are there; the matrix has this index; a table has 32 bytes.
        unsafe {
            let table = &NIBBLES[usize::from(*matrix.coefficients.get_unchecked(index))];
            let low = _mm_shuffle_epi8(_mm_loadu_si128(table.as_ptr().cast()), low);
            let high = _mm_shuffle_epi8(_mm_loadu_si128(table[16..].as_ptr().cast()), high);
            _mm_xor_si128(sum, _mm_xor_si128(low, high))
        }
    }
}

struct Avx2;

impl Lanes for Avx2 {
    type Vector = __m256i;
    /// Low and high nibbles.
    type Ready = (__m256i, __m256i);
    const BYTES: usize = 32;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        // SAFETY: the instructions are there.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m256i {
        // SAFETY: the caller promises 32 readable bytes.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut u8, vector: __m256i) {
        // SAFETY: the caller promises 32 writable bytes.
        unsafe { _mm256_storeu_si256(to.cast(), vector) }
    }

    #[inline(always)]
    unsafe fn ready(source: __m256i) -> Self::Ready {
        // SAFETY: the instructions are there.
        unsafe {
            let low = _mm256_set1_epi8(15);
            (_mm256_and_si256(source, low), _mm256_and_si256(_mm256_srli_epi64(source, 4), low))
        }
    }

    #[inline(always)]
    unsafe fn add_product(
        sum: __m256i,
        (low, high): Self::Ready,
        matrix: &Matrix,
        index: usize,
    ) -> __m256i {
        // SAFETY: the instructions are there; the matrix has this index; a table has 32 bytes.
        unsafe {
            let table = &NIBBLES[usize::from(*matrix.coefficients.get_unchecked(index))];
            let low_table = _mm_loadu_si128(table.as_ptr().cast());
            let high_table = _mm_loadu_si128(table[16..].as_ptr().cast());
            let low = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(low_table), low);
            let high = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(high_table), high);
            _mm256_xor_si256(sum, _mm256_xor_si256(low, high))
        }
    }
}

struct GfniAvx2;

impl Lanes for GfniAvx2 {
    type Vector = __m256i;
    type Ready = __m256i;
    const BYTES: usize = 32;
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        // SAFETY: the instructions are there.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m256i {
        // SAFETY: the caller promises 32 readable bytes.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut u8, vector: __m256i) {
        // SAFETY: the caller promises 32 writable bytes.
        unsafe { _mm256_storeu_si256(to.cast(), vector) }
    }

    #[inline(always)]
    unsafe fn ready(source: __m256i) -> __m256i {
        source
    }

    #[inline(always)]
    unsafe fn add_product(sum: __m256i, source: __m256i, matrix: &Matrix, index: usize) -> __m256i {
        // SAFETY: the instructions are there; the matrix has this index.
        unsafe {
            let coefficient = usize::from(*matrix.coefficients.get_unchecked(index));
            let bits = _mm256_set1_epi64x(AFFINE[coefficient].cast_signed());
            _mm256_xor_si256(sum, _mm256_gf2p8affine_epi64_epi8::<0>(source, bits))
        }
    }
}

struct GfniAvx512;

impl Lanes for GfniAvx512 {
    type Vector = __m512i;
    type Ready = __m512i;
    const BYTES: usize = 64;
    const ROWS: usize = 10;

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        // SAFETY: the instructions are there.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m512i {
        // SAFETY: the caller promises 64 readable bytes.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut u8, vector: __m512i) {
        // SAFETY: the caller promises 64 writable bytes.
        unsafe { _mm512_storeu_si512(to.cast(), vector) }
    }

    #[inline(always)]
    unsafe fn ready(source: __m512i) -> __m512i {
        source
    }

    #[inline(always)]
    unsafe fn add_product(sum: __m512i, source: __m512i, matrix: &Matrix, index: usize) -> __m512i {
        // SAFETY: the instructions are there; the matrix has this index.
        unsafe {
            let coefficient = usize::from(*matrix.coefficients.get_unchecked(index));
            let bits = _mm512_set1_epi64(AFFINE[coefficient].cast_signed());
            _mm512_xor_si512(sum, _mm512_gf2p8affine_epi64_epi8::<0>(source, bits))
        }
    }
}
