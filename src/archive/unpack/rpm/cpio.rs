//! The payload of RPM packages: cpio archives in the forms `newc` and `crc` (cpio(5)).

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
};

use super::{
    super::{ArchiveEntry, EntryKind, HashingReader, MAX_PATH, Member, escaped},
    files::{Files, ListedFile, plain},
};
use crate::{
    archive::rpm::{CPIO_HEADER, CPIO_TRAILER},
    model::error::{Error, Result},
};

type Visitor<'a> = &'a mut dyn FnMut(Member, &ArchiveEntry, &mut dyn Read) -> Result<()>;

/// The header of an entry.
struct CpioHeader {
    inode: (u32, u32, u32),
    links: u32,
    size: u64,
    path: String,
}

/// Calls `each` with every file of the payload.
pub(super) fn read(mut stream: impl Read, files: &Files, each: Visitor<'_>) -> Result<()> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    // Names of a file that has several: only the last one of them has the content.
    let mut waiting: BTreeMap<(u32, u32, u32), Vec<String>> = BTreeMap::new();
    while let Some(header) = read_header(&mut stream)? {
        let path = plain(&header.path).to_owned();
        let shown = path.escape_debug();
        let listed = files.get(&path).ok_or_else(|| {
            Error::check(format!(
                "`{shown}` is in the payload, and not in the header of the `.rpm`"
            ))
        })?;
        if !seen.insert(path.clone()) {
            return Err(Error::check(format!("`{shown}` is in the payload twice")));
        }
        let entry = listed.entry(&path);
        let is_file = entry.kind == EntryKind::File;
        if is_file && header.links > 1 && header.size == 0 && listed.size > 0 {
            waiting.entry(header.inode).or_default().push(path);
            continue;
        }
        let expected = match &entry.kind {
            EntryKind::File | EntryKind::Link(_) => listed.size,
            _ => 0,
        };
        if header.size != expected {
            return Err(Error::check(format!(
                "`{shown}` has {} bytes in the payload, expected {expected} by the header",
                header.size
            )));
        }
        let mut content = HashingReader::new((&mut stream).take(header.size));
        match &entry.kind {
            EntryKind::Link(target) => check_link(&path, target, &mut content)?,
            _ => each(Member::Data, &entry, &mut content)?,
        }
        finish_content(&path, listed, content, is_file, header.size)?;
        skip(&mut stream, padding(header.size))?;
        if let EntryKind::Link(_) = entry.kind {
            each(Member::Data, &entry, &mut io::empty())?;
        }
        for name in waiting.remove(&header.inode).unwrap_or_default() {
            let Some(listed) = files.get(&name) else { continue };
            let mut entry = listed.entry(&name);
            entry.kind = EntryKind::HardLink(path.clone());
            each(Member::Data, &entry, &mut io::empty())?;
        }
    }
    if let Some(name) = waiting.values().flatten().next() {
        let name = name.escape_debug();
        return Err(Error::check(format!("`{name}` has no content in the payload")));
    }
    match files.packed().find(|path| !seen.contains(*path)) {
        Some(path) => Err(Error::check(format!("`{}` is not in the payload", path.escape_debug()))),
        None => Ok(()),
    }
}

/// Reads the rest of the content, and compares it with the header.
fn finish_content(
    path: &str,
    listed: &ListedFile,
    content: HashingReader<impl Read>,
    is_file: bool,
    size: u64,
) -> Result<()> {
    let path = path.escape_debug();
    let broken = |error: io::Error| Error::check(format!("`{path}` cannot be read")).because(error);
    let (digest, read) = content.finish().map_err(broken)?;
    if read != size {
        return Err(Error::check(format!("the payload of the `.rpm` ends in `{path}`")));
    }
    match &listed.sha256 {
        Some(expected) if is_file && *expected != digest.hex() => Err(Error::check(format!(
            "`{path}` is corrupt: expected sha256:{}, got {digest}",
            expected.escape_debug()
        ))),
        _ => Ok(()),
    }
}

/// Checks that a link leads to where the header says.
fn check_link(path: &str, target: &str, content: &mut dyn Read) -> Result<()> {
    let mut found = Vec::new();
    let read = content.take(MAX_PATH as u64).read_to_end(&mut found);
    read.map_err(|error| Error::check("the payload cannot be read").because(error))?;
    if String::from_utf8_lossy(&found) != target {
        let (path, target) = (path.escape_debug(), target.escape_debug());
        return Err(Error::check(format!(
            "the link `{path}` leads to `{}` in the payload, expected `{target}` by the header",
            escaped(&found).escape_debug()
        )));
    }
    Ok(())
}

/// Reads the header of an entry; `None` for the last one.
fn read_header(mut stream: impl Read) -> Result<Option<CpioHeader>> {
    let broken = |error: io::Error| Error::check("the payload is cut off").because(error);
    let mut bytes = [0; CPIO_HEADER];
    stream.read_exact(&mut bytes).map_err(broken)?;
    if !matches!(bytes.get(..6), Some(b"070701" | b"070702")) {
        let magic = bytes.get(..6).unwrap_or_default();
        return Err(Error::check(format!(
            "an entry of the payload begins with `{}`, expected `070701`",
            escaped(magic).escape_debug()
        )));
    }
    let field = |number: usize| -> Result<u32> {
        let start = 6 + number * 8;
        let text = bytes.get(start..start + 8).and_then(|text| std::str::from_utf8(text).ok());
        // `from_str_radix` accepts a sign.
        let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| Error::check("a header in the payload has an invalid number"))
    };
    let length = field(11)? as usize;
    if !(2..=MAX_PATH + 2).contains(&length) {
        return Err(Error::check(format!("a path in the payload has {length} bytes")));
    }
    let mut name = vec![0; length];
    stream.read_exact(&mut name).map_err(broken)?;
    skip(&mut stream, padding((CPIO_HEADER + length) as u64))?;
    // rpm reads it up to the first zero byte, other tools up to its length.
    if memchr::memchr(0, &name) != Some(length - 1) {
        return Err(Error::check("a path in the payload has a zero byte"));
    }
    name.pop();
    if name == CPIO_TRAILER.as_bytes() {
        return Ok(None);
    }
    let path = String::from_utf8(name).map_err(|error| {
        let path = escaped(error.as_bytes());
        Error::check(format!("the path `{}` in the payload is not UTF-8", path.escape_debug()))
    })?;
    let header = CpioHeader {
        inode: (field(0)?, field(7)?, field(8)?),
        links: field(4)?,
        size: field(6)?.into(),
        path,
    };
    Ok(Some(header))
}

fn padding(size: u64) -> u64 {
    size.next_multiple_of(4) - size
}

fn skip(stream: impl Read, count: u64) -> Result<()> {
    let skipped = io::copy(&mut stream.take(count), &mut io::sink())
        .map_err(|error| Error::check("the payload cannot be read").because(error))?;
    if skipped != count {
        return Err(Error::check("the payload is cut off"));
    }
    Ok(())
}
