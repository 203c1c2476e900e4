//! Facts of binaries: ELF, Mach-O and PE, without a judgement.

pub mod elf;
pub mod foreign;
pub mod map;
