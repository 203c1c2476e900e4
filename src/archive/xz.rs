//! xz.

use std::io::{Read, Write};

use lzma_rust2::{XzOptions, XzReader, XzWriter};

use super::write_error;
use crate::model::error::Result;

/// Compresses the data that `fill` writes, with a preset of xz(1), to `out`, and returns `out`.
///
/// # Errors
/// `out` or `fill` failed.
pub(super) fn write<W: Write>(
    out: W,
    preset: u32,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<W> {
    let mut xz = XzWriter::new(out, XzOptions::with_preset(preset)).map_err(write_error)?;
    fill(&mut xz)?;
    xz.finish().map_err(write_error)
}

/// Decompresses `packed`, with a dictionary of at most `memory` KiB.
///
/// # Errors
/// None.
pub(super) fn reader<'a>(packed: impl Read + 'a, memory: u32) -> Result<Box<dyn Read + 'a>> {
    Ok(Box::new(XzReader::new_mem_limit(packed, true, memory)))
}
