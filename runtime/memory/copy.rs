//! `memcpy`, `memmove` and `memset`.

use core::arch::asm;

use crate::{
    block,
    chunk::{Baseline, Chunk},
    get, put, wide,
};

/// Copies ranges of any size that may overlap: each size reads all that a write could change before it.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if n > 64 {
        return if wide::is_known() { wide::copy(to, from, n) } else { copy_baseline(to, from, n) };
    }
    if n <= 32 {
        copy_short(to, from, n);
    } else {
        let blocks = [from, from.add(16), from.add(n - 32), from.add(n - 16)];
        let blocks = blocks.map(|at| unsafe { block::read(at) });
        block::write(blocks[0], to);
        block::write(blocks[1], to.add(16));
        block::write(blocks[2], to.add(n - 32));
        block::write(blocks[3], to.add(n - 16));
    }
    to
}

/// Copies ranges of up to 32 bytes.
#[inline(always)]
unsafe fn copy_short(to: *mut u8, from: *const u8, n: usize) {
    if n >= 16 {
        let (first, last) = (block::read(from), block::read(from.add(n - 16)));
        block::write(first, to);
        block::write(last, to.add(n - 16));
    } else if n >= 8 {
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
}

/// Copies ranges of more than 64 bytes: long ones in steps that are aligned where they are written.
#[inline(always)]
pub unsafe fn copy_long<C: Chunk>(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if n <= 128 {
        let (first, last) = (C::read(from), C::read(from.add(n - 64)));
        first.write(to);
        last.write(to.add(n - 64));
        return opaque(to);
    }
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
    opaque(to)
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
    if n > 64 {
        return if wide::is_known() { wide::fill(to, byte, n) } else { fill_baseline(to, byte, n) };
    }
    if n <= 32 {
        fill_short(to, byte, n);
    } else {
        let block = block::splat(byte);
        for at in [0, 16, n - 32, n - 16] {
            block::write(block, to.add(at));
        }
    }
    to
}

/// Sets each byte of a range of up to 32 bytes.
#[inline(always)]
unsafe fn fill_short(to: *mut u8, byte: u8, n: usize) {
    let bytes = u64::from(byte) * 0x0101_0101_0101_0101;
    if n >= 16 {
        let block = block::splat(byte);
        block::write(block, to);
        block::write(block, to.add(n - 16));
    } else if n >= 8 {
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
}

/// Sets each byte of a range of more than 64 bytes: long ones in aligned steps.
#[inline(always)]
pub unsafe fn fill_long<C: Chunk>(to: *mut u8, byte: u8, n: usize) -> *mut u8 {
    let chunk = C::splat(byte);
    chunk.write(to);
    if n <= 128 {
        chunk.write(to.add(n - 64));
        return opaque(to);
    }
    let mut at = 64;
    if n > 256 {
        at -= to as usize & 63;
        while at < n - 192 {
            chunk.write(to.add(at));
            chunk.write(to.add(at + 64));
            at += 128;
        }
    }
    chunk.write(to.add(at));
    chunk.write(to.add(n - 128));
    chunk.write(to.add(n - 64));
    opaque(to)
}

/// Returns `to`, which the compiler takes for another address: it would otherwise keep its own over the call of the
/// function that returns it, and could not jump there instead.
#[inline(always)]
unsafe fn opaque(mut to: *mut u8) -> *mut u8 {
    asm!("/* {0} */", inout(reg) to, options(pure, nomem, nostack, preserves_flags));
    to
}

#[inline(never)]
pub unsafe fn fill_baseline(to: *mut u8, byte: u8, n: usize) -> *mut u8 {
    if wide::is_found() {
        return wide::fill(to, byte, n);
    }
    fill_long::<Baseline>(to, byte, n)
}
