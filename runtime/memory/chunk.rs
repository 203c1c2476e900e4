//! 64 bytes, in vectors of any width.

use crate::block::{self, Block};

/// 64 bytes.
pub trait Chunk: Copy {
    unsafe fn read(at: *const u8) -> Self;
    unsafe fn write(self, at: *mut u8);
    unsafe fn splat(byte: u8) -> Self;
    /// Returns 255 for each byte that is equal in both, and 0 for the others.
    unsafe fn equal(self, other: Self) -> Self;
    unsafe fn and(self, other: Self) -> Self;
    /// Whether all bytes are 255; each is 0 or 255.
    unsafe fn all(self) -> bool;
    /// Whether one byte is 255; each is 0 or 255.
    unsafe fn any(self) -> bool;
    /// Returns a bit of each byte, which is 0 or 255; that of the first byte is the lowest.
    unsafe fn mask(self) -> u64;
    /// Returns the offset of the first of 32 bytes that differs.
    unsafe fn half_difference(a: *const u8, b: *const u8) -> Option<usize>;
    /// Returns the offset of the first byte that differs: most often one of the first 32.
    #[inline(always)]
    unsafe fn difference(a: *const u8, b: *const u8) -> Option<usize> {
        if let Some(first) = Self::half_difference(a, b) {
            return Some(first);
        }
        match Self::half_difference(a.add(32), b.add(32)) {
            Some(first) => Some(32 + first),
            None => None,
        }
    }
}

impl Chunk for [Block; 4] {
    #[inline(always)]
    unsafe fn read(at: *const u8) -> Self {
        let read = |offset: usize| unsafe { block::read(at.add(offset)) };
        [read(0), read(16), read(32), read(48)]
    }

    #[inline(always)]
    unsafe fn write(self, at: *mut u8) {
        block::write(self[0], at);
        block::write(self[1], at.add(16));
        block::write(self[2], at.add(32));
        block::write(self[3], at.add(48));
    }

    #[inline(always)]
    unsafe fn splat(byte: u8) -> Self {
        [block::splat(byte); 4]
    }

    #[inline(always)]
    unsafe fn equal(self, other: Self) -> Self {
        let equal = |at: usize| unsafe { block::equal(self[at], other[at]) };
        [equal(0), equal(1), equal(2), equal(3)]
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        let and = |at: usize| unsafe { block::and(self[at], other[at]) };
        [and(0), and(1), and(2), and(3)]
    }

    #[inline(always)]
    unsafe fn all(self) -> bool {
        block::all(block::and(block::and(self[0], self[1]), block::and(self[2], self[3])))
    }

    #[inline(always)]
    unsafe fn any(self) -> bool {
        block::any(block::or(block::or(self[0], self[1]), block::or(self[2], self[3])))
    }

    #[inline(always)]
    unsafe fn mask(self) -> u64 {
        let low = block::mask(self[0], self[1]);
        u64::from(low) | u64::from(block::mask(self[2], self[3])) << 32
    }

    #[inline(always)]
    unsafe fn half_difference(a: *const u8, b: *const u8) -> Option<usize> {
        let low = block::equal(block::read(a), block::read(b));
        let high = block::equal(block::read(a.add(16)), block::read(b.add(16)));
        let mask = !block::mask(low, high);
        if mask != 0 { Some(mask.trailing_zeros() as usize) } else { None }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use core::arch::x86_64::*;

    use super::Chunk;

    // Only functions for CPUs with AVX2 use it. All of it is inlined there, so it has no closures.
    impl Chunk for [__m256i; 2] {
        #[inline(always)]
        unsafe fn read(at: *const u8) -> Self {
            [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(32).cast())]
        }

        #[inline(always)]
        unsafe fn write(self, at: *mut u8) {
            _mm256_storeu_si256(at.cast(), self[0]);
            _mm256_storeu_si256(at.add(32).cast(), self[1]);
        }

        #[inline(always)]
        unsafe fn splat(byte: u8) -> Self {
            [_mm256_set1_epi8(byte as i8); 2]
        }

        #[inline(always)]
        unsafe fn equal(self, other: Self) -> Self {
            [_mm256_cmpeq_epi8(self[0], other[0]), _mm256_cmpeq_epi8(self[1], other[1])]
        }

        #[inline(always)]
        unsafe fn and(self, other: Self) -> Self {
            [_mm256_and_si256(self[0], other[0]), _mm256_and_si256(self[1], other[1])]
        }

        #[inline(always)]
        unsafe fn all(self) -> bool {
            _mm256_movemask_epi8(_mm256_and_si256(self[0], self[1])) == -1
        }

        #[inline(always)]
        unsafe fn any(self) -> bool {
            _mm256_movemask_epi8(_mm256_or_si256(self[0], self[1])) != 0
        }

        #[inline(always)]
        unsafe fn mask(self) -> u64 {
            let high = _mm256_movemask_epi8(self[1]) as u32;
            u64::from(_mm256_movemask_epi8(self[0]) as u32) | u64::from(high) << 32
        }

        #[inline(always)]
        unsafe fn half_difference(a: *const u8, b: *const u8) -> Option<usize> {
            let (a, b) = (_mm256_loadu_si256(a.cast()), _mm256_loadu_si256(b.cast()));
            let mask = !(_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)) as u32);
            if mask != 0 { Some(mask.trailing_zeros() as usize) } else { None }
        }
    }
}

/// The chunk for every CPU of the target.
#[cfg(not(target_feature = "avx2"))]
pub type Baseline = [Block; 4];
#[cfg(target_feature = "avx2")]
pub type Baseline = [core::arch::x86_64::__m256i; 2];
