//! A build id that what is loaded decides.

use std::ops::Range;

use crate::model::source::Unreadable;

use sha2::{Digest as _, Sha256};

use super::{file::File, note, table};

/// The identity of a program's loaded bytes.
pub(super) struct BuildId([u8; 32]);

impl BuildId {
    /// The id of the program whose loaded part, up to its end, is `loaded`: their sha256, with the
    /// id itself and the header's fields about sections taken for zeros. None where there is no
    /// note to write it to.
    ///
    /// A linker computes its id over debug information, too, which differs between machines where
    /// the code does not: zig's own objects of musl and compiler-rt name paths that depend on the
    /// state of its cache. Of two programs that are the same once stripped, this id is the same.
    pub(super) fn of(file: &File<'_>, loaded: &[u8]) -> Result<Option<Self>, Unreadable> {
        let places = places(file, loaded.len())?;
        if places.is_empty() {
            return Ok(None);
        }
        let mut image = loaded.to_vec();
        for range in places.into_iter().chain(table::header_fields(file.ctx.is_big())) {
            if let Some(field) = image.get_mut(range) {
                field.fill(0);
            }
        }
        Ok(Some(BuildId(Sha256::digest(&image).into())))
    }

    /// Writes the id to every build-id note of `file` that ends within `out`, which begins as the
    /// file does. A note keeps its length: 20 bytes of the digest where it was a sha1.
    pub(super) fn write(&self, file: &File<'_>, out: &mut [u8]) -> Result<(), Unreadable> {
        for place in places(file, out.len())? {
            if let Some(field) = out.get_mut(place) {
                field.iter_mut().zip(self.0.iter().cycle()).for_each(|(byte, new)| *byte = *new);
            }
        }
        Ok(())
    }
}

/// Where build ids are in the first `len` bytes. One that lies over a header is none.
fn places(file: &File<'_>, len: usize) -> Result<Vec<Range<usize>>, Unreadable> {
    let table = usize::try_from(file.header.e_phoff).unwrap_or(usize::MAX);
    let size = usize::from(file.header.e_phentsize).saturating_mul(file.segments.len());
    let headers = [0..usize::from(file.header.e_ehsize).max(64), table..table.saturating_add(size)];
    let is_free = |place: &Range<usize>| {
        headers.iter().all(|header| place.end <= header.start || header.end <= place.start)
    };
    let mut places = note::build_ids(file)?;
    places.retain(|place| place.end <= len && is_free(place));
    Ok(places)
}
