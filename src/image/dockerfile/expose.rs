//! Ports of `EXPOSE` and signals of `STOPSIGNAL`.

/// Returns the ports that `text` means: `80`, `80/udp`, `8000-8010/tcp`
/// (dockerfile2llb/convert_expose.go of BuildKit).
pub(super) fn parse_ports(text: &str) -> Result<Vec<String>, String> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, ""));
    if range.contains(':') {
        return Err(format!("`{text}` has a port of the host, which an image cannot define"));
    }
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        other => return Err(format!("`{other}` is not a protocol: use tcp, udp or sctp")),
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits)
    };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => {
            Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
        }
        _ => Err(format!("`{text}` is not a port")),
    }
}

/// Returns whether `text` is a signal by its number or name, as github.com/moby/sys/signal knows them.
pub(super) fn is_signal(text: &str) -> bool {
    const NAMES: [&str; 36] = [
        "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT",
        "KILL", "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM",
        "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
        "RTMIN", "RTMAX",
    ];
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |lead: &str, most: u8| {
        let number = name.strip_prefix(lead).filter(|rest| !rest.starts_with('0'));
        number.and_then(|rest| rest.parse::<u8>().ok()).is_some_and(|n| n <= most)
            && name.bytes().skip(lead.len()).all(|b| b.is_ascii_digit())
    };
    NAMES.contains(&name) || real_time("RTMIN+", 15) || real_time("RTMAX-", 14)
}
