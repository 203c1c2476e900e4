//! Archives and images that nobody wrote: what we accept is what others unpack.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use longshore::{
    archive::unpack::{self, EntryKind},
    image::{
        contents::{self, MemoryLimit},
        read::image,
    },
    model::{digest::Digest, schema::image::FileKind},
};
use serde_json::Value;

use crate::{
    inspect::{on_disk, umoci_files},
    support::{
        peer,
        random::random,
        tarball::{END, Entry, GNU, USTAR, V7, long, pax},
    },
    verify_cli::directory,
    verify_image::Layout,
};

/// The numbers of archives and of images; the latter of the two numbers with `LONGSHORE_SLOW_TESTS=1`.
const ARCHIVES: [usize; 2] = [400, 10_000];
const IMAGES: [usize; 2] = [60, 2_000];

/// One entry, as a reader finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PeerEntry {
    path: String,
    kind: char,
    target: String,
    sha256: Option<String>,
}

struct Random<R>(R);

impl<R: FnMut() -> usize> Random<R> {
    fn below(&mut self, limit: usize) -> usize {
        (self.0)() % limit
    }

    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    fn name(&mut self) -> Vec<u8> {
        let names: [&[u8]; 12] = [
            b"a",
            b"b",
            b"bin/x",
            b"bin/y",
            b"./c",
            b"d//e",
            b"/f",
            b"g\xfe",
            "\u{e9}".as_bytes(),
            b"a/b",
            b"bin",
            b"long-name-of-a-file",
        ];
        self.pick(&names).to_vec()
    }

    fn content(&mut self) -> Vec<u8> {
        let len = *self.pick(&[&0, &1, &511, &512, &513, &1500]);
        // It may itself look like an archive.
        let inner = Entry::file("inner", "content").bytes();
        match self.below(3) {
            0 => inner.into_iter().cycle().take(len).collect(),
            _ => vec![b'x'; len],
        }
    }

    /// Returns an entry of which nothing is wrong.
    fn entry(&mut self) -> Entry {
        let name = self.name();
        match self.below(12) {
            0 | 1 => Entry::new(b'5', [&name[..], b"/"].concat()),
            2 | 3 => Entry::link(b'2', name, self.name()).mode(0o777),
            4 | 5 => Entry::link(b'1', name, self.name()),
            6 => Entry::new(*self.pick(&[&b'3', &b'4', &b'6']), name)
                .field(329, b"0000001\0")
                .field(337, b"0000003\0"),
            _ => Entry::file(name, self.content()),
        }
    }

    fn number(&mut self) -> Vec<u8> {
        let numbers: [&[u8]; 12] = [
            b"00000000001\0",
            b"          1\0",
            b"1           ",
            b"1\0\0\0\0\0\0\0\0\0\0\0",
            b"\x80\0\0\0\0\0\0\0\0\0\x02\0",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"00000001000\0",
            b"\x0000000000001",
            b"0000001\x001777",
            b"00000002000 ",
            b"\0\0\0\0\0\0\0\0\0\0\0\0",
            b"0000000001x\0",
        ];
        self.pick(&numbers).to_vec()
    }

    /// Returns headers that may precede an entry.
    fn extended(&mut self) -> Vec<u8> {
        let name = self.name();
        let size = self.below(1200).to_string();
        match self.below(13) {
            0 | 1 => pax(b'x', &[("path", &name)]),
            2 => pax(b'x', &[("linkpath", &name)]),
            3 => pax(b'x', &[("mtime", b"1.5"), ("comment", b"c")]),
            4 => pax(b'x', &[("size", size.as_bytes())]),
            5 => pax(b'x', &[("path", &name), ("path", b"twice")]),
            6 => pax(b'g', &[("path", &name)]),
            7 => pax(b'g', &[("comment", b"c")]),
            8 => pax(b'x', &[("GNU.sparse.name", &name), ("GNU.sparse.map", b"0,1")]),
            9 | 10 => long(b'L', &name),
            11 => long(b'K', &name),
            _ => pax(b'x', &[("SCHILY.xattr.user.a", b"1"), ("uid", b"7")]),
        }
    }

    /// Returns an entry with something unusual.
    fn odd(&mut self) -> Vec<u8> {
        let entry = self.entry();
        let size = 512 * self.below(4) as u64 + 300;
        match self.below(16) {
            0 => entry.size(size).bytes(),
            1 => entry.magic(GNU).size(size).bytes(),
            2 => entry.magic(V7).bytes(),
            3 => entry.magic(b"ustar   ").bytes(),
            4 => entry.magic(self.pick(&[USTAR, GNU, V7])).field(345, "prefix").bytes(),
            5 => entry.field(508, b"tar\0").field(345, [b'p'; 140]).bytes(),
            6 => entry.field(156, [*self.pick(&[&b'0', &0])]).bytes(),
            7 => entry.field(156, [self.below(256) as u8]).bytes(),
            8 => entry.field(124, self.number()).bytes(),
            9 => entry.field(100, &self.number()[..8]).bytes(),
            10 => entry.field(136, self.number()).bytes(),
            11 => Entry::file([&self.name()[..], b"/"].concat(), self.content()).bytes(),
            12 => entry.field(0, b"x\0y").bytes(),
            13 => entry.field(148, b"000001\0 ").unchecked(),
            14 => [long(b'L', &self.name()), entry.bytes()].concat(),
            _ => vec![0; 512],
        }
    }

    fn archive(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..1 + self.below(6) {
            if self.below(6) == 0 {
                bytes.extend(self.extended());
            }
            bytes.extend(match self.below(7) {
                0 => self.odd(),
                1 => self.entry().magic(GNU).bytes(),
                _ => self.entry().bytes(),
            });
        }
        match self.below(20) {
            0 => bytes.truncate(self.below(bytes.len())),
            1 => bytes.extend([&END[..], &self.entry().bytes(), &END].concat()),
            2 => {
                let at = self.below(bytes.len());
                bytes[at] ^= 1 << self.below(8);
                bytes.extend(END);
            }
            _ => bytes.extend(END),
        }
        bytes
    }
}

/// Returns a path without what readers are free to leave out.
fn normal(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

fn read_with_longshore(bytes: &[u8]) -> longshore::Result<Vec<PeerEntry>> {
    let mut found = Vec::new();
    unpack::read_tar_strictly(&mut &bytes[..], &mut |entry, content| {
        let mut text = Vec::new();
        let read = content.read_to_end(&mut text);
        read.map_err(|error| longshore::Error::check("content").because(error))?;
        let (kind, target) = match &entry.kind {
            EntryKind::File => ('f', ""),
            EntryKind::Directory => ('d', ""),
            EntryKind::Link(to) => ('l', to.as_str()),
            EntryKind::HardLink(to) => ('h', to.as_str()),
            EntryKind::Special(_) => ('s', ""),
            EntryKind::Unknown(_) => ('?', ""),
        };
        let sha256 = Some(Digest::sha256(&text).hex());
        found.push(PeerEntry { path: normal(&entry.path), kind, target: normal(target), sha256 });
        Ok(())
    })?;
    Ok(found)
}

/// Returns the entries that Python's `tarfile` finds in each archive.
fn python(python: &Path, archives: &[PathBuf]) -> Vec<Result<Vec<PeerEntry>, String>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/tar_entries.py");
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let names: Vec<_> = archives.iter().map(|path| format!("{}\n", path.display())).collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(names.concat().as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let parse = |line: &str| match serde_json::from_str(line).unwrap() {
        Value::Array(entries) => Ok(entries.iter().map(from_json).collect()),
        error => Err(error.to_string()),
    };
    String::from_utf8(output.stdout).unwrap().lines().map(parse).collect()
}

fn from_json(entry: &Value) -> PeerEntry {
    let text = |key: &str| entry[key].as_str().unwrap();
    PeerEntry {
        path: normal(text("path")),
        kind: text("kind").chars().next().unwrap(),
        target: normal(text("target")),
        sha256: Some(text("sha256").to_owned()),
    }
}

/// Octal escapes, as `bsdtar` and `tar` write them, as ours.
fn unescape(name: &str) -> String {
    name.replace("\\376", "\\xfe")
}

/// Returns the entries that `bsdtar` lists.
fn bsdtar(program: &Path, archive: &Path) -> Result<Vec<PeerEntry>, String> {
    let lines = list(program, &["-tvf"], archive)?;
    let entry = |line: &String| {
        let words: Vec<_> = line.split_whitespace().collect();
        let kind = match line.chars().next() {
            _ if line.contains(" link to ") => 'h',
            Some('-') => 'f',
            Some('p' | 'c' | 'b') => 's',
            Some(other) => other,
            None => '?',
        };
        let target = words.get(8..).filter(|rest| rest.len() > 1);
        let target = target.and_then(|rest| rest.last()).copied().unwrap_or_default();
        let (path, target) = (normal(&unescape(words[8])), normal(&unescape(target)));
        PeerEntry { path, kind, target, sha256: None }
    };
    Ok(lines.iter().map(entry).collect())
}

/// Returns the lines that a program writes about an archive.
fn list(program: &Path, args: &[&str], archive: &Path) -> Result<Vec<String>, String> {
    let mut command = Command::new(program);
    command.args(args).arg(archive).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    // bsdtar warns of pax paths that are not UTF-8.
    let warning = |line: &str| line.contains("current locale") || line.contains("delayed");
    // GNU tar complains of blank fields, and reads on.
    let blank = |line: &str| line.contains("Blanks in header") || line.contains("Removing leading");
    let warning = |line: &str| warning(line) || blank(line) || line.contains("Exiting with");
    match output.status.success() || errors.lines().all(warning) {
        true => Ok(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()),
        false => Err(errors),
    }
}

fn count(numbers: [usize; 2]) -> usize {
    if peer::slow() { numbers[1] } else { numbers[0] }
}

#[test]
fn accepted_archives_are_read_equally() {
    let (Some(python3), Some(bsd), Some(gnu)) =
        (peer::find("python3"), peer::find("bsdtar"), peer::find("tar"))
    else {
        return;
    };
    let dir = directory("tar-peers");
    let mut random = Random(random(0x5851_f42d_4c95_7f2d));
    let all = count(ARCHIVES);
    let (mut paths, mut expected) = (Vec::new(), Vec::new());
    for number in 0..all {
        let bytes = random.archive();
        if let Ok(found) = read_with_longshore(&bytes) {
            let path = dir.join(format!("{number}.tar"));
            fs::write(&path, bytes).unwrap();
            paths.push(path);
            expected.push(found);
        }
    }
    let mut different = Vec::new();
    let found = python(&python3, &paths);
    assert_eq!(found.len(), paths.len());
    for ((path, expected), found) in paths.iter().zip(&expected).zip(&found) {
        let mut differ = |reader: &str, found: String| {
            different.push(format!("{reader} {}: {expected:?}, {found}", path.display()));
        };
        if found.as_ref() != Ok(expected) {
            differ("python", format!("{found:?}"));
        }
        let plain: Vec<_> =
            expected.iter().map(|found| PeerEntry { sha256: None, ..found.clone() }).collect();
        let found = bsdtar(&bsd, path);
        if found.as_ref() != Ok(&plain) {
            differ("bsdtar", format!("{found:?}"));
        }
        let found = list(&gnu, &["--quoting-style=escape", "-tf"], path);
        let found = found.map(|lines| lines.iter().map(|line| normal(&unescape(line))).collect());
        let names: Vec<String> = expected.iter().map(|found| found.path.clone()).collect();
        if found != Ok(names) {
            differ("tar", format!("{found:?}"));
        }
    }
    eprintln!("{} of {all} archives accepted, {} read otherwise", paths.len(), different.len());
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(paths.len() > all / 4);
}

/// The directory of a layout.
struct Store<'a>(&'a Path);

impl image::Store for Store<'_> {
    fn open(&self, path: &str) -> longshore::Result<Option<Box<dyn std::io::Read + '_>>> {
        let file = fs::File::open(self.0.join(path)).ok();
        Ok(file.map(|file| Box::new(file) as Box<dyn std::io::Read>))
    }
}

impl<R: FnMut() -> usize> Random<R> {
    fn path(&mut self) -> String {
        let parts = ["a", "b", "c", "d"];
        let depth = [1, 1, 2, 2, 2, 3][self.below(6)];
        let parts: Vec<_> = (0..depth).map(|_| self.pick(&parts)).collect();
        parts.join("/")
    }

    fn layer(&mut self) -> Vec<u8> {
        let targets = ["a", "b", "../b", "/c", "b/c", "../../d", "."];
        let mut bytes = Vec::new();
        let mut files = vec![];
        for _ in 0..1 + self.below(6) {
            let path = self.path();
            let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let above = if above.is_empty() { String::new() } else { format!("{above}/") };
            let entry = match self.below(14) {
                0..3 => Entry::new(b'5', format!("{path}/")).mode(0o700),
                3..5 => Entry::link(b'2', &path, self.pick(&targets)).mode(0o777),
                5 | 6 if !files.is_empty() => {
                    Entry::link(b'1', &path, &files[self.below(files.len())])
                }
                5 => Entry::link(b'1', &path, self.path()),
                7 | 8 => Entry::file(format!("{above}.wh.{name}"), ""),
                9 => Entry::file(format!("{path}/.wh..wh..opq"), ""),
                _ => {
                    files.push(path.clone());
                    Entry::file(&path, path.repeat(1 + self.below(3)))
                }
            };
            bytes.extend(entry.bytes());
        }
        bytes.extend(END);
        bytes
    }
}

#[test]
fn accepted_images_match_umoci() {
    let (Some(umoci), Some(())) = (peer::find("umoci"), peer::root()) else { return };
    let mut random = Random(random(0x2545_f491_4f6c_dd1d));
    let all = count(IMAGES);
    let (mut accepted, mut different) = (0, Vec::new());
    for number in 0..all {
        let mut layout = Layout::new("tar-umoci");
        for _ in 0..1 + random.below(4) {
            match random.below(5) {
                0 if number % 8 == 0 => layout.tar_layer(&random.archive()),
                _ => layout.tar_layer(&random.layer()),
            };
        }
        layout.write();
        let store = Store(&layout.dir);
        let found = image::read_images(&store).unwrap();
        let Ok(image) = contents::read(&store, &found.images[0], &mut MemoryLimit::default())
        else {
            continue;
        };
        accepted += 1;
        let mut files = image.files;
        // A hard link may be one to a symbolic link.
        let kinds: BTreeMap<_, _> =
            files.iter().map(|file| (file.path.clone(), file.kind)).collect();
        for file in &mut files {
            if file.kind == FileKind::HardLink {
                file.kind = kinds[file.target.as_ref().unwrap()];
            }
        }
        let files = umoci_files(&serde_json::to_value(&files).unwrap());
        let out = layout.dir.with_file_name("out");
        let mut command = Command::new(&umoci);
        command.args(["unpack", "--image", &format!("{}:1", layout.dir.display())]).arg(&out);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            // umoci does not know global pax headers, which Docker ignores.
            if !errors.contains("unknown typeflag '\\x67'") {
                different.push(format!("{number}: {errors}"));
            }
            continue;
        }
        let unpacked = on_disk(&out.join("rootfs"));
        let differs = |(path, _): &(&String, &_)| files.get(*path) != unpacked.get(*path);
        let paths: Vec<_> = files.iter().chain(&unpacked).filter(differs).collect();
        if !paths.is_empty() {
            different.push(format!("{number}: {paths:?}\n{:?}", image.layers));
        }
    }
    eprintln!("{accepted} of {all} images accepted, {} unpacked otherwise", different.len());
    assert!(different.is_empty(), "{}", different.join("\n\n"));
    assert!(accepted > all / 4);
}
