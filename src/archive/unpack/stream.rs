//! Compressed streams.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use flate2::read::MultiGzDecoder;

use super::gauge::{Budget, Gauge};
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

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// xz (<https://tukaani.org/xz/xz-file-format.txt>).
    Xz,
}

impl Packing {
    /// How what begins with `start` is compressed.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Packing::Xz,
            _ => Packing::None,
        }
    }
}

/// A stream that is hashed and counted while it is read.
#[derive(Debug)]
pub struct Tee<R> {
    inner: R,
    hasher: Hasher,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Tee<R> {
    /// Hashes what is read of `inner`.
    pub fn new(inner: R) -> Self {
        Tee { inner, hasher: Hasher::default(), count: Rc::default() }
    }

    /// Reads what is left; the digest of everything, and how many bytes that was.
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

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.count.set(self.count.get().saturating_add(count as u64));
        Ok(count)
    }
}

/// A stream that is counted while it is read.
pub(super) struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get().saturating_add(count as u64));
        Ok(count)
    }
}

/// What `packed` holds. Reading it fails where it holds too much.
///
/// # Errors
/// The decompressor does not start.
pub fn unpack<'a>(
    packed: impl Read + 'a,
    packing: Packing,
    budget: &Budget,
) -> Result<Box<dyn Read + 'a>> {
    let count = Rc::default();
    let counted = Counted { inner: packed, count: Rc::clone(&count) };
    Ok(Box::new(Gauge::new(decoder(counted, packing)?, count, budget)))
}

/// What `decode` makes of `packed`. Reading it fails where that is too much.
pub(super) fn gauged<'a, R: Read + 'a, D: Read + 'a>(
    packed: R,
    decode: impl FnOnce(Counted<R>) -> D,
    budget: &Budget,
) -> Box<dyn Read + 'a> {
    let count = Rc::default();
    let counted = Counted { inner: packed, count: Rc::clone(&count) };
    Box::new(Gauge::new(decode(counted), count, budget))
}

/// As [`unpack`], of a stream that counts itself.
pub(crate) fn unpack_tee<'a, R: Read>(
    packed: &'a mut Tee<R>,
    packing: Packing,
    budget: &Budget,
) -> Result<Gauge<Box<dyn Read + 'a>>> {
    let count = packed.count();
    Ok(Gauge::new(decoder(packed, packing)?, count, budget))
}

fn decoder<'a>(packed: impl Read + 'a, packing: Packing) -> Result<Box<dyn Read + 'a>> {
    Ok(match packing {
        Packing::None => Box::new(packed),
        Packing::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Packing::Xz => xz::reader(packed, XZ_MEMORY)?,
        Packing::Zstd => {
            Feature::Zstd.require()?;
            let failed = |error| Error::check("zstd does not start").because(error);
            let mut decoder = zstandard::Decoder::new(packed).map_err(failed)?;
            decoder.window_log_max(WINDOW_LOG).map_err(failed)?;
            Box::new(Windowed(decoder))
        }
    })
}

/// A zstd stream, with an error that names the limit of windows.
struct Windowed<R>(R);

impl<R: Read> Read for Windowed<R> {
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
