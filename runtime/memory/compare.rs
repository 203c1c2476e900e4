//! `memcmp` and `bcmp`.

use crate::{
    block,
    chunk::{Baseline, Chunk},
    get, wide,
};

/// Returns the order of two numbers, as `memcmp` returns it.
#[inline(always)]
pub fn order(a: u64, b: u64) -> i32 {
    i32::from(a > b) - i32::from(a < b)
}

/// Compares ranges of less than 16 bytes. The numbers of 8 bytes, and so on, overlap.
#[inline(always)]
pub unsafe fn compare_short<const ORDER: bool>(a: *const u8, b: *const u8, n: usize) -> i32 {
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
pub unsafe fn compare<const ORDER: bool>(a: *const u8, b: *const u8, n: usize) -> i32 {
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
pub unsafe fn difference(a: *const u8, b: *const u8, at: usize) -> i32 {
    i32::from(*a.add(at)) - i32::from(*b.add(at))
}

/// Compares ranges of more than 64 bytes. The last chunks overlap those before them.
#[inline(always)]
pub unsafe fn compare_long<C: Chunk, const ORDER: bool>(
    a: *const u8,
    b: *const u8,
    n: usize,
) -> i32 {
    if ORDER {
        if let Some(at) = C::difference(a, b) {
            return difference(a, b, at);
        }
        if n <= 128 {
            return compare_end::<C>(a, b, n);
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

/// Compares ranges of 65 to 128 bytes, of which the first 64 are equal.
#[inline(always)]
unsafe fn compare_end<C: Chunk>(a: *const u8, b: *const u8, n: usize) -> i32 {
    if n > 96 {
        if let Some(first) = C::half_difference(a.add(64), b.add(64)) {
            return difference(a, b, 64 + first);
        }
    }
    match C::half_difference(a.add(n - 32), b.add(n - 32)) {
        Some(first) => difference(a, b, n - 32 + first),
        None => 0,
    }
}

/// Compares the chunks at an offset.
#[inline(always)]
pub unsafe fn equal<C: Chunk>(a: *const u8, b: *const u8, at: usize) -> C {
    C::read(a.add(at)).equal(C::read(b.add(at)))
}

#[inline(never)]
pub unsafe fn compare_baseline<const ORDER: bool>(a: *const u8, b: *const u8, n: usize) -> i32 {
    if wide::is_found() {
        return wide::compare::<ORDER>(a, b, n);
    }
    compare_long::<Baseline, ORDER>(a, b, n)
}
