//! `memcpy`, `memmove` and `memset`.

use crate::{
    block,
    chunk::{Baseline, Chunk},
    get, put, wide,
};

/// Copies ranges of any size that may overlap: each size reads all that a write could change before it.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
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
pub unsafe fn copy_long<C: Chunk>(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
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
pub unsafe fn copy_baseline(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if wide::is_found() {
        return wide::copy(to, from, n);
    }
    copy_long::<Baseline>(to, from, n)
}

/// Sets each byte of a range of any size.
#[inline(always)]
pub unsafe fn fill(to: *mut u8, byte: u8, n: usize) -> *mut u8 {
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
pub unsafe fn fill_long<C: Chunk>(to: *mut u8, byte: u8, n: usize) -> *mut u8 {
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
pub unsafe fn fill_baseline(to: *mut u8, byte: u8, n: usize) -> *mut u8 {
    if wide::is_found() {
        return wide::fill(to, byte, n);
    }
    fill_long::<Baseline>(to, byte, n)
}
