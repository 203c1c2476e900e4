//! Facts read from the bytes of an ELF file of any class, byte order and machine, on any host.
//!
//! Formats are those of the System V gABI (<https://gabi.xinuos.com>), chapters "Object Files" and
//! "Program Loading and Dynamic Linking"; GNU additions name their own source.

mod belong;
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
mod table;
mod text;
mod version;

pub use crate::model::source::{ReadAt, Source};
pub use belong::belongs;
pub use composite::Composite;
pub use difference::{Difference, difference};
pub use facts::{Facts, Libc, Segment, Shape, Stack};
pub(crate) use file::quote;
pub use machine::kind_name;
pub use minimal::{MINIMAL_STATUS, minimal_program};
pub use note::Property;
pub use section::section;
pub use split::{Split, split};
pub use strip::{CannotStrip, Keep, strip};
pub use symbol::addresses;

#[cfg(test)]
mod consistent_tests;
#[cfg(test)]
mod strip_tests;
#[cfg(test)]
mod tests;
