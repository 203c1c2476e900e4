//! Values as Go's `fmt` prints them, which is how they are in an image's history, and Go's
//! durations (packages fmt, strconv and time of Go).

/// Formats a string like `%q`.
pub(super) fn quote(text: &str) -> String {
    let mut result = String::from("\"");
    for c in text.chars() {
        push_escaped(&mut result, c, '"');
    }
    result.push('"');
    result
}

/// Formats an integer like `%q`: the character with that number.
pub(super) fn quote_number(number: u64) -> String {
    let c = u32::try_from(number).ok().and_then(char::from_u32);
    let mut result = String::from("'");
    push_escaped(&mut result, c.unwrap_or(char::REPLACEMENT_CHARACTER), '\'');
    result.push('\'');
    result
}

/// Formats a slice of strings like `%q`.
pub(super) fn quote_list(strings: &[String]) -> String {
    let strings: Vec<String> = strings.iter().map(|text| quote(text)).collect();
    format!("[{}]", strings.join(" "))
}

/// Formats a slice of strings like `%v`.
pub(super) fn list(strings: &[String]) -> String {
    format!("[{}]", strings.join(" "))
}

fn push_escaped(result: &mut String, c: char, quote: char) {
    match c {
        '\u{7}' => result.push_str("\\a"),
        '\u{8}' => result.push_str("\\b"),
        '\u{c}' => result.push_str("\\f"),
        '\n' => result.push_str("\\n"),
        '\r' => result.push_str("\\r"),
        '\t' => result.push_str("\\t"),
        '\u{b}' => result.push_str("\\v"),
        c if c == quote || c == '\\' => result.extend(['\\', c]),
        c if is_printable(c) => result.push(c),
        c => {
            let number = u32::from(c);
            result.push_str(&match number {
                0..=0x1f | 0x7f => format!("\\x{number:02x}"),
                0..=0xffff => format!("\\u{number:04x}"),
                _ => format!("\\U{number:08x}"),
            });
        }
    }
}

/// Returns whether `strconv.IsPrint` accepts the character: letters, marks, numbers, punctuation,
/// symbols and the space.
fn is_printable(c: char) -> bool {
    // The standard library's table is the same. It escapes marks besides, but only the first
    // character of a text.
    let text = ['a', c].iter().collect::<String>();
    c == '\'' || c == '"' || text.escape_debug().skip(1).eq([c])
}

/// Returns a unit's nanoseconds.
fn unit_nanoseconds(name: &str) -> Option<u128> {
    Some(match name {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Returns the nanoseconds of a duration such as `1m30s` or `1.5h`; `None` if it is not a duration, is
/// negative, or does not fit in 63 bits.
pub(super) fn parse_duration(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, tail) = rest.split_at_checked(number)?;
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (name, tail) = tail.split_at_checked(end)?;
        let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if integer.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let unit = unit_nanoseconds(name)?;
        if !integer.is_empty() {
            total = total.checked_add(integer.parse::<u128>().ok()?.checked_mul(unit)?)?;
        }
        // No unit has more than 13 digits of nanoseconds.
        let fraction: String = fraction.chars().take(18).collect();
        if !fraction.is_empty() {
            let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            total = total.checked_add(fraction.parse::<u128>().ok()? * unit / scale)?;
        }
        rest = tail;
    }
    u64::try_from(total).ok().filter(|nanoseconds| i64::try_from(*nanoseconds).is_ok())
}

/// Returns a duration as `time.Duration` prints it: `1m30s`, `1.5s`, `100ms`, `0s`.
pub(super) fn format_duration(nanoseconds: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let minutes = nanoseconds / (60 * SECOND);
    let seconds = format_decimal(nanoseconds % (60 * SECOND), SECOND, "s");
    match nanoseconds {
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format_decimal(nanoseconds, 1_000, "\u{b5}s"),
        1_000_000..SECOND => format_decimal(nanoseconds, 1_000_000, "ms"),
        _ if minutes == 0 => seconds,
        _ if minutes < 60 => format!("{minutes}m{seconds}"),
        _ => format!("{}h{}m{seconds}", minutes / 60, minutes % 60),
    }
}

/// Formats `value` in `unit`, a power of ten, with as many decimals as it needs.
fn format_decimal(value: u64, unit: u64, name: &str) -> String {
    let (integer, fraction) = (value / unit, value % unit);
    if fraction == 0 {
        return format!("{integer}{name}");
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{fraction:0width$}");
    format!("{integer}.{}{name}", fraction.trim_end_matches('0'))
}
