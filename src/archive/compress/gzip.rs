//! gzip (RFC 1952), and the deflate streams in it.

use std::{
    collections::VecDeque,
    io::{self, Write},
    mem,
};

use libdeflater::{CompressionLvl, Compressor, Crc};

use super::{ChunkCache, Pending, join};
use crate::model::schema::packaging::GzipLevel;

/// The size of a chunk. A new chunk costs a thousandth of the size.
pub(super) const CHUNK: usize = 4 << 20;

/// The size above which memory for a complete chunk is reserved.
const SMALL: usize = 64 << 10;

/// Returns name, version, level and size of a chunk: with the same values, the same bytes, flushed at the same
/// offsets, produce the same stream.
pub fn identity(level: GzipLevel) -> String {
    format!("libdeflate-1.26/{}/4MiB", level.number())
}

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
    plain: Vec<u8>,
    crc: Crc,
    size: u64,
    /// The chunks that are not written yet, in order, with the totals of their members.
    pending: VecDeque<(Pending<'p>, Totals)>,
    has_chunks: bool,
    has_header: bool,
    out: W,
}

/// Compresses one chunk as a deflate stream.
///
/// # Errors
/// No error is known: the level is valid, and the buffer large enough.
pub fn compress(plain: &[u8], level: GzipLevel) -> io::Result<Vec<u8>> {
    let level = CompressionLvl::new(level.number().into())
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    let mut deflate = Compressor::new(level);
    let mut packed = vec![0; deflate.deflate_compress_bound(plain.len())];
    let len = deflate.deflate_compress(plain, &mut packed);
    packed.truncate(len.map_err(|error| io::Error::other(error.to_string()))?);
    packed.shrink_to_fit();
    Ok(packed)
}

impl<'p, W: Write> Gzip<'p, W> {
    /// Begins a stream.
    pub fn new(out: W, framing: Framing, chunks: &'p dyn ChunkCache) -> Self {
        Gzip {
            chunks,
            framing,
            plain: Vec::new(),
            crc: Crc::new(),
            size: 0,
            pending: VecDeque::new(),
            has_chunks: false,
            has_header: false,
            out,
        }
    }

    fn end_chunk(&mut self) -> io::Result<()> {
        if self.framing == Framing::Members {
            self.crc = Crc::new();
            self.size = 0;
        }
        self.crc.update(&self.plain);
        self.size += self.plain.len() as u64;
        self.has_chunks = true;
        let pending = self.chunks.start(mem::take(&mut self.plain));
        self.pending.push_back((pending, self.totals()));
        self.write_pending(self.chunks.depth())
    }

    /// Writes the oldest chunks, so that `most` are left.
    fn write_pending(&mut self, most: usize) -> io::Result<()> {
        while self.pending.len() > most
            && let Some((pending, totals)) = self.pending.pop_front()
        {
            let mut packed = pending()?;
            if self.framing != Framing::Members && !join::clear_last_mark(&mut packed) {
                return Err(io::Error::other("the compressor made no deflate stream"));
            }
            if self.framing == Framing::Members
                || self.framing == Framing::Member && !self.has_header
            {
                self.out.write_all(&HEADER)?;
                self.has_header = true;
            }
            self.out.write_all(&packed)?;
            if self.framing == Framing::Members {
                self.write_trailer(totals)?;
            }
        }
        Ok(())
    }

    fn totals(&self) -> Totals {
        Totals { crc: self.crc.sum(), plain: self.size }
    }

    /// Writes the checksum, and the size modulo 2^32 (section 2.3.1).
    fn write_trailer(&mut self, totals: Totals) -> io::Result<()> {
        self.out.write_all(&totals.crc.to_le_bytes())?;
        self.out.write_all(&(totals.plain as u32).to_le_bytes())
    }

    /// Ends the stream and returns `W`, and the totals of the last member.
    ///
    /// # Errors
    /// `W` failed.
    pub fn finish(mut self) -> io::Result<(W, Totals)> {
        if !self.plain.is_empty() || !self.has_chunks {
            self.end_chunk()?;
        }
        self.write_pending(0)?;
        let totals = self.totals();
        if self.framing != Framing::Members {
            // An empty block that is the last one, of the fixed codes (RFC 1951, section 3.2.6).
            self.out.write_all(&[3, 0])?;
        }
        if self.framing == Framing::Member {
            self.write_trailer(totals)?;
        }
        Ok((self.out, totals))
    }
}

impl<W: Write> Write for Gzip<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Large chunks at once: growing would copy them several times.
        if self.plain.len() + bytes.len() > SMALL {
            self.plain.reserve_exact(CHUNK.saturating_sub(self.plain.len()));
        }
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
        let mut gzip = Gzip::new(Vec::new(), framing, &NoCache);
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
