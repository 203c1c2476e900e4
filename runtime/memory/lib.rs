//! Memory functions of C for programs that are linked statically with musl. longshore compiles this crate
//! to an object for each target, and links the object before the C library.
//!
//! Each function `NAME` has a second name, `longshore_NAME`. `NAME` is a weak symbol, so that a program's
//! own definition takes precedence; equal addresses show that this one is used. Nothing here may call a
//! function outside of this crate: a `memcpy` that is compiled to a call of `memcpy` would not end.
//!
//! Functions are written once for 64 bytes at a time (`Chunk`), in vectors of any width. Those that may
//! stop before the end of their range read aligned chunks: such a chunk is within one page, so that no page
//! is read but those that the range up to the result reaches.

#![no_std]
#![no_builtins]
#![allow(dead_code, reason = "some targets get only some of the functions")]

mod block;
mod chunk;
mod compare;
mod copy;
mod find;
#[cfg(all(target_arch = "x86_64", not(target_feature = "avx2")))]
mod wide;
#[cfg(not(all(target_arch = "x86_64", not(target_feature = "avx2"))))]
#[path = "narrow.rs"]
mod wide;

use core::arch::global_asm;

#[inline(always)]
pub unsafe fn get<T: Copy>(at: *const u8) -> T {
    at.cast::<T>().read_unaligned()
}

#[inline(always)]
pub unsafe fn put<T: Copy>(at: *mut u8, value: T) {
    at.cast::<T>().write_unaligned(value)
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
        compare::compare::<true>(a, b, n)
    }
    fn bcmp = longshore_bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
        compare::compare::<false>(a, b, n)
    }
    fn memchr = longshore_memchr(start: *const u8, byte: i32, n: usize) -> *const u8 {
        match find::find(start, byte as u8, n) {
            Some(at) => start.add(at),
            None => core::ptr::null(),
        }
    }
    fn memrchr = longshore_memrchr(start: *const u8, byte: i32, n: usize) -> *const u8 {
        match find::find_last(start, byte as u8, n) {
            Some(at) => start.add(at),
            None => core::ptr::null(),
        }
    }
    fn strlen = longshore_strlen(start: *const u8) -> usize {
        find::find(start, 0, usize::MAX).unwrap_or(usize::MAX)
    }
}

// On arm64, those of zig's library have no measurement against these yet.
#[cfg(target_arch = "x86_64")]
export! {
    fn memcpy = longshore_memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        copy::copy(to, from, n)
    }
    fn memmove = longshore_memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        copy::copy(to, from, n)
    }
    fn memset = longshore_memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
        copy::fill(to, byte as u8, n)
    }
}
