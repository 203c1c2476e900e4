//! Measuring time, and the current day.
#![allow(clippy::disallowed_methods, reason = "this is the only module that reads the clock")]

use std::time::{Duration, Instant, SystemTime};

/// Returns the current day, in UTC, as `2026-12-31`.
pub fn today() -> String {
    let mut text = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    text.truncate(10);
    text
}

/// Returns the current time, in UTC, as `2026-12-31T23:59:59Z`.
pub fn time() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Returns the seconds since 1970, in UTC.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// A stopwatch that measures from its creation.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    /// Returns the elapsed time.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Returns the milliseconds since the start.
    pub fn milliseconds(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
