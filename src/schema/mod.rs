//! The only types that are serialised for others. A change here is a change of contract: fields may
//! be added; a removed or changed one raises the schema's number.

pub mod dist;

pub use dist::Dist;
