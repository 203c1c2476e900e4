//! 256-bit vectors for a target with a baseline that lacks them, if the CPU has them.

use core::{
    arch::x86_64::{__cpuid, __cpuid_count, __m256i, _xgetbv},
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

use crate::{
    compare::compare_long,
    copy::{copy_long, fill_long},
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
    compare_long::<[__m256i; 2], ORDER>(a, b, n)
}

#[target_feature(enable = "avx2")]
pub unsafe fn copy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    copy_long::<[__m256i; 2]>(to, from, n)
}

#[target_feature(enable = "avx2")]
pub unsafe fn fill(to: *mut u8, byte: u8, n: usize) -> *mut u8 {
    fill_long::<[__m256i; 2]>(to, byte, n)
}
