//! xz in a build without it.

use std::io::{Read, Write};

use crate::model::{error::Result, feature::Feature};

pub(super) fn write<W: Write>(
    _: W,
    _: u32,
    _: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<W> {
    Err(Feature::Xz.missing_error())
}

pub(super) fn reader<'a>(_: impl Read + 'a, _: u32) -> Result<Box<dyn Read + 'a>> {
    Err(Feature::Xz.missing_error())
}
