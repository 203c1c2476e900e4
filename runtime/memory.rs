//! Memory functions of C for programs that are linked statically with musl. longshore compiles this file
//! to an object for each target, and links the object before the C library.
//!
//! Each function `NAME` has a second name, `longshore_NAME`. `NAME` is a weak symbol, so that a program's
//! own definition takes precedence; equal addresses show that this one is used. Nothing here may call a
//! function outside of this file: a `memcpy` that is compiled to a call of `memcpy` would not end.
//!
//! Functions are written once for 64 bytes at a time ([`Chunk`]), in vectors of any width. Those that may
//! stop before the end of their range read aligned chunks: such a chunk is within one page, so that no page
//! is read but those that the range up to the result reaches.

#![no_std]
#![no_builtins]
#![allow(dead_code, reason = "some targets get only some of the functions")]

use core::arch::global_asm;

use block::Block;

/// Vectors of 16 bytes.
#[cfg(target_arch = "x86_64")]
mod block {
    use core::arch::x86_64::*;

    pub type Block = __m128i;

    #[inline(always)]
    pub unsafe fn read(at: *const u8) -> Block {
        _mm_loadu_si128(at.cast())
    }

    #[inline(always)]
    pub unsafe fn write(block: Block, at: *mut u8) {
        _mm_storeu_si128(at.cast(), block)
    }

    #[inline(always)]
    pub unsafe fn splat(byte: u8) -> Block {
        _mm_set1_epi8(byte as i8)
    }

    #[inline(always)]
    pub unsafe fn equal(a: Block, b: Block) -> Block {
        _mm_cmpeq_epi8(a, b)
    }

    #[inline(always)]
    pub unsafe fn and(a: Block, b: Block) -> Block {
        _mm_and_si128(a, b)
    }

    #[inline(always)]
    pub unsafe fn or(a: Block, b: Block) -> Block {
        _mm_or_si128(a, b)
    }

    #[inline(always)]
    pub unsafe fn all(block: Block) -> bool {
        _mm_movemask_epi8(block) == 0xffff
    }

    #[inline(always)]
    pub unsafe fn any(block: Block) -> bool {
        _mm_movemask_epi8(block) != 0
    }

    #[inline(always)]
    pub unsafe fn mask(low: Block, high: Block) -> u32 {
        _mm_movemask_epi8(low) as u32 | (_mm_movemask_epi8(high) as u32) << 16
    }
}

/// Vectors of 16 bytes.
#[cfg(target_arch = "aarch64")]
mod block {
    use core::arch::aarch64::*;

    pub type Block = uint8x16_t;

    #[inline(always)]
    pub unsafe fn read(at: *const u8) -> Block {
        vld1q_u8(at)
    }

    #[inline(always)]
    pub unsafe fn write(block: Block, at: *mut u8) {
        vst1q_u8(at, block)
    }

    #[inline(always)]
    pub unsafe fn splat(byte: u8) -> Block {
        vdupq_n_u8(byte)
    }

    #[inline(always)]
    pub unsafe fn equal(a: Block, b: Block) -> Block {
        vceqq_u8(a, b)
    }

    #[inline(always)]
    pub unsafe fn and(a: Block, b: Block) -> Block {
        vandq_u8(a, b)
    }

    #[inline(always)]
    pub unsafe fn or(a: Block, b: Block) -> Block {
        vorrq_u8(a, b)
    }

    #[inline(always)]
    pub unsafe fn all(block: Block) -> bool {
        vminvq_u8(block) == u8::MAX
    }

    #[inline(always)]
    pub unsafe fn any(block: Block) -> bool {
        vmaxvq_u8(block) != 0
    }

    #[inline(always)]
    pub unsafe fn mask(low: Block, high: Block) -> u32 {
        // A different bit of each byte of eight, which are added.
        let bits = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
        let sums = vpaddq_u8(vandq_u8(low, bits), vandq_u8(high, bits));
        let sums = vpaddq_u8(sums, sums);
        let sums = vpaddq_u8(sums, sums);
        vgetq_lane_u32::<0>(vreinterpretq_u32_u8(sums))
    }
}

/// 64 bytes.
trait Chunk: Copy {
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
    /// Returns the offset of the first byte that differs: most often one of the first 32.
    unsafe fn difference(a: *const u8, b: *const u8) -> Option<usize>;
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
    unsafe fn difference(a: *const u8, b: *const u8) -> Option<usize> {
        let mut at = 0;
        while at < 64 {
            let equal = |at: usize| unsafe {
                block::equal(block::read(a.add(at)), block::read(b.add(at)))
            };
            let mask = !block::mask(equal(at), equal(at + 16));
            if mask != 0 {
                return Some(at + mask.trailing_zeros() as usize);
            }
            at += 32;
        }
        None
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
        unsafe fn difference(a: *const u8, b: *const u8) -> Option<usize> {
            let mut at = 0;
            while at < 64 {
                let (a, b) = (a.add(at).cast(), b.add(at).cast());
                let equal = _mm256_cmpeq_epi8(_mm256_loadu_si256(a), _mm256_loadu_si256(b));
                let mask = !(_mm256_movemask_epi8(equal) as u32);
                if mask != 0 {
                    return Some(at + mask.trailing_zeros() as usize);
                }
                at += 32;
            }
            None
        }
    }
}

/// The chunk for every CPU of the target.
#[cfg(not(target_feature = "avx2"))]
type Baseline = [Block; 4];
#[cfg(target_feature = "avx2")]
type Baseline = [core::arch::x86_64::__m256i; 2];

/// 256-bit vectors for a target with a baseline that lacks them, if the CPU has them.
#[cfg(all(target_arch = "x86_64", not(target_feature = "avx2")))]
mod wide {
    use core::{
        arch::x86_64::{__cpuid, __cpuid_count, __m256i, _xgetbv},
        sync::atomic::{AtomicU8, Ordering::Relaxed},
    };

    const NO: u8 = 1;
    const YES: u8 = 2;

    /// 0 until the CPU was asked. All threads get the same answer.
    static AVX2: AtomicU8 = AtomicU8::new(0);

    /// Whether the CPU is known to have AVX2.
    #[inline(always)]
    pub fn is_known() -> bool {
        AVX2.load(Relaxed) == YES
    }

    /// Asks the CPU, if it was not asked before. Returns whether it has AVX2.
    #[inline(always)]
    pub fn is_found() -> bool {
        AVX2.load(Relaxed) == 0 && detect()
    }

    #[cold]
    #[inline(never)]
    fn detect() -> bool {
        let found = unsafe { has_avx2() };
        AVX2.store(if found { YES } else { NO }, Relaxed);
        found
    }

    unsafe fn has_avx2() -> bool {
        // OSXSAVE and AVX.
        const SAVED: u32 = 1 << 27 | 1 << 28;
        if __cpuid(0).eax < 7 || __cpuid(1).ecx & SAVED != SAVED {
            return false;
        }
        // SSE and AVX registers.
        saved_registers() & 0b110 == 0b110 && __cpuid_count(7, 0).ebx & 1 << 5 != 0
    }

    #[target_feature(enable = "xsave")]
    unsafe fn saved_registers() -> u64 {
        _xgetbv(0)
    }

    #[target_feature(enable = "avx2")]
    pub unsafe fn compare<const ORDER: bool>(a: *const u8, b: *const u8, n: usize) -> i32 {
        super::compare_long::<[__m256i; 2], ORDER>(a, b, n)
    }

    #[target_feature(enable = "avx2")]
    pub unsafe fn copy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        super::copy_long::<[__m256i; 2]>(to, from, n)
    }

    #[target_feature(enable = "avx2")]
    pub unsafe fn fill(to: *mut u8, byte: u8, n: usize) -> *mut u8 {
        super::fill_long::<[__m256i; 2]>(to, byte, n)
    }
}

/// Other targets have one width.
#[cfg(not(all(target_arch = "x86_64", not(target_feature = "avx2"))))]
mod wide {
    pub fn is_known() -> bool {
        false
    }
    pub fn is_found() -> bool {
        false
    }
    pub(super) use super::{compare_baseline as compare, copy_baseline as copy, fill_baseline as fill};
}

#[inline(always)]
unsafe fn get<T: Copy>(at: *const u8) -> T {
    at.cast::<T>().read_unaligned()
}

#[inline(always)]
unsafe fn put<T: Copy>(at: *mut u8, value: T) {
    at.cast::<T>().write_unaligned(value)
}

/// Returns the order of two numbers, as `memcmp` returns it.
#[inline(always)]
fn order(a: u64, b: u64) -> i32 {
    i32::from(a > b) - i32::from(a < b)
}

/// Compares ranges of less than 16 bytes. The numbers of 8 bytes, and so on, overlap.
#[inline(always)]
unsafe fn compare_short<const ORDER: bool>(a: *const u8, b: *const u8, n: usize) -> i32 {
    if n >= 8 {
        let first: (u64, u64) = (get(a), get(b));
        let last: (u64, u64) = (get(a.add(n - 8)), get(b.add(n - 8)));
        if !ORDER {
            return i32::from((first.0 ^ first.1) | (last.0 ^ last.1) != 0);
        }
        let (x, y) = if first.0 == first.1 { last } else { first };
        return order(u64::from_be(x), u64::from_be(y));
    }
    let number = |at: *const u8| {
        if n >= 4 {
            let (first, last): (u32, u32) = (get(at), get(at.add(n - 4)));
            return u64::from(u32::from_be(first)) << 32 | u64::from(u32::from_be(last));
        }
        // The first, the middle and the last byte, of which two are one in a shorter range.
        u64::from(*at) << 16 | u64::from(*at.add(n / 2)) << 8 | u64::from(*at.add(n - 1))
    };
    if n == 0 {
        return 0;
    }
    let (x, y) = (number(a), number(b));
    if ORDER { order(x, y) } else { i32::from(x != y) }
}

/// Compares ranges of any size: 0 if they are equal, else the order of the first bytes that differ, or,
/// without `ORDER`, any other number.
#[inline(always)]
unsafe fn compare<const ORDER: bool>(a: *const u8, b: *const u8, n: usize) -> i32 {
    if n > 64 {
        if wide::is_known() {
            return wide::compare::<ORDER>(a, b, n);
        }
        return compare_baseline::<ORDER>(a, b, n);
    }
    if n < 16 {
        return compare_short::<ORDER>(a, b, n);
    }
    // Two or four blocks, the last ones at the end.
    let equal = |at: usize| unsafe { block::equal(block::read(a.add(at)), block::read(b.add(at))) };
    if n <= 32 {
        let mask = !block::mask(equal(0), equal(n - 16));
        if !ORDER || mask == 0 {
            return i32::from(mask != 0);
        }
        let first = mask.trailing_zeros() as usize;
        return difference(a, b, if first < 16 { first } else { first + n - 32 });
    }
    let blocks = [equal(0), equal(16), equal(n - 32), equal(n - 16)];
    if !ORDER || blocks.all() {
        return i32::from(!blocks.all());
    }
    let first = blocks.mask().trailing_ones() as usize;
    difference(a, b, if first < 32 { first } else { first + n - 64 })
}

/// Returns the difference of the bytes at an offset.
#[inline(always)]
unsafe fn difference(a: *const u8, b: *const u8, at: usize) -> i32 {
    i32::from(*a.add(at)) - i32::from(*b.add(at))
}

/// Compares ranges of more than 64 bytes. The last chunks overlap those before them.
#[inline(always)]
unsafe fn compare_long<C: Chunk, const ORDER: bool>(a: *const u8, b: *const u8, n: usize) -> i32 {
    if ORDER {
        if let Some(at) = C::difference(a, b) {
            return difference(a, b, at);
        }
    } else if !equal::<C>(a, b, 0).all() {
        return 1;
    }
    let mut at = 64;
    if n <= 128 {
        if equal::<C>(a, b, n - 64).all() {
            return 0;
        }
    } else if n <= 256 {
        let last = equal::<C>(a, b, n - 128).and(equal::<C>(a, b, n - 64));
        if equal::<C>(a, b, 64).and(last).all() {
            return 0;
        }
    } else {
        // From an aligned address of `a`.
        at -= a as usize & 63;
        while n - at > 128 && equal::<C>(a, b, at).and(equal::<C>(a, b, at + 64)).all() {
            at += 128;
        }
        if n - at <= 128 && equal::<C>(a, b, n - 128).and(equal::<C>(a, b, n - 64)).all() {
            return 0;
        }
    }
    // One of the next four chunks differs.
    if !ORDER {
        return 1;
    }
    loop {
        at = if n - at > 64 { at } else { n - 64 };
        if let Some(first) = C::difference(a.add(at), b.add(at)) {
            return difference(a, b, at + first);
        }
        at += 64;
    }
}

/// Compares the chunks at an offset.
#[inline(always)]
unsafe fn equal<C: Chunk>(a: *const u8, b: *const u8, at: usize) -> C {
    C::read(a.add(at)).equal(C::read(b.add(at)))
}

#[inline(never)]
unsafe fn compare_baseline<const ORDER: bool>(a: *const u8, b: *const u8, n: usize) -> i32 {
    if wide::is_found() {
        return wide::compare::<ORDER>(a, b, n);
    }
    compare_long::<Baseline, ORDER>(a, b, n)
}

/// Copies ranges of any size that may overlap: each size reads all that a write could change before it.
#[inline(always)]
unsafe fn copy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if n < 16 {
        if n >= 8 {
            let (first, last): (u64, u64) = (get(from), get(from.add(n - 8)));
            put(to, first);
            put(to.add(n - 8), last);
        } else if n >= 4 {
            let (first, last): (u32, u32) = (get(from), get(from.add(n - 4)));
            put(to, first);
            put(to.add(n - 4), last);
        } else if n != 0 {
            let (first, middle, last) = (*from, *from.add(n / 2), *from.add(n - 1));
            *to = first;
            *to.add(n / 2) = middle;
            *to.add(n - 1) = last;
        }
    } else if n <= 32 {
        let (first, last) = (block::read(from), block::read(from.add(n - 16)));
        block::write(first, to);
        block::write(last, to.add(n - 16));
    } else if n <= 64 {
        let blocks = [from, from.add(16), from.add(n - 32), from.add(n - 16)];
        let blocks = blocks.map(|at| unsafe { block::read(at) });
        block::write(blocks[0], to);
        block::write(blocks[1], to.add(16));
        block::write(blocks[2], to.add(n - 32));
        block::write(blocks[3], to.add(n - 16));
    } else if n <= 128 {
        let (first, last) = (Baseline::read(from), Baseline::read(from.add(n - 64)));
        first.write(to);
        last.write(to.add(n - 64));
    } else if wide::is_known() {
        return wide::copy(to, from, n);
    } else {
        return copy_baseline(to, from, n);
    }
    to
}

/// Copies ranges of more than 128 bytes: long ones in steps that are aligned where they are written.
#[inline(always)]
unsafe fn copy_long<C: Chunk>(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    // These are written at the end, since other chunks are still read from where they go.
    let first = [C::read(from), C::read(from.add(64))];
    let last = [C::read(from.add(n - 128)), C::read(from.add(n - 64))];
    if n > 256 {
        if (to as usize).wrapping_sub(from as usize) >= n {
            // Upwards: nothing is read below what is written.
            let mut at = 64 - (to as usize & 63);
            while at < n - 128 {
                let chunks = (C::read(from.add(at)), C::read(from.add(at + 64)));
                chunks.0.write(to.add(at));
                chunks.1.write(to.add(at + 64));
                at += 128;
            }
        } else {
            let mut at = n - ((to as usize).wrapping_add(n) & 63);
            while at > 128 {
                at -= 128;
                let chunks = (C::read(from.add(at)), C::read(from.add(at + 64)));
                chunks.1.write(to.add(at + 64));
                chunks.0.write(to.add(at));
            }
        }
    }
    first[0].write(to);
    first[1].write(to.add(64));
    last[0].write(to.add(n - 128));
    last[1].write(to.add(n - 64));
    to
}

#[inline(never)]
unsafe fn copy_baseline(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if wide::is_found() {
        return wide::copy(to, from, n);
    }
    copy_long::<Baseline>(to, from, n)
}

/// Sets each byte of a range of any size.
#[inline(always)]
unsafe fn fill(to: *mut u8, byte: u8, n: usize) -> *mut u8 {
    if n < 16 {
        let bytes = u64::from(byte) * 0x0101_0101_0101_0101;
        if n >= 8 {
            put(to, bytes);
            put(to.add(n - 8), bytes);
        } else if n >= 4 {
            put(to, bytes as u32);
            put(to.add(n - 4), bytes as u32);
        } else if n != 0 {
            *to = byte;
            *to.add(n / 2) = byte;
            *to.add(n - 1) = byte;
        }
    } else if n <= 32 {
        let block = block::splat(byte);
        block::write(block, to);
        block::write(block, to.add(n - 16));
    } else if n <= 64 {
        let block = block::splat(byte);
        for at in [0, 16, n - 32, n - 16] {
            block::write(block, to.add(at));
        }
    } else if n <= 128 {
        let chunk = Baseline::splat(byte);
        chunk.write(to);
        chunk.write(to.add(n - 64));
    } else if wide::is_known() {
        return wide::fill(to, byte, n);
    } else {
        return fill_baseline(to, byte, n);
    }
    to
}

/// Sets each byte of a range of more than 128 bytes: long ones in aligned steps.
#[inline(always)]
unsafe fn fill_long<C: Chunk>(to: *mut u8, byte: u8, n: usize) -> *mut u8 {
    let chunk = C::splat(byte);
    chunk.write(to);
    chunk.write(to.add(64));
    if n > 256 {
        let mut at = 128 - (to as usize & 63);
        while at < n - 128 {
            chunk.write(to.add(at));
            chunk.write(to.add(at + 64));
            at += 128;
        }
    }
    chunk.write(to.add(n - 128));
    chunk.write(to.add(n - 64));
    to
}

#[inline(never)]
unsafe fn fill_baseline(to: *mut u8, byte: u8, n: usize) -> *mut u8 {
    if wide::is_found() {
        return wide::fill(to, byte, n);
    }
    fill_long::<Baseline>(to, byte, n)
}

/// Returns the offset of the first `byte` that is less than `n` bytes behind `start`.
///
/// `n` may reach beyond the end of memory: no byte behind the result need be readable.
#[inline(always)]
unsafe fn find(start: *const u8, byte: u8, n: usize) -> Option<usize> {
    if n == 0 {
        return None;
    }
    let wanted = Baseline::splat(byte);
    let before = start as usize & 63;
    let base = start.wrapping_sub(before);
    let end = n.saturating_add(before);
    let mut at = 0;
    let mut mask = Baseline::read(base).equal(wanted).mask() >> before << before;
    while mask == 0 {
        at += 64;
        if at >= end {
            return None;
        }
        let equal = Baseline::read(base.wrapping_add(at)).equal(wanted);
        mask = if equal.any() { equal.mask() } else { 0 };
    }
    let at = at + mask.trailing_zeros() as usize;
    if at < end { Some(at - before) } else { None }
}

/// Returns the offset of the last `byte` of `n` bytes from `start`.
#[inline(always)]
unsafe fn find_last(start: *const u8, byte: u8, n: usize) -> Option<usize> {
    if n == 0 {
        return None;
    }
    let wanted = Baseline::splat(byte);
    // The aligned chunk of the last byte.
    let end = start.wrapping_add(n - 1);
    let behind = 63 - (end as usize & 63);
    let mut chunk = end.wrapping_sub(end as usize & 63);
    let mut mask = Baseline::read(chunk).equal(wanted).mask() << behind >> behind;
    while mask == 0 {
        if chunk <= start {
            return None;
        }
        chunk = chunk.wrapping_sub(64);
        let equal = Baseline::read(chunk).equal(wanted);
        mask = if equal.any() { equal.mask() } else { 0 };
    }
    (chunk as usize + (63 - mask.leading_zeros() as usize)).checked_sub(start as usize)
}

macro_rules! export {
    ($(fn $name:ident = $exported:ident($($arg:ident: $type:ty),*) -> $result:ty $body:block)*) => {$(
        #[no_mangle]
        pub unsafe extern "C" fn $exported($($arg: $type),*) -> $result $body

        global_asm!(
            concat!(".weak ", stringify!($name)),
            concat!(".type ", stringify!($name), ", %function"),
            concat!(".set ", stringify!($name), ", ", stringify!($exported)),
        );
    )*};
}

export! {
    fn memcmp = longshore_memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
        compare::<true>(a, b, n)
    }
    fn bcmp = longshore_bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
        compare::<false>(a, b, n)
    }
    fn memchr = longshore_memchr(start: *const u8, byte: i32, n: usize) -> *const u8 {
        match find(start, byte as u8, n) {
            Some(at) => start.add(at),
            None => core::ptr::null(),
        }
    }
    fn memrchr = longshore_memrchr(start: *const u8, byte: i32, n: usize) -> *const u8 {
        match find_last(start, byte as u8, n) {
            Some(at) => start.add(at),
            None => core::ptr::null(),
        }
    }
    fn strlen = longshore_strlen(start: *const u8) -> usize {
        find(start, 0, usize::MAX).unwrap_or(usize::MAX)
    }
}

// On arm64, those of zig's library have no measurement against these yet.
#[cfg(target_arch = "x86_64")]
export! {
    fn memcpy = longshore_memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        copy(to, from, n)
    }
    fn memmove = longshore_memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        copy(to, from, n)
    }
    fn memset = longshore_memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
        fill(to, byte as u8, n)
    }
}
