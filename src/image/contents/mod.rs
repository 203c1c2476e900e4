//! The contents of images: their files as a container sees them, the differences between two of them,
//! and both as text for people.

mod difference;
mod image;
mod scan;
mod text;
mod tree;

pub use difference::{annotations, platform};
pub use image::{DAMAGED, Limit, read};
pub use scan::{Fault, Item, Scan, scan};
pub use text::{difference, inspection};
pub use tree::Tree;
