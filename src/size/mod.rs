//! The size of a file by section, crate, module and symbol, and its changes.

mod attribution;
pub mod compare;
pub mod name;
#[cfg(feature = "size-page")]
pub mod page;
mod record;
mod release;
mod table;
mod text;

pub use attribution::{Attribution, CompressedCosts, Evidence, Leaf, NativeLookup, attribute};
pub use record::{from_record, to_record};
pub use release::{MeasuredBinary, MeasuredRelease, PackedOutput};
pub use table::{View, rows};
pub use text::{csv, human, markdown};

#[cfg(test)]
mod tests;
