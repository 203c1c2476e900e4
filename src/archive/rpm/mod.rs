//! RPM packages: the format V4 (<https://rpm-software-management.github.io/rpm/manual/format_v4.html>),
//! which rpm 4.14 (2017) and newer verify without MD5 and SHA-1.

mod cpio;
pub mod header;
mod name;
mod package;
mod signature;
pub mod tag;

pub use cpio::{HEADER as CPIO_HEADER, TRAILER as CPIO_TRAILER};
pub use header::{Header, Value};
pub use name::{
    Relation, architecture, file_name, is_name, is_release, relation, summary, version, wrapped,
};
pub use package::Package;
pub use signature::with_signature;

/// The first bytes of a package (`format_lead` of rpm's manual).
pub const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// The size of the lead.
pub const LEAD: usize = 96;
