//! Notices of zig about arguments that have no effect. rustc 1.97 and newer report the linker's messages as the
//! lint `linker_messages` (<https://github.com/rust-lang/rust/issues/136096>), and `build.warnings = "deny"` in
//! cargo's configuration then fails every build.

/// A notice.
#[derive(Clone, Copy, Debug)]
pub struct Notice {
    /// Its beginning.
    pub start: &'static str,
    /// Its end.
    pub end: &'static str,
    /// An example.
    pub example: &'static str,
    /// The reason for which it has no meaning for users.
    pub why: &'static str,
}

/// Every notice that is left out.
pub const NOTICES: [Notice; 2] = [
    Notice {
        start: "warning: ignoring deprecated linker optimization setting '",
        end: "'",
        example: "warning: ignoring deprecated linker optimization setting '1'",
        why: "rustc passes it for each optimised program (rust-lang/rust#158192)",
    },
    Notice {
        start: "warning: unable to open library directory '",
        end: "': FileNotFound",
        example: "warning: unable to open library directory '/opt/lib': FileNotFound",
        why: "other linkers search the directories that exist, and report a missing library",
    },
];

/// Returns whether a line that zig writes is one of these notices.
pub fn is_notice(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    NOTICES.iter().any(|notice| {
        let rest = line.strip_prefix(notice.start.as_bytes());
        rest.is_some_and(|rest| rest.ends_with(notice.end.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_notices_match() {
        for notice in NOTICES {
            assert!(is_notice(notice.example.as_bytes()), "{}", notice.example);
            assert!(is_notice(format!("{}\r\n", notice.example).as_bytes()));
            let other = notice.example.replace("warning", "error");
            assert!(!is_notice(other.as_bytes()) && !notice.why.is_empty());
        }
        for other in [
            "",
            "warning: unable to open library directory '/opt/lib': AccessDenied",
            "ld.lld: warning: a.o: missing .note.GNU-stack section implies executable stack",
            "note: ignoring deprecated linker optimization setting '1'",
        ] {
            assert!(!is_notice(other.as_bytes()), "{other}");
        }
    }
}
