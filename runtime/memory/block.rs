//! 16 bytes, in a vector that every CPU of the target has.

#[cfg(target_arch = "aarch64")]
pub use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
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

#[cfg(target_arch = "aarch64")]
mod aarch64 {
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
