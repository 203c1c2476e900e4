//! The limits on slow answers. A server that sends a byte now and then never looks silent.

use std::{
    io::{self, Read},
    time::Duration,
};

use super::ResponseLimits;
use crate::sys::clock::Stopwatch;

/// A stream that fails if less than [`ResponseLimits::LEAST`] bytes a second pass in a window of time. Only
/// time that the server takes counts.
#[derive(Debug)]
pub(in crate::sys) struct Paced<R> {
    inner: R,
    window: Duration,
    /// The time at which the last read ended, for a stream that is sent.
    sent: Option<Stopwatch>,
    sends: bool,
    /// The time in this window, and the bytes in it.
    waited: Duration,
    count: u64,
}

/// The error of a stream that is too slow.
#[derive(Debug)]
pub(super) struct TooSlow;

impl std::fmt::Display for TooSlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "less than {} bytes a second", ResponseLimits::LEAST)
    }
}

impl std::error::Error for TooSlow {}

impl<R> Paced<R> {
    /// Returns a received stream: the server's time is in each read.
    pub(in crate::sys) fn received(inner: R, limits: &ResponseLimits) -> Self {
        let (window, waited) = (limits.window, Duration::ZERO);
        Paced { inner, window, sent: None, sends: false, waited, count: 0 }
    }

    /// Returns a sent stream: the server's time is between two reads.
    pub(in crate::sys) fn sent(inner: R, limits: &ResponseLimits) -> Self {
        Paced { sends: true, ..Paced::received(inner, limits) }
    }

    fn wait(&mut self, time: Duration) -> io::Result<()> {
        self.waited += time;
        if self.waited < self.window {
            return Ok(());
        }
        if (self.count as f64) < self.waited.as_secs_f64() * ResponseLimits::LEAST as f64 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, TooSlow));
        }
        (self.waited, self.count) = (Duration::ZERO, 0);
        Ok(())
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(sent) = self.sent {
            self.wait(sent.elapsed())?;
        }
        let clock = Stopwatch::start();
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        if self.sends {
            self.sent = Some(Stopwatch::start());
        } else if count > 0 {
            self.wait(clock.elapsed())?;
        }
        Ok(count)
    }
}
