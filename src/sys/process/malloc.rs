//! The allocator among the libraries of a link.

use std::path::Path;

use crate::build::linker::malloc::{library_prefix, names_all};

/// Returns the beginning of the names of functions of the allocator among the libraries in `args`, if one of them has
/// functions for C. A library that cannot be read is for the linker to report.
#[allow(clippy::disallowed_methods, reason = "the linker reads the library right after")]
pub(super) fn linked_allocator(args: &[String]) -> Option<&'static str> {
    args.iter().find_map(|arg| {
        let prefix = library_prefix(Path::new(arg).file_name()?.to_str()?)?;
        let library = std::fs::read(arg).ok()?;
        names_all(&library, prefix).then_some(prefix)
    })
}
