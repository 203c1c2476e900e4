//! `memchr`, `memrchr` and `strlen`.

use crate::chunk::{Baseline, Chunk};

/// Returns the offset of the first `byte` that is less than `n` bytes behind `start`.
///
/// `n` may reach beyond the end of memory: no byte behind the result need be readable.
#[inline(always)]
pub unsafe fn find(start: *const u8, byte: u8, n: usize) -> Option<usize> {
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
pub unsafe fn find_last(start: *const u8, byte: u8, n: usize) -> Option<usize> {
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
