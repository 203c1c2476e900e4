//! Escaped names from binaries, in which nothing is hidden, and numbers for people.

pub(super) use crate::model::markup::escape_line;

/// Returns `text`, cleaned, for an element's content or an attribute in quotes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in escape_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Formats `1234567` as `1,234,567`.
pub(super) fn group_digits(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats the change from `base` to `size`: `+1,234` or `−1,234`.
pub(super) fn format_change(base: u64, size: u64) -> String {
    match size.cmp(&base) {
        std::cmp::Ordering::Less => format!("−{}", group_digits(base - size)),
        std::cmp::Ordering::Equal => "0".to_owned(),
        std::cmp::Ordering::Greater => format!("+{}", group_digits(size - base)),
    }
}

/// Formats `part` of `whole` as `12.3 %`, rounded as the script rounds.
pub(super) fn format_percent(part: u64, whole: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    let share = if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
    format!("{share:.1} %")
}
