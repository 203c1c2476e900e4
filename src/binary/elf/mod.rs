//! Facts read from the bytes of an ELF file of any class, byte order and machine, on any host.
//!
//! Formats are those of the System V gABI (<https://gabi.xinuos.com>), chapters "Object Files" and
//! "Program Loading and Dynamic Linking"; GNU additions name their own source.

mod build_id;
mod composite;
mod consistent;
mod difference;
mod dynamic;
mod facts;
pub(crate) mod file;
#[cfg(test)]
pub(crate) mod fixture;
mod machine;
mod minimal;
pub(crate) mod needle;
mod note;
mod section;
mod split;
mod strip;
mod symbol;
mod symbol_file;
mod table;
mod text;
mod version;

pub use crate::model::source::{ReadAt, Source};
pub use composite::Composite;
pub use difference::{Difference, find_difference};
pub use facts::{Facts, Libc, Segment, Shape, Stack};
pub(crate) use file::quote;
pub use machine::segment_type_name;
pub use minimal::{MINIMAL_STATUS, minimal_program};
pub use note::Property;
pub use section::read_section;
pub use split::{SplitProgram, split};
pub use strip::{StripError, StripOptions, strip};
pub use symbol::{crate_functions, symbol_addresses};
pub use symbol_file::is_symbol_file;

#[cfg(test)]
mod consistent_tests;
#[cfg(test)]
mod strip_tests;
#[cfg(test)]
mod tests;
