//! Zstandard in a build without it: nothing can be started.

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    marker::PhantomData,
};

use crate::model::feature::Feature;

pub(crate) struct Encoder<'a, W>(Infallible, PhantomData<(&'a (), W)>);

impl<W> Encoder<'_, W> {
    pub(crate) fn new(_: W, _: i32) -> io::Result<Self> {
        Err(Feature::Zstd.missing_io_error())
    }

    pub(crate) fn multithread(&mut self, _: u32) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn finish(self) -> io::Result<W> {
        match self.0 {}
    }
}

impl<W> Write for Encoder<'_, W> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match self.0 {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}

pub(crate) struct Decoder<'a, R>(Infallible, PhantomData<(&'a (), R)>);

impl<R> Decoder<'_, R> {
    pub(crate) fn new(_: R) -> io::Result<Self> {
        Err(Feature::Zstd.missing_io_error())
    }

    pub(crate) fn window_log_max(&mut self, _: u32) -> io::Result<()> {
        match self.0 {}
    }
}

impl<R> Read for Decoder<'_, R> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}

pub(crate) fn get_error_name(_: usize) -> &'static str {
    ""
}
