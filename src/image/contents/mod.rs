//! The contents of images: their files as a container sees them, the differences between two of them,
//! and both as text for people.

mod difference;
mod image;
mod scan;
mod text;
mod tree;

pub use difference::{compare_annotations, compare_platform};
pub use image::{DAMAGED, MemoryLimit, read};
pub use scan::{LayerFault, Scan, ScannedEntry, scan};
pub use text::{format_difference, write_inspection};
pub use tree::Tree;
