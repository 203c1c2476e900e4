//! Streams and stores that cannot be read any more once the program is interrupted.

use std::io::{self, Read};

use crate::{image::read::image::Store, model::error::Result, sys::process::Children};

/// A stream that cannot be read any more once the program is interrupted.
pub(in crate::ops) struct Interruptible<'a, R> {
    inner: R,
    children: &'a Children,
}

impl<'a, R: Read> Interruptible<'a, R> {
    pub(in crate::ops) fn new(inner: R, children: &'a Children) -> Self {
        Interruptible { inner, children }
    }
}

impl<R: Read> Read for Interruptible<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.children.check().map_err(io::Error::other)?;
        self.inner.read(buffer)
    }
}

/// A store with such streams.
pub(in crate::ops) struct InterruptibleStore<'a> {
    pub(in crate::ops) store: &'a dyn Store,
    pub(in crate::ops) children: &'a Children,
}

impl Store for InterruptibleStore<'_> {
    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>> {
        let inner = self.store.open(path)?;
        Ok(inner.map(|inner| Box::new(Interruptible::new(inner, self.children)) as Box<dyn Read>))
    }
}
