//! The errors that are retried, and the times of retries.

use std::time::Duration;

/// The maximum number of tries.
pub const MAX_TRIES: u32 = 6;

/// The longest wait that a registry can request.
pub const MAX_REQUESTED_WAIT: Duration = Duration::from_secs(120);

/// The first wait; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(300);

/// The longest wait that is not requested by a registry.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// Returns whether an answer means that a later try may succeed.
pub fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Returns how long to wait after the try of that number (the first is 1): as long as the registry
/// requests, else increasingly longer. `salt` changes it by up to a quarter, so that clients do not all
/// retry at once. `None` if there is to be no other try.
pub fn wait_time(tried: u32, requested: Option<Duration>, salt: u64) -> Option<Duration> {
    if tried >= MAX_TRIES {
        return None;
    }
    let own = FIRST_WAIT.saturating_mul(1 << tried.saturating_sub(1).min(16)).min(MAX_WAIT);
    let own = own + own.mul_f64((salt % 256) as f64 / 1024.0);
    match requested {
        None => Some(own),
        Some(requested) if requested > MAX_REQUESTED_WAIT => None,
        Some(requested) => Some(requested.max(FIRST_WAIT)),
    }
}

/// Returns the wait that a `Retry-After` header requests (RFC 9110, 10.2.3): seconds, or a time, of
/// which `now`, in seconds since 1970, is subtracted.
pub fn parse_retry_after(header: &str, now: u64) -> Option<Duration> {
    let text = header.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = seconds(text)?;
    Some(Duration::from_secs(until.saturating_sub(now)))
}

/// Parses `Sun, 06 Nov 1994 08:49:37 GMT` into seconds since 1970 (RFC 9110, 5.6.7; the obsolete forms
/// are not read).
fn seconds(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = date.split_ascii_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = parts[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let text = format!("{year:0>4}-{month:02}-{day:0>2}T{time}Z");
    let time = humantime::parse_rfc3339(&text).ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<_> = (1..MAX_TRIES).filter_map(|tried| wait_time(tried, None, 0)).collect();
        assert_eq!(waits.len(), 5);
        assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
        assert_eq!(wait_time(MAX_TRIES, None, 0), None);
        assert_eq!(wait_time(u32::MAX, None, 0), None);
        assert!(wait_time(1, None, u64::MAX) < Some(FIRST_WAIT.mul_f64(1.25)));
        assert_eq!(wait_time(1, Some(Duration::from_secs(7)), 9), Some(Duration::from_secs(7)));
        assert_eq!(wait_time(1, Some(Duration::ZERO), 9), Some(FIRST_WAIT));
        assert_eq!(wait_time(1, Some(MAX_REQUESTED_WAIT + Duration::from_secs(1)), 0), None);
    }

    #[test]
    fn both_forms_of_the_header() {
        assert_eq!(parse_retry_after(" 12 ", 0), Some(Duration::from_secs(12)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(parse_retry_after(date, 784_111_770), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after(date, 784_111_780), Some(Duration::ZERO));
        for text in
            ["", "-1", "soon", "Sun, 06 Nov 1994 08:49:37", "x 99 Nov 1 99:99:99 GMT", "1e9"]
        {
            assert_eq!(parse_retry_after(text, 0), None, "{text}");
        }
    }
}
