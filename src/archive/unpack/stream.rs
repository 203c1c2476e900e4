//! Compressed streams.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use flate2::read::MultiGzDecoder;

use super::limit::{Budget, LimitedReader};
use crate::{
    archive::{xz, zstandard},
    model::{
        digest::{Digest, Hasher},
        error::{Error, Result},
        feature::Feature,
    },
};

/// The largest window of a zstd stream, as a power of two: 32 MiB. `zstd --ultra -22` and `--long`
/// ask for more, and so does memory then (RFC 8878, "Window Descriptor").
const WINDOW_LOG: u32 = 25;

/// The maximum memory for the dictionary of an xz stream, in KiB: that of `xz -9` (xz(1),
/// "Compression presets").
const XZ_MEMORY: u32 = 66 << 10;

/// The compression of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// No compression.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// xz (<https://tukaani.org/xz/xz-file-format.txt>).
    Xz,
}

impl Compression {
    /// Returns the compression of a stream that begins with `start`.
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            _ => Compression::None,
        }
    }
}

/// A reader that hashes and counts the bytes that are read.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    count: Rc<Cell<u64>>,
}

impl<R: Read> HashingReader<R> {
    /// Creates a reader that hashes the bytes of `inner`.
    pub fn new(inner: R) -> Self {
        HashingReader { inner, hasher: Hasher::default(), count: Rc::default() }
    }

    /// Reads the rest; returns the digest and the size of the complete stream.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn finish(mut self) -> io::Result<(Digest, u64)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.hasher.finish())
    }

    fn count(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.count)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.count.set(self.count.get().saturating_add(count as u64));
        Ok(count)
    }
}

/// A reader that counts the bytes that are read.
pub(super) struct CountingReader<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get().saturating_add(count as u64));
        Ok(count)
    }
}

/// Decompresses `packed`. Reading fails if the result is too large.
///
/// # Errors
/// The decompressor does not start.
pub fn unpack<'a>(
    packed: impl Read + 'a,
    compression: Compression,
    budget: &Budget,
) -> Result<Box<dyn Read + 'a>> {
    let count = Rc::default();
    let counted = CountingReader { inner: packed, count: Rc::clone(&count) };
    Ok(Box::new(LimitedReader::new(decoder(Box::new(counted), compression)?, count, budget)))
}

/// Decompresses `packed` with `decode`. Reading fails if the result is too large.
pub(super) fn limit_decoded<'a, R: Read + 'a, D: Read + 'a>(
    packed: R,
    decode: impl FnOnce(CountingReader<R>) -> D,
    budget: &Budget,
) -> Box<dyn Read + 'a> {
    let count = Rc::default();
    let counted = CountingReader { inner: packed, count: Rc::clone(&count) };
    Box::new(LimitedReader::new(decode(counted), count, budget))
}

/// Decompresses like [`unpack`], for a stream that is hashed.
pub(crate) fn unpack_hashed<'a, R: Read>(
    packed: &'a mut HashingReader<R>,
    compression: Compression,
    budget: &Budget,
) -> Result<LimitedReader<Box<dyn Read + 'a>>> {
    let count = packed.count();
    Ok(LimitedReader::new(decoder(Box::new(packed), compression)?, count, budget))
}

/// Takes one type of reader: each decompressor would be compiled for every other one.
fn decoder<'a>(packed: Box<dyn Read + 'a>, compression: Compression) -> Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => packed,
        Compression::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Compression::Xz => xz::reader(packed, XZ_MEMORY)?,
        Compression::Zstd => {
            Feature::Zstd.require()?;
            let failed = |error| Error::check("zstd does not start").because(error);
            let mut decoder = zstandard::Decoder::new(packed).map_err(failed)?;
            decoder.window_log_max(WINDOW_LOG).map_err(failed)?;
            Box::new(WindowReader(decoder))
        }
    })
}

/// A reader of a zstd stream, with an error that names the limit of windows.
struct WindowReader<R>(R);

impl<R: Read> Read for WindowReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        /// `ZSTD_error_frameParameter_windowTooLarge` of `zstd_errors.h`, as functions return it.
        const TOO_LARGE: usize = 0_usize.wrapping_sub(16);
        self.0.read(buffer).map_err(|error| {
            if error.to_string() != zstandard::get_error_name(TOO_LARGE) {
                return error;
            }
            let limit = (1 << WINDOW_LOG) >> 20;
            io::Error::other(format!(
                "its zstd window is larger than {limit} MiB, the most that is read; compress it with \
                 `zstd --long={WINDOW_LOG}` or less"
            ))
        })
    }
}
