//! One entry of an archive.

use std::collections::BTreeMap;

use crate::model::digest::Digest;

/// The longest path, and the longest target of a link, in bytes: Linux' `PATH_MAX`.
pub const MAX_PATH: usize = 4096;

/// The deepest path, in directories.
pub const DEPTH: usize = 256;

/// Formats a name as text. Bytes that are not UTF-8 are written `\xNN`, so that two names never
/// become one: a backslash that could begin such an escape is written `\x5c`.
pub fn escaped(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        let valid = chunk.valid();
        for (at, char) in valid.char_indices() {
            if char == '\\' && valid.get(at..).is_some_and(begins_escape) {
                text.push_str("\\x5c");
            } else {
                text.push(char);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Returns whether `text` begins with an escape that [`escaped`] writes.
fn begins_escape(text: &str) -> bool {
    let digits = text.strip_prefix("\\x").and_then(|rest| rest.get(..2));
    let lower = |digits: &&str| digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let byte = digits.filter(lower).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    byte.is_some_and(|byte| byte >= 0x80 || byte == b'\\')
}

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Its path in the archive, as [`escaped`] writes it.
    pub path: String,
    /// Its kind.
    pub kind: EntryKind,
    /// The lowest twelve bits of its mode, where the archive has one.
    pub mode: Option<u32>,
    /// Whether it gets a `security.capability` attribute.
    pub capabilities: bool,
    /// The offset of its content, in an archive that is not compressed.
    pub start: Option<u64>,
    /// Further properties.
    pub stat: Stat,
}

/// The properties in tar archives beside the mode; empty in other archives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// The number of its owner.
    pub uid: u64,
    /// The number of its group.
    pub gid: u64,
    /// The size of its content in bytes.
    pub size: u64,
    /// The modification time, in seconds since 1970.
    pub mtime: i64,
    /// The numbers of a device.
    pub device: Option<Device>,
    /// The digest of each extended attribute's value, by its name.
    pub xattrs: BTreeMap<String, Digest>,
}

/// The numbers of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Whether it is a block device; otherwise a character device.
    pub block: bool,
    /// The major number: its driver.
    pub major: u32,
    /// The minor number: the device of that driver.
    pub minor: u32,
}

/// The kind of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and its target.
    Link(String),
    /// Another name of a file that is in the archive, too.
    HardLink(String),
    /// A device, a pipe, a socket.
    Special(&'static str),
    /// An unsupported type, with its description.
    Unknown(String),
}

impl ArchiveEntry {
    /// Returns whether its path leads out of the root that it is unpacked into; an absolute path
    /// does not.
    pub fn leaves_root(&self) -> bool {
        leaves_top(self.path.trim_start_matches('/'), 0)
    }

    /// Returns the reason for which unpacking or following it would leave the target directory;
    /// `None` if it does not.
    pub fn hazard(&self) -> Option<String> {
        if leaves_top(&self.path, 0) {
            return Some(format!("`{}` is unpacked outside of it", self.path.escape_debug()));
        }
        let (EntryKind::Link(to) | EntryKind::HardLink(to)) = &self.kind else {
            return None;
        };
        // A symbolic link is followed from where it is, a hard link from the archive's beginning.
        let depth = match self.kind {
            EntryKind::Link(_) => parts(&self.path).count().saturating_sub(1),
            _ => 0,
        };
        leaves_top(to, depth).then(|| {
            let (path, to) = (self.path.escape_debug(), to.escape_debug());
            format!("`{path}` is a link to `{to}`, outside of it")
        })
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

/// Returns whether `path`, followed from a directory `depth` below the top, leads above the top.
fn leaves_top(path: &str, mut depth: usize) -> bool {
    if path.starts_with('/') {
        return true;
    }
    for part in parts(path) {
        if part == ".." {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return true,
            }
        } else {
            depth += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_remain_different() {
        for (name, text) in [
            (&b"bin/p"[..], "bin/p"),
            ("bin/\u{e9}".as_bytes(), "bin/\u{e9}"),
            (b"bin/p\xfe", "bin/p\\xfe"),
            (b"bin/p\xff", "bin/p\\xff"),
            (b"bin/p\\xfe", "bin/p\\x5cxfe"),
            (b"bin/p\\x5cxfe", "bin/p\\x5cx5cxfe"),
            (b"a\\xfg\\", "a\\xfg\\"),
            (b"\\\xc3", "\\\\xc3"),
        ] {
            assert_eq!(escaped(name), text);
        }
    }

    #[test]
    fn paths_outside_the_root_are_reported() {
        let entry = |path: &str, kind| ArchiveEntry {
            path: path.to_owned(),
            kind,
            mode: None,
            capabilities: false,
            start: None,
            stat: Stat::default(),
        };
        let is_hazardous = |path, kind| entry(path, kind).hazard().is_some();
        for path in ["/etc/passwd", "../x", "a/../../x", "..", "./.."] {
            assert!(is_hazardous(path, EntryKind::File), "{path}");
            let root = entry(path, EntryKind::File).leaves_root();
            assert_eq!(root, path != "/etc/passwd", "{path}");
        }
        for path in ["a", "./a", "a/../b", "..a", "a..b/c", "a/./b/"] {
            assert!(!is_hazardous(path, EntryKind::File), "{path}");
        }
        let link = |to: &str| EntryKind::Link(to.to_owned());
        assert!(
            is_hazardous("bin/x", link("../../x")) && is_hazardous("bin/x", link("/usr/bin/x"))
        );
        assert!(!is_hazardous("bin/x", link("../x")) && !is_hazardous("bin/x", link("y")));
        assert!(is_hazardous("bin/x", EntryKind::HardLink("../x".to_owned())));
        assert!(!is_hazardous("bin/x", EntryKind::HardLink("bin/y".to_owned())));
    }
}
