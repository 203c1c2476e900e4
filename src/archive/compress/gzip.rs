//! gzip (RFC 1952), and the deflate streams in it.

use std::io::{self, Write};

use libdeflater::{CompressionLvl, Compressor, Crc};

use super::{ChunkCache, join};

/// The level with the best size for its time on stripped executables.
const LEVEL: i32 = 6;

/// The size of a chunk. A new chunk costs a thousandth of the size.
pub(super) const CHUNK: usize = 4 << 20;

/// Name, version, level and size of a chunk: with the same values, the same bytes, flushed at the same offsets,
/// produce the same stream.
pub const IDENTITY: &str = "libdeflate-1.26/6/4MiB";

/// The header: no name, time 0, system 255 ("unknown", section 2.3.1), so that it depends on
/// nothing.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The form in which chunks are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each is a separate member, of which there may be several (section 2.2).
    Members,
    /// All are one member. Not every reader continues after the first; but joining them takes time.
    Member,
    /// All are one deflate stream, without a header.
    Deflate,
}

/// The checksum and the size of compressed data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The checksum of the uncompressed data (section 8).
    pub crc: u32,
    /// Its size in bytes.
    pub plain: u64,
}

/// Writes the compressed form of what is written to it. [`Write::flush`] ends a chunk, so that the following
/// data is compressed as if nothing had come before.
pub struct Gzip<'p, W> {
    chunks: &'p dyn ChunkCache,
    framing: Framing,
    deflate: Compressor,
    plain: Vec<u8>,
    crc: Crc,
    size: u64,
    has_chunks: bool,
    out: W,
}

pub(super) fn compressor() -> io::Result<Compressor> {
    let level =
        CompressionLvl::new(LEVEL).map_err(|error| io::Error::other(format!("{error:?}")))?;
    Ok(Compressor::new(level))
}

/// Compresses one chunk as a deflate stream.
pub(super) fn compress_chunk(
    deflate: &mut Compressor,
    chunks: &dyn ChunkCache,
    plain: &[u8],
) -> io::Result<Vec<u8>> {
    chunks.get_or_compress(plain, &mut |plain| {
        let mut packed = vec![0; deflate.deflate_compress_bound(plain.len())];
        let len = deflate.deflate_compress(plain, &mut packed);
        packed.truncate(len.map_err(|error| io::Error::other(error.to_string()))?);
        Ok(packed)
    })
}

impl<'p, W: Write> Gzip<'p, W> {
    /// Begins a stream.
    ///
    /// # Errors
    /// No error is known: the level is valid.
    pub fn new(out: W, framing: Framing, chunks: &'p dyn ChunkCache) -> io::Result<Self> {
        Ok(Gzip {
            chunks,
            framing,
            deflate: compressor()?,
            plain: Vec::new(),
            crc: Crc::new(),
            size: 0,
            has_chunks: false,
            out,
        })
    }

    fn end_chunk(&mut self) -> io::Result<()> {
        let mut packed = compress_chunk(&mut self.deflate, self.chunks, &self.plain)?;
        if self.framing == Framing::Members {
            self.crc = Crc::new();
            self.size = 0;
        } else if !join::clear_last_mark(&mut packed) {
            return Err(io::Error::other("the compressor made no deflate stream"));
        }
        if self.framing == Framing::Members || self.framing == Framing::Member && !self.has_chunks {
            self.out.write_all(&HEADER)?;
        }
        self.out.write_all(&packed)?;
        self.crc.update(&self.plain);
        self.size += self.plain.len() as u64;
        if self.framing == Framing::Members {
            self.trailer()?;
        }
        self.plain.clear();
        self.has_chunks = true;
        Ok(())
    }

    /// Writes the checksum, and the size modulo 2^32 (section 2.3.1).
    fn trailer(&mut self) -> io::Result<()> {
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&(self.size as u32).to_le_bytes())
    }

    /// Ends the stream and returns `W`, and the totals of the last member.
    ///
    /// # Errors
    /// `W` failed.
    pub fn finish(mut self) -> io::Result<(W, Totals)> {
        if !self.plain.is_empty() || !self.has_chunks {
            self.end_chunk()?;
        }
        if self.framing != Framing::Members {
            // An empty block that is the last one, of the fixed codes (RFC 1951, section 3.2.6).
            self.out.write_all(&[3, 0])?;
        }
        if self.framing == Framing::Member {
            self.trailer()?;
        }
        Ok((self.out, Totals { crc: self.crc.sum(), plain: self.size }))
    }
}

impl<W: Write> Write for Gzip<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK - self.plain.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.plain.extend_from_slice(taken);
        if self.plain.len() == CHUNK {
            self.end_chunk()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.plain.is_empty() { Ok(()) } else { self.end_chunk() }
    }
}

impl<W> std::fmt::Debug for Gzip<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gzip").field("framing", &self.framing).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::archive::compress::NoCache;

    fn packed(framing: Framing, parts: &[&[u8]]) -> (Vec<u8>, Totals) {
        let mut gzip = Gzip::new(Vec::new(), framing, &NoCache).unwrap();
        for part in parts {
            gzip.write_all(part).unwrap();
            gzip.flush().unwrap();
        }
        gzip.finish().unwrap()
    }

    #[test]
    fn one_member_for_readers_of_one() {
        let long: Vec<u8> = (0..9_000_000_u32).map(|n| (n / 7).wrapping_mul(n) as u8).collect();
        let cases: [&[&[u8]]; 4] = [&[], &[b""], &[b"a", b"bc"], &[&long, b"x"]];
        for parts in cases {
            let (gz, totals) = packed(Framing::Member, parts);
            let mut plain = Vec::new();
            // Reads the first member, and no more.
            let mut decoder = flate2::bufread::GzDecoder::new(&gz[..]);
            decoder.read_to_end(&mut plain).unwrap();
            assert!(plain == parts.concat());
            assert!(decoder.into_inner().is_empty());
            assert_eq!(totals.plain, plain.len() as u64);
        }
    }

    #[test]
    fn members_are_concatenated() {
        let parts: [&[u8]; 3] = [b"head", &[7; 5_000_000], b"tail"];
        let (gz, _) = packed(Framing::Members, &parts);
        assert!(gz.starts_with(&HEADER));
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&gz[..]).read_to_end(&mut plain).unwrap();
        assert!(plain == parts.concat());
    }
}
