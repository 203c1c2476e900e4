//! How large a file is, and because of what: its bytes by section, crate, module and symbol; and how
//! that changed.

mod attribution;
pub mod compare;
pub mod name;
#[cfg(feature = "size-page")]
pub mod page;
mod record;
mod release;
mod table;
mod text;

pub use attribution::{Attribution, Costs, Evidence, Leaf, Native, attribute};
pub use record::{read, write};
pub use release::{Binary, Release, Whole};
pub use table::{View, rows};
pub use text::{csv, human, markdown};

#[cfg(test)]
mod tests;
