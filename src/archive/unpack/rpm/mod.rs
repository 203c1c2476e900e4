//! RPM packages: what rpm installs, and the scripts that it runs.

mod cpio;
mod files;
#[cfg(test)]
mod tests;

use std::io::{self, Cursor, Read};

use self::files::Files;
use super::{
    ArchiveEntry, Budget, Compression, EntryKind, HashingReader, Member, Stat, stream::unpack,
};
use crate::{
    archive::rpm::{Header, LEAD, LEAD_MAGIC, tag},
    model::{
        digest::Digest,
        error::{Error, Result},
    },
};

/// Returns whether `start` is the start of an RPM package.
pub fn is_rpm(start: &[u8]) -> bool {
    start.starts_with(&LEAD_MAGIC)
}

/// The headers of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpmHeaders {
    /// The digests and signatures.
    pub signature: Header,
    /// The description of the package and its files.
    pub header: Header,
    /// The digest of the header.
    pub digest: Digest,
    /// The offset of the header.
    pub start: u64,
    /// The offset of the payload.
    pub end: u64,
}

/// Reads everything before the payload.
///
/// # Errors
/// It is broken, or the header does not match its digest.
pub fn read_rpm_headers(archive: &mut dyn Read) -> Result<RpmHeaders> {
    let broken = |error: io::Error| Error::check("the `.rpm` cannot be read").because(error);
    let mut lead = [0; LEAD];
    archive.read_exact(&mut lead).map_err(broken)?;
    if !is_rpm(&lead) {
        return Err(Error::check("it is not an `.rpm`"));
    }
    if lead.get(4) != Some(&3) {
        let version = lead.get(4).copied().unwrap_or_default();
        return Err(Error::check(format!("the `.rpm` has format {version}, expected 3")));
    }
    let (signature, bytes) = Header::read(archive, tag::SIGNATURES, false)?;
    let unpadded = LEAD + bytes.len();
    let start = unpadded.next_multiple_of(8);
    let mut padding = [0; 8];
    let padding = padding.get_mut(..start - unpadded).unwrap_or_default();
    archive.read_exact(padding).map_err(broken)?;
    let (header, bytes) = Header::read(archive, tag::IMMUTABLE, true)?;
    let digest = Digest::sha256(&bytes);
    match signature.text(tag::SIGNATURE_SHA256) {
        Some(expected) if expected != digest.hex() => {
            return Err(Error::check(format!(
                "the header of the `.rpm` is corrupt: expected sha256:{}, got {digest}",
                expected.escape_debug()
            )));
        }
        _ => {}
    }
    let (start, end) = (start as u64, (start + bytes.len()) as u64);
    Ok(RpmHeaders { signature, header, digest, start, end })
}

/// Calls `each` with every script and every file of a package, with the modes and owners of the header,
/// which rpm uses.
///
/// # Errors
/// The package is broken, does not match a digest in it, or `each` failed.
pub fn read_rpm(
    mut archive: impl Read,
    each: &mut dyn FnMut(Member, &ArchiveEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let headers = read_rpm_headers(&mut archive)?;
    let header = &headers.header;
    read_scripts(header, each)?;
    let format = header.text(tag::PAYLOAD_FORMAT).unwrap_or("cpio");
    if format != "cpio" {
        return Err(Error::check(format!(
            "the payload of the `.rpm` is in the format `{}`, expected `cpio`",
            format.escape_debug()
        )));
    }
    let files = Files::read(header)?;
    let mut hashing = HashingReader::new(archive);
    let broken = |error: io::Error| Error::check("the payload cannot be read").because(error);
    let mut start = Vec::new();
    (&mut hashing).take(8).read_to_end(&mut start).map_err(broken)?;
    let compression = Compression::detect(&start);
    if compression == Compression::None && !start.is_empty() && !start.starts_with(b"0707") {
        let compressor = header.text(tag::PAYLOAD_COMPRESSOR).unwrap_or("unknown");
        return Err(Error::check(format!(
            "the payload of the `.rpm` is compressed with `{}`, which is not read",
            compressor.escape_debug()
        ))
        .hint("gzip, xz and zstd are read"));
    }
    {
        let content = Cursor::new(start).chain(&mut hashing);
        let mut stream = unpack(content, compression, &Budget::default())?;
        let mut first = Vec::new();
        (&mut stream).take(1).read_to_end(&mut first).map_err(broken)?;
        // A package without files may have no payload at all.
        if !first.is_empty() || !files.is_empty() {
            cpio::read(Cursor::new(first).chain(&mut stream), &files, each)?;
        }
        if has_data(&mut stream).map_err(broken)? {
            return Err(Error::check("the payload of the `.rpm` has data after its last entry"));
        }
    }
    let (digest, _) = hashing.finish().map_err(broken)?;
    let is_sha256 = header.number(tag::PAYLOAD_DIGEST_ALGORITHM) == Some(tag::SHA256.into());
    match header.text(tag::PAYLOAD_DIGEST).filter(|_| is_sha256) {
        Some(expected) if expected != digest.hex() => Err(Error::check(format!(
            "the payload of the `.rpm` is corrupt: expected sha256:{}, got {digest}",
            expected.escape_debug()
        ))),
        _ => Ok(()),
    }
}

/// Reads a stream to its end, and returns whether it has anything but zero bytes.
fn has_data(stream: &mut dyn Read) -> io::Result<bool> {
    let mut buffer = vec![0; 64 << 10];
    let mut found = false;
    loop {
        let count = match stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        if count == 0 {
            return Ok(found);
        }
        found |= buffer.iter().take(count).any(|byte| *byte != 0);
    }
}

/// Calls `each` with the scripts that rpm runs.
fn read_scripts(
    header: &Header,
    each: &mut dyn FnMut(Member, &ArchiveEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    for (tag, name) in tag::SCRIPTS {
        let scripts = header.texts(tag);
        for (number, script) in scripts.iter().enumerate() {
            let path = match scripts.len() {
                1 => name.to_owned(),
                _ => format!("{name}.{number}"),
            };
            let entry = ArchiveEntry {
                path,
                kind: EntryKind::File,
                mode: Some(0o755),
                capabilities: false,
                start: None,
                stat: Stat { size: script.len() as u64, ..Stat::default() },
            };
            each(Member::Control, &entry, &mut script.as_bytes())?;
        }
    }
    Ok(())
}
