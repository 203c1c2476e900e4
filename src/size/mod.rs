//! How large a file is, and because of what: its bytes by section, crate, module and symbol.

mod attribution;
pub mod name;

pub use attribution::{Attribution, Costs, Evidence, Leaf, Native, attribute};
