//! A deterministic writer of tar archives: POSIX ustar (IEEE 1003.1-1988), with a pax extended
//! header (IEEE 1003.1-2001) only for a name that ustar cannot hold. The bytes are a function of
//! what is written and nothing else, and equal those that BuildKit makes for a layer.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
};

use crate::model::error::{Error, Result};

const BLOCK: usize = 512;
/// The number of bytes that are read at once.
const BUFFER: usize = 128 << 10;
/// The minimum size of a file that becomes a separate chunk in a compressed archive, so that it is
/// compressed once for all archives that contain it.
const MIN_CHUNK: u64 = 256 << 10;
/// The name field's width, and that of its prefix.
const NAME_WIDTH: usize = 100;
const PREFIX_WIDTH: usize = 155;

/// The size of the largest file that an archive holds: eleven octal digits, 8 GiB less a byte.
pub const MAX_FILE_SIZE: u64 = 0o77_777_777_777;

/// The properties of an entry beside its name and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits, such as `0o755`; bits above `0o7777` are rejected.
    pub mode: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u64,
}

/// Writes entries, in the order given, to `W`.
///
/// Paths are relative, with `/` between their parts and no `.` or `..`; a path may be written once.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    paths: BTreeSet<String>,
}

impl<W: Write> Writer<W> {
    /// Begins an archive.
    pub fn new(out: W) -> Self {
        Writer { out, paths: BTreeSet::new() }
    }

    /// Adds a directory. `path` has no trailing slash.
    ///
    /// # Errors
    /// The path or a number does not fit the format, the path is there already, or `W` failed.
    pub fn directory(&mut self, path: &str, meta: Meta) -> Result<()> {
        self.add_path(path)?;
        self.write_header(&Name::new(&format!("{path}/")), meta, 0, b'5')
    }

    /// Adds a regular file of `size` bytes, read from `content`.
    ///
    /// # Errors
    /// As [`Writer::directory`]; and `content` failed, or held fewer or more bytes than `size`.
    pub fn file(
        &mut self,
        path: &str,
        meta: Meta,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<()> {
        self.add_path(path)?;
        self.write_header(&Name::new(path), meta, size, b'0')?;
        let failed = |e| Error::build(format!("failed to archive `{path}`")).because(e);
        let own_piece = size >= MIN_CHUNK;
        if own_piece {
            self.out.flush().map_err(failed)?;
        }
        let mut content = std::io::BufReader::with_capacity(BUFFER, content);
        let copied =
            std::io::copy(&mut (&mut content).take(size), &mut self.out).map_err(failed)?;
        let mut beyond = [0];
        let more = match content.read(&mut beyond) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => 0,
            read => read.map_err(failed)?,
        };
        if copied != size || more != 0 {
            return Err(Error::build(format!(
                "`{path}` changed while it was archived: it should have {size} bytes"
            )));
        }
        if own_piece {
            self.out.flush().map_err(failed)?;
        }
        self.write_padding(size)
    }

    /// Adds a regular file.
    ///
    /// # Errors
    /// As [`Writer::directory`].
    pub fn bytes(&mut self, path: &str, meta: Meta, content: &[u8]) -> Result<()> {
        self.add_path(path)?;
        self.write_header(&Name::new(path), meta, content.len() as u64, b'0')?;
        self.write(content)?;
        self.write_padding(content.len() as u64)
    }

    /// Adds a symbolic link to `target`.
    ///
    /// # Errors
    /// As [`Writer::directory`].
    pub fn symlink(&mut self, path: &str, meta: Meta, target: &str) -> Result<()> {
        self.add_path(path)?;
        self.write_header(&Name { prefix: "", path, target }, meta, 0, b'2')
    }

    /// Adds another name for the file that was written as `first`.
    ///
    /// # Errors
    /// As [`Writer::directory`].
    pub fn hard_link(&mut self, path: &str, meta: Meta, first: &str) -> Result<()> {
        self.add_path(path)?;
        self.write_header(&Name { prefix: "", path, target: first }, meta, 0, b'1')
    }

    /// Ends the archive with its two zero blocks and returns `W`. It is not padded to a record of
    /// 20 blocks.
    ///
    /// # Errors
    /// `W` failed.
    pub fn finish(mut self) -> Result<W> {
        self.write(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    fn add_path(&mut self, path: &str) -> Result<()> {
        let is_invalid = |part: &str| part.is_empty() || part == "." || part == "..";
        if path.split('/').any(is_invalid) || path.contains('\0') {
            return Err(Error::build(format!(
                "`{path}` cannot be archived: it is not a plain relative path"
            )));
        }
        if !self.paths.insert(path.to_owned()) {
            return Err(Error::build(format!("`{path}` is archived twice")));
        }
        Ok(())
    }

    fn write_header(&mut self, name: &Name<'_>, meta: Meta, size: u64, kind: u8) -> Result<()> {
        let field = |what: &str, value: u64, digits: usize| {
            octal(value, digits).ok_or_else(|| {
                Error::build(format!(
                    "`{}` cannot be archived: its {what}, {value}, does not fit a tar header",
                    name.path
                ))
            })
        };
        if meta.mode > 0o7777 {
            return Err(Error::build(format!(
                "`{}` cannot be archived: {:o} are not permission bits",
                name.path, meta.mode
            )));
        }
        let fields = Fields {
            mode: field("mode", meta.mode.into(), 7)?,
            uid: field("owner", meta.uid.into(), 7)?,
            gid: field("group", meta.gid.into(), 7)?,
            size: field("size", size, 11)?,
            mtime: field("time", meta.mtime, 11)?,
            device: b"0000000",
        };
        // BuildKit's writer (Go's archive/tar) splits a name that is too long where it can, and else
        // gives it, or one that is not ASCII, a pax record. The short name that old readers see is
        // what is left of it.
        if let (true, Some((prefix, path))) = (fits(name.target), split_name(name.path)) {
            return self.write(&header_block(&Name { prefix, path, ..*name }, kind, &fields));
        }
        let records: String = [("linkpath", name.target), ("path", name.path)]
            .into_iter()
            .filter(|(_, text)| !fits(text))
            .map(|(key, text)| pax_record(key, text))
            .collect();
        if !records.is_empty() {
            self.write_pax_header(name.path, &records)?;
        }
        self.write(&header_block(name, kind, &fields))
    }

    /// Writes an extended header with the values that do not fit the next header.
    fn write_pax_header(&mut self, name: &str, records: &str) -> Result<()> {
        // As Go makes it: a directory's own name is before what marks the header, a file's after it.
        let (directory, file) = name.split_at(name.rfind('/').map_or(0, |at| at + 1));
        let size = records.len() as u64;
        let fields = Fields {
            mode: b"0000000".to_vec(),
            uid: b"0000000".to_vec(),
            gid: b"0000000".to_vec(),
            size: octal(size, 11).unwrap_or_default(),
            mtime: b"00000000000".to_vec(),
            device: b"",
        };
        let name = short_name(&format!("{directory}PaxHeaders.0/{file}"));
        self.write(&header_block(&Name::new(name.trim_end_matches('/')), b'x', &fields))?;
        self.write(records.as_bytes())?;
        self.write_padding(size)
    }

    fn write_padding(&mut self, size: u64) -> Result<()> {
        let over = (size % BLOCK as u64) as usize;
        match over {
            0 => Ok(()),
            _ => self.write(&[0; BLOCK][over..]),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|e| Error::build("failed to write an archive").because(e))
    }
}

/// The digits of a header's numbers; the rest of each field is zero, which also ends it.
struct Fields {
    mode: Vec<u8>,
    uid: Vec<u8>,
    gid: Vec<u8>,
    size: Vec<u8>,
    mtime: Vec<u8>,
    device: &'static [u8],
}

/// The name of an entry, and the target of a link.
struct Name<'a> {
    /// The part before `path` and a slash.
    prefix: &'a str,
    path: &'a str,
    target: &'a str,
}

impl<'a> Name<'a> {
    fn new(path: &'a str) -> Self {
        Name { prefix: "", path, target: "" }
    }
}

fn header_block(name: &Name<'_>, kind: u8, fields: &Fields) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, short_name(name.path).as_bytes());
    put(157, short_name(name.target).as_bytes());
    put(100, &fields.mode);
    put(108, &fields.uid);
    put(116, &fields.gid);
    put(124, &fields.size);
    put(136, &fields.mtime);
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(345, name.prefix.as_bytes());
    put(329, fields.device);
    put(337, fields.device);
    // The checksum counts its own field as spaces.
    put(148, b"        ");
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    if let Some(digits) = octal(sum, 6) {
        block[148..154].copy_from_slice(&digits);
        block[154] = 0;
    }
    block
}

fn octal(value: u64, digits: usize) -> Option<Vec<u8>> {
    let text = format!("{value:0digits$o}");
    (text.len() == digits).then(|| text.into_bytes())
}

/// Returns whether the text fits a field for names.
fn fits(text: &str) -> bool {
    text.len() <= NAME_WIDTH && text.is_ascii()
}

/// Splits a name that is too long into ustar's two parts, the first as long as possible.
fn split_name(name: &str) -> Option<(&str, &str)> {
    if name.len() <= NAME_WIDTH || !name.is_ascii() {
        return None;
    }
    let end = (PREFIX_WIDTH + 1).min(name.trim_end_matches('/').len());
    let at = name.get(..end)?.rfind('/').filter(|&at| at > 0)?;
    let (prefix, path) = (name.get(..at)?, name.get(at + 1..)?);
    (path.len() <= NAME_WIDTH && !path.is_empty()).then_some((prefix, path))
}

/// Returns a name that fits the name field: the ASCII characters of a long name, truncated, without
/// a slash at the end, which would make a file a directory.
fn short_name(name: &str) -> String {
    let mut short: String = name.chars().filter(char::is_ascii).collect();
    if short.len() > NAME_WIDTH {
        short.truncate(NAME_WIDTH);
        short.truncate(short.trim_end_matches('/').len());
    }
    short
}

/// Formats `LENGTH KEY=VALUE\n`, where the length includes its own digits.
fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: Meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: 1_700_000_000 };

    fn archive(fill: impl FnOnce(&mut Writer<Vec<u8>>) -> Result<()>) -> Result<Vec<u8>> {
        let mut writer = Writer::new(Vec::new());
        fill(&mut writer)?;
        writer.finish()
    }

    #[test]
    fn header_fields() {
        let tar = archive(|tar| {
            tar.directory("usr", META)?;
            tar.bytes("usr/a", META, b"hello")
        })
        .unwrap();
        assert_eq!(tar.len(), 512 + 1024 + 1024);
        assert_eq!(&tar[..5], b"usr/\0");
        assert_eq!(&tar[100..108], b"0000755\0");
        assert_eq!(&tar[124..136], b"00000000000\0");
        assert_eq!(&tar[136..148], b"14524770400\0");
        assert_eq!(tar[156], b'5');
        assert_eq!(&tar[257..265], b"ustar\x0000");
        assert_eq!(&tar[329..345], b"0000000\x000000000\0");
        let file = &tar[512..];
        assert_eq!(&file[124..136], b"00000000005\0");
        assert_eq!(&file[512..518], b"hello\0");
        assert!(tar[tar.len() - 1024..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn checksum_is_the_sum_of_the_header() {
        let tar = archive(|tar| tar.directory("usr", META)).unwrap();
        let stored = u64::from_str_radix(std::str::from_utf8(&tar[148..154]).unwrap(), 8).unwrap();
        assert_eq!(&tar[154..156], b"\0 ");
        let sum: u64 = tar[..512].iter().map(|&b| u64::from(b)).sum();
        let own: u64 = tar[148..156].iter().map(|&b| u64::from(b)).sum();
        assert_eq!(stored, sum - own + 8 * u64::from(b' '));
    }

    #[test]
    fn readers_and_slices_give_the_same() {
        let one = archive(|tar| tar.bytes("a", META, b"hello")).unwrap();
        let two = archive(|tar| tar.file("a", META, 5, &mut &b"hello"[..])).unwrap();
        assert_eq!(one, two);
        for wrong in [4, 6] {
            let error = archive(|tar| tar.file("a", META, wrong, &mut &b"hello"[..])).unwrap_err();
            assert!(error.to_string().contains("changed while"), "{error}");
        }
    }

    #[test]
    fn invalid_paths_are_rejected() {
        for path in ["", "/a", "a/", "a//b", "./a", "a/../b", "a\0"] {
            assert!(archive(|tar| tar.bytes(path, META, b"")).is_err(), "{path:?}");
        }
        let twice = archive(|tar| {
            tar.bytes("a", META, b"")?;
            tar.directory("a", META)
        });
        assert_eq!(twice.unwrap_err().to_string(), "`a` is archived twice");
        let late = Meta { mtime: 1 << 40, ..META };
        assert!(archive(|tar| tar.bytes("a", late, b"")).is_err());
        let typed = Meta { mode: 0o100_755, ..META };
        assert!(archive(|tar| tar.bytes("a", typed, b"")).is_err());
    }

    #[test]
    fn a_pax_record_counts_itself() {
        assert_eq!(pax_record("path", "abc"), "12 path=abc\n");
        // 98 bytes and two digits are 100, which takes a third digit.
        let record = pax_record("path", &"x".repeat(91));
        assert_eq!(record.len(), 101);
        assert!(record.starts_with("101 path="));
    }

    #[test]
    fn long_names_have_a_short_one_too() {
        let name = format!("{}/{}", "d".repeat(99), "f".repeat(101));
        let tar = archive(|tar| tar.bytes(&name, META, b"x")).unwrap();
        assert_eq!(tar[156], b'x');
        assert_eq!(tar[1024 + 156], b'0');
        assert_eq!(&tar[1024..1124], &[b"d".repeat(99), vec![0]].concat()[..]);
        // Where two fields hold it, that is all there is.
        let name = format!("{}/{}/", "d".repeat(99), "f".repeat(80));
        let tar = archive(|tar| tar.directory(name.trim_end_matches('/'), META)).unwrap();
        assert_eq!(tar[156], b'5');
        assert_eq!(&tar[..82], &[b"f".repeat(80), b"/\0".to_vec()].concat()[..]);
        assert_eq!(&tar[345..445], &[b"d".repeat(99), vec![0]].concat()[..]);
    }
}
