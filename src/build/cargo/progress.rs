//! Parses cargo's progress bar. Cargo prints it on request (`CARGO_TERM_PROGRESS_WHEN`), also
//! into a pipe; it is the only output with the number of units and those that are being compiled
//! now.

/// One state of the bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// The units that are being compiled.
    pub active: String,
}

/// Parses the bar in `line`, if it is one: `    Building [=====>   ] 12/34: regex, memchr(build)`.
pub fn parse(line: &str) -> Option<Progress> {
    let line = strip_control_sequences(line);
    let rest = line.trim_start().strip_prefix("Building [")?;
    let (_, rest) = rest.split_once("] ")?;
    let (counts, active) = rest.split_once(':').unwrap_or((rest, ""));
    let (done, total) = counts.trim().split_once('/')?;
    Some(Progress {
        done: done.trim().parse().ok()?,
        total: total.trim().parse().ok()?,
        active: active.trim().to_owned(),
    })
}

/// Returns whether `line` is one state of any of cargo's bars, which the next one overwrites.
pub fn is_bar(line: &str) -> bool {
    let text = strip_control_sequences(line);
    let text = text.trim_start();
    // A line of a program may end with a carriage return and a line feed, too.
    line.ends_with('\r')
        && (text.is_empty()
            || ["Building [", "Downloading ", "Fetch [", "Resolving "]
                .iter()
                .any(|start| text.starts_with(start)))
}

/// Returns `text` without terminal control sequences (ECMA-48, 5.4) and carriage returns.
pub fn strip_control_sequences(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                // Parameter and intermediate characters up to the final one.
                while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            }
            '\r' => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar() {
        let line = "\u{1b}[K    \u{1b}[1m\u{1b}[96mBuilding\u{1b}[0m [=====>   ] 12/34: \
                    regex, memchr(build)\r";
        assert_eq!(
            parse(line),
            Some(Progress { done: 12, total: 34, active: "regex, memchr(build)".into() })
        );
    }

    #[test]
    fn bars_without_units() {
        assert!(is_bar("\u{1b}[K Downloading 3 crates, remaining bytes: 1.2MiB\r"));
        assert!(is_bar("\u{1b}[K\r"));
        assert!(!is_bar("error: broken\r"));
        assert!(!is_bar(" Downloading crates ...\n"));
    }

    #[test]
    fn not_a_bar() {
        for line in ["", "   Compiling regex v1.0.0", "Building [", "Building [=] a/b: c"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
