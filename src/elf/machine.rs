//! Names of the numbers in an ELF file.

use std::borrow::Cow;

use goblin::elf::{header, program_header};

/// The name of an `e_machine` number in the System V ABI's registry, without `EM_`; the number
/// itself where it has no name here.
pub fn machine_name(number: u16) -> Cow<'static, str> {
    match header::machine_to_str(number) {
        "EM_UNKNOWN" => number.to_string().into(),
        name => name.into(),
    }
}

/// The name of a `p_type` number; the number in hexadecimal where it has none.
pub fn kind_name(number: u32) -> Cow<'static, str> {
    match program_header::pt_to_str(number) {
        "UNKNOWN_PT" => format!("{number:#x}").into(),
        name => name.into(),
    }
}
