//! The permitted contents of a cache archive. Every entry is checked here before anything of it is written.

use std::collections::BTreeMap;

use super::is_inside;

/// The maximum length of the name of an entry or a link.
pub const NAME_LIMIT: usize = 4096;

/// The maximum number of entries of an archive.
const ENTRY_LIMIT: u64 = 1 << 21;

/// The maximum ratio of uncompressed to compressed bytes. Cargo's output shrinks to between a third and a
/// tenth.
const RATIO_LIMIT: u64 = 200;

/// The uncompressed size that is accepted at any ratio.
const SMALL_ARCHIVE_LIMIT: u64 = 64 << 20;

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryKind {
    /// A directory that is implied by the path of another entry.
    Parent,
    /// A directory with a separate entry.
    Directory,
    File,
    Link,
}

/// The entries of an archive so far. Errors are sentences about `its archive`.
#[derive(Clone, Debug)]
pub struct Contents {
    rule: fn(&str) -> bool,
    kinds: BTreeMap<String, EntryKind>,
    entries: u64,
    bytes: u64,
    most_entries: u64,
    most_bytes: u64,
}

type CheckResult = Result<(), String>;

impl Contents {
    /// Returns an empty one, for an archive with at most so many entries and bytes of files. `rule` decides
    /// which names may occur.
    pub fn new(entries: u64, bytes: u64, rule: fn(&str) -> bool) -> Self {
        Contents {
            rule,
            kinds: BTreeMap::new(),
            entries: 0,
            bytes: 0,
            most_entries: entries,
            most_bytes: bytes,
        }
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// Why the archive is rejected.
    pub fn directory(&mut self, name: &str) -> CheckResult {
        self.add(name, EntryKind::Directory)
    }

    /// Adds a regular file with this size and mode.
    ///
    /// # Errors
    /// Why the archive is rejected.
    pub fn file(&mut self, name: &str, size: u64, mode: u32) -> CheckResult {
        self.add(name, EntryKind::File)?;
        if mode & !0o777 != 0 {
            return Err(format!("its archive holds `{name}` with the mode {mode:o}"));
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.most_bytes {
            let most = self.most_bytes;
            return Err(format!("its archive holds more than the {most} bytes of its header"));
        }
        Ok(())
    }

    /// Adds another name of the regular file `to`.
    ///
    /// # Errors
    /// Why the archive is rejected.
    pub fn hard_link(&mut self, name: &str, to: &str) -> CheckResult {
        if self.kinds.get(to) != Some(&EntryKind::File) {
            return Err(format!(
                "its archive holds the hard link `{name}` to `{to}`, which is not a regular file \
                 before it"
            ));
        }
        self.add(name, EntryKind::File)
    }

    /// Adds a symbolic link to `to`.
    ///
    /// # Errors
    /// Why the archive is rejected.
    pub fn symlink(&mut self, name: &str, to: &str) -> CheckResult {
        if !stays_inside(name, to) {
            return Err(format!(
                "its archive holds the symbolic link `{name}` to `{to}`, which leads outside"
            ));
        }
        self.add(name, EntryKind::Link)
    }

    /// Checks at the end that nothing is missing.
    ///
    /// # Errors
    /// Why the archive is rejected.
    pub fn finish(&self) -> CheckResult {
        if (self.entries, self.bytes) == (self.most_entries, self.most_bytes) {
            return Ok(());
        }
        Err(format!(
            "its archive holds {} entries with {} bytes, its header says {} with {}",
            self.entries, self.bytes, self.most_entries, self.most_bytes
        ))
    }

    fn add(&mut self, name: &str, kind: EntryKind) -> CheckResult {
        let long = name.len() > NAME_LIMIT || name.split('/').any(|part| part.len() > 255);
        // The first directories are replaced completely; they must be directories.
        let is_root = !name.contains('/') && kind != EntryKind::Directory;
        if !is_inside(name) || long || is_root || !(self.rule)(name) {
            return Err(format!("its archive holds `{}`, which leads outside", shorten(name)));
        }
        self.entries += 1;
        if self.entries > self.most_entries {
            let most = self.most_entries;
            return Err(format!("its archive holds more than the {most} entries of its header"));
        }
        for (at, _) in name.match_indices('/') {
            let parent = name.get(..at).unwrap_or_default();
            match self.kinds.get(parent) {
                None => drop(self.kinds.insert(parent.to_owned(), EntryKind::Parent)),
                Some(EntryKind::Parent | EntryKind::Directory) => {}
                Some(EntryKind::File | EntryKind::Link) => {
                    return Err(format!(
                        "its archive holds `{name}` below `{parent}`, which is not a directory"
                    ));
                }
            }
        }
        match (self.kinds.get(name), kind) {
            (None, _) | (Some(EntryKind::Parent), EntryKind::Directory) => {
                self.kinds.insert(name.to_owned(), kind);
                Ok(())
            }
            _ => Err(format!("its archive holds `{name}` twice")),
        }
    }
}

/// Returns the start of a name, for a message.
fn shorten(name: &str) -> String {
    let start: String = name.chars().take(200).collect();
    if start.len() == name.len() { start } else { format!("{start}…") }
}

/// Returns whether a header may declare so many entries and bytes for an archive of `size` bytes.
pub fn is_plausible(size: u64, entries: u64, bytes: u64) -> bool {
    entries <= ENTRY_LIMIT
        && bytes <= size.saturating_mul(RATIO_LIMIT).saturating_add(SMALL_ARCHIVE_LIMIT)
}

/// Returns whether a symbolic link at `name` with the target `to` leads to a path below the first directory of
/// `name`: relative, `..` at the start only, and no more of them than there are directories. Every directory
/// above a link is a real one, so that this holds for links to links as well.
pub fn stays_inside(name: &str, to: &str) -> bool {
    let depth = name.matches('/').count().saturating_sub(1);
    let parts: Vec<&str> = to.split('/').collect();
    let up = parts.iter().take_while(|part| **part == "..").count();
    let down = parts.get(up..).unwrap_or_default();
    let normal = |part: &&str| !["", ".", ".."].contains(part) && !part.contains('\0');
    !to.is_empty() && to.len() <= NAME_LIMIT && up <= depth && down.iter().all(normal)
}

/// Returns whether a cache archive may contain an entry of this name: below `target`, except longshore's own
/// directories, and zig's output for one set of flags.
pub fn is_cached(name: &str) -> bool {
    let mut parts = name.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("target"), None, _) => true,
        (Some("target"), Some(first), _) => {
            !["layers", "pieces"].contains(&first) && !first.starts_with("longshore")
        }
        (Some("zig"), Some(file), None) => file.strip_suffix(".tar").is_some_and(is_zig_part),
        (Some("zig"), None, _) => true,
        _ => false,
    }
}

/// Returns whether this is the name of a part of zig's cache: zig's version, and twelve hexadecimal digits.
pub fn is_zig_part(name: &str) -> bool {
    let Some((version, digest)) = name.rsplit_once('-') else { return false };
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    digest.len() == 12 && digest.chars().all(hex) && semver::Version::parse(version).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> Contents {
        Contents::new(9, 100, is_cached)
    }

    #[test]
    fn entries_stay_below_their_directories() {
        for name in ["target/T/dist/a", "target/CACHEDIR.TAG", "zig/0.15.2-6795ca872fe1.tar"] {
            assert_eq!(contents().file(name, 1, 0o755), Ok(()), "{name}");
        }
        let long = format!("target/{}", "x".repeat(256));
        for name in [
            "target/../a",
            "/target/a",
            "target//a",
            "target/./a",
            "elsewhere/a",
            "target/layers/a.json",
            "target/pieces/a",
            "target/longshore-zig/a",
            "zig/a.tar",
            "zig/0.15.2-6795ca872fe1.tar/x",
            "zig/../0.15.2-6795ca872fe1.tar",
            "manifest.json",
            "target",
            "zig",
            long.as_str(),
        ] {
            assert!(
                contents().file(name, 1, 0o644).unwrap_err().contains("leads outside"),
                "{name}"
            );
        }
    }

    #[test]
    fn names_occur_once_and_links_are_not_followed() {
        let mut all = contents();
        all.file("target/d/a", 1, 0o644).unwrap();
        all.directory("target/d").unwrap();
        all.symlink("target/d/l", "../d/a").unwrap();
        for (result, reason) in [
            (all.clone().directory("target/d"), "twice"),
            (all.clone().file("target/d/a", 1, 0o644), "twice"),
            (all.clone().file("target/d", 1, 0o644), "twice"),
            (all.clone().hard_link("target/d/l", "target/d/a"), "twice"),
            (all.clone().file("target/d/l/x", 1, 0o644), "not a directory"),
            (all.clone().file("target/d/a/x", 1, 0o644), "not a directory"),
            (all.clone().hard_link("target/x", "target/d/l"), "not a regular file"),
            (all.clone().hard_link("target/x", "target/d"), "not a regular file"),
            (all.clone().hard_link("target/x", "/etc/passwd"), "not a regular file"),
            (all.clone().file("target/x", 1, 0o4755), "mode 4755"),
            (all.clone().file("target/x", 100, 0o755), "more than the 100 bytes"),
            (all.clone().file("target/x", u64::MAX, 0o755), "more than the 100 bytes"),
            (all.finish(), "its header says 9 with 100"),
        ] {
            assert!(result.as_ref().unwrap_err().contains(reason), "{reason}: {result:?}");
        }
        let mut few = Contents::new(1, 9, is_cached);
        few.directory("target/a").unwrap();
        assert!(few.directory("target/b").unwrap_err().contains("more than the 1 entries"));
    }

    #[test]
    fn links_lead_to_their_own_tree() {
        for (name, to) in [
            ("target/a", "b"),
            ("target/d/a", "../b"),
            ("target/d/e/a", "../../b/c"),
            ("target/d/a", ".."),
        ] {
            assert!(stays_inside(name, to), "{name} -> {to}");
        }
        for (name, to) in [
            ("target/a", "/etc"),
            ("target/a", "../a"),
            ("target/d/a", "../../b"),
            ("target/d/a", "x/../../b"),
            ("target/d/a", "x/.."),
            ("target/a", "."),
            ("target/a", "b//c"),
            ("target/a", "b/"),
            ("target/a", ""),
        ] {
            assert!(!stays_inside(name, to), "{name} -> {to}");
        }
    }

    #[test]
    fn a_header_cannot_declare_a_bomb() {
        assert!(is_plausible(1 << 20, 1000, 200 << 20));
        assert!(is_plausible(100, 10, 60 << 20));
        assert!(!is_plausible(1 << 20, 1000, 1500 << 20));
        assert!(!is_plausible(1 << 30, 1 << 22, 1 << 30));
    }
}
