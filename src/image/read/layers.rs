//! The layers of an image (OCI image specification 1.1, layer.md).

use std::io::{BufRead, BufReader, Read};

use super::image::{Store, StoredLayer};
use crate::{
    archive::unpack::{
        ArchiveEntry, Compression, HashingReader, limit::Budget, stream::unpack_hashed,
    },
    model::{
        digest::Digest,
        error::{Error, Result},
    },
};

/// The prefix of a file name that removes the file with the rest of the name in lower layers.
pub const WHITEOUT: &str = ".wh.";

/// The name that removes all files of lower layers in its directory.
pub const OPAQUE: &str = ".wh..wh..opq";

/// The properties of a layer after it was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSummary {
    /// The digest of its blob.
    pub digest: Digest,
    /// The size of its blob.
    pub size: u64,
    /// The size of its tar.
    pub unpacked_size: u64,
    /// The properties in which it does not match its descriptor.
    pub mismatches: Vec<String>,
}

/// Reads a layer to its end, and calls `each` with its entries as they are in its tar, including
/// whiteouts.
///
/// # Errors
/// It cannot be read, or `each` failed.
pub fn read(
    store: &dyn Store,
    layer: &StoredLayer,
    budget: &Budget,
    each: &mut dyn FnMut(&ArchiveEntry, &mut dyn Read) -> Result<()>,
) -> Result<LayerSummary> {
    let unread = |error| Error::check("it cannot be read").because(error);
    let stream = store.open(&layer.path)?.ok_or_else(|| Error::check("it is missing"))?;
    let mut stream = BufReader::new(stream);
    let compression = Compression::detect(stream.fill_buf().map_err(unread)?);
    let mut blob = HashingReader::new(stream);
    let mut tar = HashingReader::new(unpack_hashed(&mut blob, compression, budget)?);
    crate::archive::unpack::read_tar(&mut tar, each)?;
    let (diff_id, unpacked_size) = tar.finish().map_err(unread)?;
    let (digest, size) = blob.finish().map_err(unread)?;
    let mut mismatches = Vec::new();
    if let Some((expected, expected_size)) = layer.blob
        && (expected, expected_size) != (digest, size)
    {
        mismatches.push(format!("has {size} bytes and the digest `{digest}`"));
    }
    if let Some(named) = layer.named_digest
        && ![digest, diff_id].contains(&named)
    {
        mismatches.push(format!("has the digest `{digest}`, and is called `{}`", named.hex()));
    }
    if diff_id != layer.diff_id {
        mismatches.push(format!("holds a tar `{diff_id}`, not `{}`", layer.diff_id));
    }
    Ok(LayerSummary { digest, size, unpacked_size, mismatches })
}

/// Returns the path in a container: absolute, without `.` and `..`.
pub fn absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
