//! Detecting damaged files in longshore's own cache directory. A power loss or a full disk can leave
//! files that are there and empty, truncated or zeroed. Each cached file or directory has a seal beside
//! it, written after its data reached the disk: size, digest and stamp of each file. Files that do not
//! match their seal are fetched or compiled again.
#![allow(clippy::disallowed_methods, reason = "like `sys::fs`, this module accesses files")]

use std::{fmt::Write as _, fs::File, io::Write as _, os::unix::fs::MetadataExt};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::error::Result,
    sys::{
        fs, parallel,
        tree::{self, EntryKind},
    },
};

/// The first line of every seal, with the number of its format.
const FIRST_LINE: &str = "longshore seal 1";

/// The last line, so that a truncated seal is noticed.
const LAST_LINE: &str = "end";

/// The extent of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The metadata of each file; the content where it differs.
    Stamps,
    /// The content of each file.
    Content,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealState {
    /// Every file is as it was sealed.
    Sound,
    /// There is no seal, or it is damaged itself.
    Unsealed,
    /// A file is not as it was sealed, which this sentence describes.
    Damaged(String),
}

/// One line of a seal.
struct SealLine<'a> {
    size: u64,
    /// Seconds, nanoseconds and inode: cheap to compare.
    stamp: &'a str,
    sha256: &'a str,
    /// Relative to the sealed directory; empty for a sealed file.
    path: &'a str,
}

impl SealLine<'_> {
    /// Returns the path of the file in the sealed file or directory at `path`.
    fn file(&self, path: &Utf8Path) -> Utf8PathBuf {
        if self.path.is_empty() { path.to_owned() } else { path.join(self.path) }
    }
}

fn seal_of(path: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{path}.seal"))
}

/// Writes the file or directory at `path` to the disk, then its seal.
///
/// # Errors
/// Something cannot be read, or the seal cannot be written.
pub fn seal(path: &Utf8Path) -> Result<()> {
    sync(path)?;
    let mut text = format!("{FIRST_LINE}\n");
    for (name, file) in files(path)? {
        let (sha256, size) = fs::digest(&file)?;
        // Writing to a string does not fail.
        let _ = writeln!(text, "{size} {} {} {name}", stamp(&file), sha256.hex());
    }
    text.push_str(LAST_LINE);
    text.push('\n');
    write(&seal_of(path), &text)
}

/// Removes the file or directory at `path` with its seal, which goes first.
///
/// # Errors
/// It is there and cannot be removed.
pub fn remove(path: &Utf8Path) -> Result<()> {
    fs::remove_file(&seal_of(path))?;
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Returns whether the file or directory at `path` is as it was sealed. Files that came later are
/// ignored.
pub fn check(path: &Utf8Path, depth: Depth) -> SealState {
    let text = fs::read(&seal_of(path)).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(lines) = text.as_deref().and_then(parse) else { return SealState::Unsealed };
    // Of many files, the metadata is read by several threads.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8);
    let chunk = lines.len().div_ceil(threads).max(256);
    let chunks: Vec<_> = lines.chunks(chunk).collect();
    let compared =
        parallel::map_on(threads, chunks.len(), |index| compare(path, chunks[index], depth));
    let moved = match compared.into_iter().collect::<Result<Vec<bool>, String>>() {
        Ok(moved) => moved,
        Err(why) => return SealState::Damaged(why),
    };
    if moved.contains(&true) {
        // Copied, or restored from a backup: the next check is cheap again. Without it, that check
        // reads the files again.
        let again = lines.iter().map(|line| {
            let stamp = stamp(&line.file(path));
            format!("{} {stamp} {} {}\n", line.size, line.sha256, line.path)
        });
        let _ = write(
            &seal_of(path),
            &format!("{FIRST_LINE}\n{}{LAST_LINE}\n", again.collect::<String>()),
        );
    }
    SealState::Sound
}

/// Compares files with their lines in the seal of `path`. Whether one has another stamp and the same
/// content; the error describes one that is damaged.
fn compare(path: &Utf8Path, lines: &[SealLine<'_>], depth: Depth) -> Result<bool, String> {
    let mut moved = false;
    for line in lines {
        let file = line.file(path);
        let meta = file.metadata().ok().filter(std::fs::Metadata::is_file);
        let meta = meta.ok_or_else(|| format!("`{file}` is missing"))?;
        if meta.len() != line.size {
            let (size, expected) = (meta.len(), line.size);
            return Err(format!("`{file}` has {size} bytes instead of {expected}"));
        }
        let same = stamp_of(&meta) == line.stamp;
        if same && depth == Depth::Stamps {
            continue;
        }
        moved |= !same;
        let found = fs::digest(&file).map_err(|error| error.to_string())?.0.hex();
        if found != line.sha256 {
            let expected = line.sha256;
            return Err(format!(
                "`{file}` has the digest sha256:{found} instead of sha256:{expected}"
            ));
        }
    }
    Ok(moved)
}

fn parse(text: &str) -> Option<Vec<SealLine<'_>>> {
    let body = text.strip_prefix(FIRST_LINE)?.strip_prefix('\n')?;
    let body = body.strip_suffix('\n')?.strip_suffix(LAST_LINE)?;
    body.lines()
        .map(|line| {
            let mut words = line.splitn(4, ' ');
            let size = words.next()?.parse().ok()?;
            let (stamp, sha256, path) = (words.next()?, words.next()?, words.next()?);
            Some(SealLine { size, stamp, sha256, path })
        })
        .collect()
}

/// Returns the regular files at or below `path`, with their names relative to it.
fn files(path: &Utf8Path) -> Result<Vec<(String, Utf8PathBuf)>> {
    if !path.is_dir() {
        return Ok(vec![(String::new(), path.to_owned())]);
    }
    let caches = |path: &Utf8Path| path.file_name() == Some("__pycache__");
    let all = tree::walk(path, caches)?.into_iter();
    let regular = all.filter(|entry| matches!(entry.kind, EntryKind::File(_)));
    Ok(regular.map(|entry| (entry.path.to_string(), path.join(entry.path))).collect())
}

/// Returns the properties that change when the file is written or replaced, but not when it gets a
/// second name.
fn stamp(file: &Utf8Path) -> String {
    file.metadata().map_or_else(|_| String::new(), |meta| stamp_of(&meta))
}

fn stamp_of(meta: &std::fs::Metadata) -> String {
    format!("{}.{}.{}", meta.mtime(), meta.mtime_nsec(), meta.ino())
}

/// Waits until what was written to `path` is on the disk.
fn sync(path: &Utf8Path) -> Result<()> {
    let failed = |error| fs::file_error("write", path, error);
    #[cfg(target_os = "linux")]
    if path.is_dir() {
        // One call for all of its thousands of files.
        let directory = File::open(path).map_err(failed)?;
        return rustix::fs::syncfs(&directory).map_err(|error| failed(error.into()));
    }
    for (_, file) in files(path)? {
        File::open(&file).and_then(|file| file.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// Writes a seal in one step, and waits until it is on the disk.
fn write(path: &Utf8Path, text: &str) -> Result<()> {
    let temporary = Utf8PathBuf::from(format!("{path}.{}.tmp", std::process::id()));
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|error| {
        // The error above is the one to report.
        let _ = fs::remove_file(&temporary);
        fs::file_error("write", path, error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(path: &Utf8Path, bytes: &[u8]) {
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn every_damaged_file_is_noticed() {
        let dir = fs::TempDir::new("longshore-seal-test").unwrap();
        let root = dir.path.join("zig");
        for (name, text) in [("zig", "program"), ("lib/std/std.zig", "std"), ("lib/empty", "")] {
            fs::write(&root.join(name), text.as_bytes()).unwrap();
        }
        assert_eq!(check(&root, Depth::Stamps), SealState::Unsealed);
        seal(&root).unwrap();
        assert_eq!(check(&root, Depth::Stamps), SealState::Sound);
        for name in ["zig", "lib/std/std.zig"] {
            let file = root.join(name);
            let text = fs::read(&file).unwrap();
            for damage in [&b""[..], &text[..2], &vec![0; text.len()]] {
                replace(&file, damage);
                let state = check(&root, Depth::Stamps);
                assert!(
                    matches!(&state, SealState::Damaged(why) if why.contains(name)),
                    "{state:?}"
                );
            }
            fs::remove_file(&file).unwrap();
            assert!(matches!(check(&root, Depth::Stamps), SealState::Damaged(_)));
            // The same content with another inode and time is sound, and sealed again.
            replace(&file, &text);
            assert_eq!(check(&root, Depth::Stamps), SealState::Sound);
        }
        let seal_file = seal_of(&root);
        let text = fs::read(&seal_file).unwrap();
        for end in [0, 5, text.len() / 2, text.len() - 1] {
            replace(&seal_file, &text[..end]);
            assert_eq!(check(&root, Depth::Stamps), SealState::Unsealed, "{end}");
        }
        replace(&seal_file, &vec![0; text.len()]);
        assert_eq!(check(&root, Depth::Stamps), SealState::Unsealed);
    }

    #[test]
    fn content_is_compared_if_stamps_differ() {
        let dir = fs::TempDir::new("longshore-seal-test").unwrap();
        let file = dir.path.join("a.o");
        fs::write(&file, b"object").unwrap();
        seal(&file).unwrap();
        let time = tree::time(&file).unwrap();
        // In place, with the time set back.
        File::options().write(true).open(&file).unwrap().write_all(&[0; 6]).unwrap();
        tree::set_time(&file, time, true).unwrap();
        assert_eq!(check(&file, Depth::Stamps), SealState::Sound);
        assert!(matches!(check(&file, Depth::Content), SealState::Damaged(_)));
        remove(&file).unwrap();
        assert_eq!(check(&file, Depth::Content), SealState::Unsealed);
    }
}
