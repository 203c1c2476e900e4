//! The limits on the unpacked size of an archive.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

/// The most bytes that one archive or layer is unpacked to.
pub const MAX_UNPACKED: u64 = 16 << 30;

/// The maximum ratio of a stream's size to its compressed size, once the stream has 64 MiB. Programs and
/// text compress about tenfold, a decompression bomb a thousandfold.
pub const MAX_RATIO: u64 = 200;

/// The unpacked size below which the ratio is not checked.
const UNCHECKED: u64 = 64 << 20;

/// The number of bytes that may still be unpacked, shared by the entries of one archive.
#[derive(Clone, Debug)]
pub struct Budget(Rc<Cell<u64>>);

impl Default for Budget {
    fn default() -> Self {
        Budget(Rc::new(Cell::new(MAX_UNPACKED)))
    }
}

/// A reader that fails if the stream is too large.
pub(crate) struct LimitedReader<R> {
    inner: R,
    /// The number of unpacked bytes so far.
    unpacked: u64,
    /// The number of compressed bytes, counted while they are read.
    packed: Rc<Cell<u64>>,
    budget: Budget,
    /// Whether its end was reached.
    pub(crate) ended: bool,
}

impl<R: Read> LimitedReader<R> {
    pub(crate) fn new(inner: R, packed: Rc<Cell<u64>>, budget: &Budget) -> Self {
        LimitedReader { inner, unpacked: 0, packed, budget: budget.clone(), ended: false }
    }
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.ended |= count == 0 && !buffer.is_empty();
        let count_wide = count as u64;
        self.unpacked = self.unpacked.saturating_add(count_wide);
        if self.unpacked > UNCHECKED && self.unpacked / MAX_RATIO > self.packed.get() {
            let message = format!(
                "it unpacks to more than {MAX_RATIO} times its size, like a decompression \
                         bomb"
            );
            return Err(io::Error::other(message));
        }
        match self.budget.0.get().checked_sub(count_wide) {
            Some(left) => self.budget.0.set(left),
            None => {
                let message = format!("it unpacks to more than {MAX_UNPACKED} bytes");
                return Err(io::Error::other(message));
            }
        }
        Ok(count)
    }
}
