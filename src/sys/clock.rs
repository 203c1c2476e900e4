//! The time of day.
#![allow(clippy::disallowed_methods, reason = "this is the one place that looks at the clock")]

use std::time::SystemTime;

/// The day of today, in UTC, as `2026-12-31`.
pub fn today() -> String {
    let mut text = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    text.truncate(10);
    text
}
