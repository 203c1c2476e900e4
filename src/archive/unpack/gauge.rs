//! How much an archive may unpack to.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

/// The most bytes that one archive or layer is unpacked to.
pub const MOST: u64 = 16 << 30;

/// The maximum ratio of a stream's size to its compressed size, once the stream has 64 MiB. Programs and
/// text compress about tenfold, a decompression bomb a thousandfold.
pub const TIMES: u64 = 200;

/// What is unpacked whatever it came from.
const FREE: u64 = 64 << 20;

/// What is left to unpack, shared by the entries of one archive.
#[derive(Clone, Debug)]
pub struct Budget(Rc<Cell<u64>>);

impl Default for Budget {
    fn default() -> Self {
        Budget(Rc::new(Cell::new(MOST)))
    }
}

/// A stream that fails where it becomes too large.
pub(crate) struct Gauge<R> {
    inner: R,
    /// How many bytes it gave.
    given: u64,
    /// How many bytes it is made of, counted while they are read.
    taken: Rc<Cell<u64>>,
    budget: Budget,
    /// Whether its end was seen.
    pub(crate) ended: bool,
}

impl<R: Read> Gauge<R> {
    pub(crate) fn new(inner: R, taken: Rc<Cell<u64>>, budget: &Budget) -> Self {
        Gauge { inner, given: 0, taken, budget: budget.clone(), ended: false }
    }
}

impl<R: Read> Read for Gauge<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.ended |= count == 0 && !buffer.is_empty();
        let count_wide = count as u64;
        self.given = self.given.saturating_add(count_wide);
        if self.given > FREE && self.given / TIMES > self.taken.get() {
            let why = format!("it unpacks to more than {TIMES} times its size, as bombs do");
            return Err(io::Error::other(why));
        }
        match self.budget.0.get().checked_sub(count_wide) {
            Some(left) => self.budget.0.set(left),
            None => {
                let why = format!("it unpacks to more than {MOST} bytes");
                return Err(io::Error::other(why));
            }
        }
        Ok(count)
    }
}
