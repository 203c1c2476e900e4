//! Wheels, which Python's installers unpack
//! (<https://packaging.python.org/en/latest/specifications/binary-distribution-format/>).

mod version;
mod zip;

use std::{
    fmt::Write as _,
    io::{Seek, Write},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

pub use self::version::version;
use crate::{
    archive::{
        compress::ChunkCache,
        tar::Meta,
        tree::{Content, FileStore, Node, Parts, Tree, TreeEntry},
    },
    model::{
        collect::SortStable as _,
        digest::Digest,
        error::{Error, Result},
        machine::Architecture,
        platform::Platform,
        schema::plan::Wheel,
    },
};

/// The largest file that PyPI accepts by default, in bytes
/// (<https://docs.pypi.org/project-management/storage-limits/>).
pub const MAX_SIZE: u64 = 100 << 20;

/// The names that PyPI reserves: the modules of Python's standard library
/// (<https://docs.python.org/3/library/sys.html#sys.stdlib_module_names>, version 3.11).
const STANDARD_LIBRARY: &str = "
    abc aifc antigravity argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect
    builtins bz2 calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys compileall concurrent
    configparser contextlib contextvars copy copyreg cprofile crypt csv ctypes curses dataclasses datetime dbm
    decimal difflib dis distutils doctest email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput
    fnmatch fractions ftplib functools gc genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq
    hmac html http idlelib imaplib imghdr imp importlib inspect io ipaddress itertools json keyword lib2to3
    linecache locale logging lzma mailbox mailcap marshal math mimetypes mmap modulefinder msilib msvcrt
    multiprocessing netrc nis nntplib nt ntpath nturl2path numbers opcode operator optparse os ossaudiodev pathlib
    pdb pickle pickletools pipes pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd
    py-compile pyclbr pydoc pydoc-data pyexpat queue quopri random re readline reprlib resource rlcompleter runpy
    sched secrets select selectors shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver spwd
    sqlite3 sre-compile sre-constants sre-parse ssl stat statistics string stringprep struct subprocess sunau
    symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios test textwrap this threading time
    timeit tkinter token tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata
    unittest urllib uu uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xdrlib xml xmlrpc zipapp
    zipfile zipimport zlib zoneinfo";

/// The words that are not names in Python
/// (<https://docs.python.org/3/reference/lexical_analysis.html#keywords>).
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Returns whether `name` is a valid name of a package
/// (<https://packaging.python.org/en/latest/specifications/name-normalization/>, "Name format").
pub fn is_name(name: &str) -> bool {
    let end = |c: char| c.is_ascii_alphanumeric();
    name.starts_with(end)
        && name.ends_with(end)
        && name.chars().all(|c| end(c) || ['-', '_', '.'].contains(&c))
}

/// Returns the form by which indexes compare names ("Name normalization" there, formerly PEP 503).
pub fn normalized_name(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// Returns whether `name` is that of a module of Python's standard library.
pub fn is_reserved(name: &str) -> bool {
    let name = normalized_name(name);
    STANDARD_LIBRARY.split_whitespace().any(|reserved| reserved == name)
}

/// Returns whether `name` can be a module of a package.
pub fn is_module_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !KEYWORDS.contains(&name)
}

/// Returns the platform tags of a static program. It needs a kernel alone, and so has the oldest tag of each C
/// library: a wheel for musl alone would not be found with glibc, and the reverse
/// (<https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/>).
/// `None` if Python has none for the platform.
pub fn platform_tags(platform: &Platform) -> Option<Vec<String>> {
    let known =
        Architecture::from_goarch(&platform.architecture).filter(|_| platform.os == "linux")?;
    let machine = known.uname(platform.variant.as_deref()).filter(|_| known.node.is_some())?;
    let mut tags = vec![format!("manylinux_2_17_{machine}")];
    tags.extend(known.manylinux2014.then(|| format!("manylinux2014_{machine}")));
    tags.push(format!("musllinux_1_1_{machine}"));
    Some(tags)
}

impl Wheel {
    /// Returns the name in file names: that of the specification's "Escaping and Unicode".
    pub fn file_stem(&self) -> String {
        format!("{}-{}", normalized_name(&self.name).replace('-', "_"), self.version)
    }

    /// Returns the file name ("File name convention").
    pub fn file_name(&self, platform: &Platform) -> String {
        let tags = platform_tags(platform).unwrap_or_default();
        format!("{}-py3-none-{}.whl", self.file_stem(), tags.join("."))
    }
}

/// A file of a wheel.
#[derive(Clone, Debug)]
pub struct WheelFile<'a> {
    /// Its name, or its path.
    pub name: &'a str,
    /// Its bytes.
    pub content: Content,
    /// Their digest.
    pub sha256: Digest,
}

/// The contents of a wheel.
#[derive(Debug)]
pub struct Package<'a> {
    /// The fields of its metadata.
    pub wheel: &'a Wheel,
    /// The platform of its programs.
    pub platform: &'a Platform,
    /// Seconds since 1970 that stand for every time in it.
    pub epoch: u64,
    /// The programs, by name.
    pub binaries: Vec<WheelFile<'a>>,
    /// The licences, by their paths in archives.
    pub licenses: Vec<WheelFile<'a>>,
    /// The long description.
    pub readme: Option<String>,
}

impl Package<'_> {
    /// Returns the tree of its files.
    ///
    /// # Errors
    /// Two files for one path.
    pub fn tree(&self) -> Result<Tree> {
        let mut files =
            PackageFiles { tree: Tree::default(), record: String::new(), package: self };
        let stem = self.wheel.file_stem();
        for binary in &self.binaries {
            files.add(&format!("{stem}.data/scripts/{}", binary.name), binary.clone(), 0o755)?;
        }
        if let Some(module) = &self.wheel.module {
            let start = format!("\"\"\"The program `{}`.\"\"\"\n", module.binary);
            files.add_text(&format!("{}/__init__.py", module.name), start)?;
            let main = include_str!("main.py").replace("{binary}", &module.binary);
            files.add_text(&format!("{}/__main__.py", module.name), main)?;
        }
        for license in &self.licenses {
            let path = format!("{stem}.dist-info/licenses/{}", license.name);
            files.add(&path, license.clone(), 0o644)?;
        }
        files.add_text(&format!("{stem}.dist-info/METADATA"), self.metadata_file())?;
        files.add_text(&format!("{stem}.dist-info/WHEEL"), self.wheel_file())?;
        let path = format!("{stem}.dist-info/RECORD");
        // "The RECORD file": it lists itself without a digest.
        let record = format!("{}{path},,\n", files.record);
        files.tree.add_file(
            &format!("/{path}"),
            self.meta(0o755),
            self.meta(0o644),
            Content::bytes(record.into_bytes()),
        )?;
        Ok(files.tree)
    }

    /// Writes the wheel with the files of `tree` to `out`, and returns `out`.
    ///
    /// # Errors
    /// A file cannot be read or changed meanwhile, it is too large, or `out` failed.
    pub fn write<W: Write + Seek>(
        &self,
        tree: &Tree,
        files: &dyn FileStore,
        chunks: &dyn ChunkCache,
        out: W,
    ) -> Result<W> {
        zip::write(ordered(tree), self.epoch, files, chunks, out)
    }

    fn meta(&self, mode: u32) -> Meta {
        Meta { mode, uid: 0, gid: 0, mtime: self.epoch }
    }

    /// Returns the file `METADATA`.
    fn metadata_file(&self) -> String {
        let wheel = self.wheel;
        // 2.4 is the first version with licences as expressions of SPDX.
        let mut text = String::from("Metadata-Version: 2.4\n");
        let mut field = |name: &str, value: &str| {
            let _ = writeln!(text, "{name}: {}", one_line(value));
        };
        field("Name", &wheel.name);
        field("Version", &wheel.version);
        field("Summary", &wheel.summary);
        let (with_mail, without): (Vec<&String>, Vec<&String>) =
            wheel.authors.iter().partition(|author| author.contains('@'));
        for (name, authors) in [("Author", without), ("Author-email", with_mail)] {
            let authors: Vec<&str> = authors.into_iter().map(String::as_str).collect();
            if !authors.is_empty() {
                field(name, &authors.join(", "));
            }
        }
        if let Some(license) = &wheel.license {
            field("License-Expression", license);
        }
        for license in &self.licenses {
            field("License-File", license.name);
        }
        if !wheel.keywords.is_empty() {
            field("Keywords", &wheel.keywords.join(","));
        }
        for classifier in &wheel.classifiers {
            field("Classifier", classifier);
        }
        for (label, url) in &wheel.urls {
            field("Project-URL", &format!("{label}, {url}"));
        }
        field("Requires-Python", &wheel.requires_python);
        let kind = match (&self.readme, wheel.readme.as_deref().map(extension)) {
            (None, _) => "text/plain",
            (_, Some("md" | "markdown")) => "text/markdown",
            (_, Some("rst")) => "text/x-rst",
            _ => "text/plain",
        };
        field("Description-Content-Type", kind);
        let description = self.readme.as_ref().unwrap_or(&wheel.summary);
        let _ = write!(text, "\n{}\n", description.trim_end());
        text
    }

    /// Returns the file `WHEEL`.
    fn wheel_file(&self) -> String {
        let mut text = format!(
            "Wheel-Version: 1.0\nGenerator: longshore {}\nRoot-Is-Purelib: false\n",
            env!("CARGO_PKG_VERSION")
        );
        for tag in platform_tags(self.platform).unwrap_or_default() {
            let _ = writeln!(text, "Tag: py3-none-{tag}");
        }
        text
    }
}

/// Returns the entries in the order of the file: metadata comes last ("Recommended archiver features").
pub fn ordered(tree: &Tree) -> Vec<(&Parts, &TreeEntry)> {
    let files = tree.iter().filter(|(_, entry)| matches!(entry.node, Node::File(_)));
    let mut all: Vec<_> = files.collect();
    all.sort_stable_by_key(|(parts, _)| {
        parts.first().is_some_and(|top| top.ends_with(".dist-info"))
    });
    all
}

/// The files of a wheel while they are collected, with the lines of `RECORD`.
struct PackageFiles<'a> {
    tree: Tree,
    record: String,
    package: &'a Package<'a>,
}

impl PackageFiles<'_> {
    fn add(&mut self, path: &str, file: WheelFile<'_>, mode: u32) -> Result<()> {
        let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        if self.tree.get(&parts).is_some() {
            return Err(Error::usage(format!("two files of the wheel are `{path}`")));
        }
        let sum = URL_SAFE_NO_PAD.encode(file.sha256.bytes());
        let _ = writeln!(self.record, "{},sha256={sum},{}", quoted(path), file.content.size);
        let package = self.package;
        self.tree.add_file(
            &format!("/{path}"),
            package.meta(0o755),
            package.meta(mode),
            file.content,
        )
    }

    fn add_text(&mut self, path: &str, text: String) -> Result<()> {
        let sha256 = Digest::sha256(text.as_bytes());
        let content = Content::bytes(text.into_bytes());
        self.add(path, WheelFile { name: path, content, sha256 }, 0o644)
    }
}

/// Returns a field of a line of `RECORD`, which is CSV in the dialect of Python's `csv` module.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Returns `text` without line breaks: a field of `METADATA` is one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::{
        archive::{compress::NoCache, unpack},
        model::source::Source,
    };

    struct NoFiles;

    impl FileStore for NoFiles {
        fn open(&self, name: &str) -> Result<Box<dyn std::io::Read + '_>> {
            Err(Error::build(name))
        }
    }

    #[test]
    fn names_are_normalized_as_indexes_do() {
        for name in ["Friendly-Bard", "friendly.bard", "FRIENDLY_bard", "friendly--.bard"] {
            assert_eq!(normalized_name(name), "friendly-bard");
        }
        for good in ["a", "a-b", "A.b_c", "0x"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "a_", "a b", "ä"] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_reserved("Json") && is_reserved("py_compile") && !is_reserved("hello"));
        assert!(is_module_name("hello_1") && !is_module_name("1a") && !is_module_name("import"));
    }

    #[test]
    fn platforms_have_a_tag_for_each_c_library() {
        let tags = |text: &str| platform_tags(&text.parse().unwrap()).map(|tags| tags.join("."));
        let amd64 = "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64";
        assert_eq!(tags("linux/amd64").as_deref(), Some(amd64));
        assert!(tags("linux/arm64").unwrap().contains("manylinux2014_aarch64"));
        assert!(tags("linux/arm/v7").unwrap().contains("musllinux_1_1_armv7l"));
        let riscv64 = "manylinux_2_17_riscv64.musllinux_1_1_riscv64";
        assert_eq!(tags("linux/riscv64").as_deref(), Some(riscv64));
        assert_eq!(tags("darwin/arm64"), None);
    }

    #[test]
    fn no_field_can_begin_another() {
        let wheel = Wheel {
            name: "hello".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "says hello\nLicense-Expression: none".to_owned(),
            authors: vec!["A\nB <a@example.org>".to_owned(), "C".to_owned()],
            license: None,
            keywords: Vec::new(),
            classifiers: Vec::new(),
            requires_python: ">=3.7".to_owned(),
            urls: std::collections::BTreeMap::new(),
            readme: None,
            module: None,
        };
        let platform = "linux/amd64".parse().unwrap();
        let program = b"#!/bin/sh\n".to_vec();
        let package = Package {
            wheel: &wheel,
            platform: &platform,
            epoch: 1_700_000_000,
            binaries: vec![WheelFile {
                name: "hello,1",
                sha256: Digest::sha256(&program),
                content: Content::bytes(program),
            }],
            licenses: Vec::new(),
            readme: None,
        };
        let text = package.metadata_file();
        let (fields, _) = text.split_once("\n\n").unwrap();
        assert!(!fields.contains("\nLicense-Expression"), "{text}");
        assert!(text.contains("\nAuthor: C\nAuthor-email: A B <a@example.org>\n"), "{text}");
        let tree = package.tree().unwrap();
        let out = package.write(&tree, &NoFiles, &NoCache, Cursor::new(Vec::new())).unwrap();
        let mut found = Vec::new();
        let bytes = out.into_inner();
        unpack::read_zip(Source::Bytes(&bytes), &mut |entry, content| {
            let mut text = String::new();
            content.read_to_string(&mut text).unwrap();
            found.push((entry.path.clone(), entry.mode, text));
            Ok(())
        })
        .unwrap();
        let names: Vec<_> = found.iter().map(|(path, mode, _)| (path.as_str(), *mode)).collect();
        let info = |name: &str| format!("hello-1.0.0.dist-info/{name}");
        assert_eq!(
            names,
            [
                ("hello-1.0.0.data/scripts/hello,1", Some(0o755)),
                (&info("METADATA"), Some(0o644)),
                (&info("RECORD"), Some(0o644)),
                (&info("WHEEL"), Some(0o644)),
            ]
        );
        let record = &found[2].2;
        assert!(record.starts_with("\"hello-1.0.0.data/scripts/hello,1\",sha256="), "{record}");
        assert!(record.ends_with("hello-1.0.0.dist-info/RECORD,,\n"), "{record}");
    }
}
