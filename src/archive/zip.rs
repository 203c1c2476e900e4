//! zip archives (PKWARE's APPNOTE.TXT 6.3.10).

use std::io::{self, Write};

use rawzip::{CompressionMethod, DataDescriptorOutput, ZipArchiveWriter, time::UtcDateTime};

use super::write_error;
use crate::{
    archive::{
        compress::{ChunkCache, Framing, Gzip},
        tree::{ContentSource, FileStore, Node, Tree},
    },
    model::error::{Error, Result},
};

/// Writes the tree to `out`, and returns `out`.
///
/// # Errors
/// A file cannot be read or changed meanwhile, there is a link, or `out` failed.
pub(super) fn write<W: Write>(
    tree: &Tree,
    files: &dyn FileStore,
    chunks: &dyn ChunkCache,
    out: W,
) -> Result<W> {
    let mut zip = ZipArchiveWriter::new(out);
    for (parts, entry) in tree.iter() {
        let path = parts.join("/");
        let time = UtcDateTime::from_unix(i64::try_from(entry.meta.mtime).unwrap_or(i64::MAX));
        let content = match &entry.node {
            Node::Directory => {
                let dir = zip.new_dir(format!("{path}/")).last_modified(time);
                dir.unix_permissions(entry.meta.mode).create().map_err(write_error)?;
                continue;
            }
            Node::Symlink(_) => {
                return Err(Error::build(format!("`{path}` is a link, which zip cannot hold")));
            }
            Node::File(content) => content,
        };
        let file = zip.new_file(&path).compression_method(CompressionMethod::DEFLATE);
        let file = file.last_modified(time).unix_permissions(entry.meta.mode);
        let (mut data, _) = file.start().map_err(write_error)?;
        let mut packed = Gzip::new(&mut data, Framing::Deflate, chunks);
        match &content.source {
            ContentSource::Bytes(bytes) => packed.write_all(bytes).map_err(write_error)?,
            ContentSource::Named(name) => {
                let mut content = files.open(name)?;
                io::copy(&mut content, &mut packed).map_err(write_error)?;
            }
        }
        let (_, totals) = packed.finish().map_err(write_error)?;
        if totals.plain != content.size {
            return Err(Error::build(format!(
                "`{path}` changed while it was archived: it should have {} bytes",
                content.size
            )));
        }
        data.finish(DataDescriptorOutput::new(totals.crc, totals.plain)).map_err(write_error)?;
    }
    zip.finish().map_err(write_error)
}
