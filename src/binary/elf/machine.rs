//! Names of the numbers in an ELF file.

use std::borrow::Cow;

use goblin::elf::program_header;

/// Returns the name of a `p_type` number; the number in hexadecimal if it has none.
pub fn segment_type_name(number: u32) -> Cow<'static, str> {
    match program_header::pt_to_str(number) {
        "UNKNOWN_PT" => format!("{number:#x}").into(),
        name => name.into(),
    }
}
