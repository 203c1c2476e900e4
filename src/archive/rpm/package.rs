//! The writer of packages.

use std::io::{self, Seek, SeekFrom, Write};

use super::{
    LEAD, LEAD_MAGIC,
    cpio::{self, PackedEntry},
    header::{Header, Value},
    name::{Relation, relation, wrapped},
    tag,
};
use crate::{
    archive::{
        compress::{ChunkCache, Framing, Gzip},
        deb::compressed,
        tar::Meta,
        tree::{Content, FileStore, Node, Tree, TreeEntry},
    },
    model::{
        collect::SortStable as _,
        digest::{Digest, Hasher},
        error::{Error, Result},
        machine::RpmArchitecture,
        schema::plan::Rpm,
    },
};

/// Directories that a distribution's packages own (Fedora's package `filesystem`). A package owns its other
/// directories.
const SHARED_DIRECTORIES: [&str; 19] = [
    "/etc",
    "/etc/default",
    "/etc/profile.d",
    "/etc/sysconfig",
    "/opt",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib/systemd",
    "/usr/lib/systemd/system",
    "/usr/lib/systemd/user",
    "/usr/libexec",
    "/usr/sbin",
    "/usr/share",
    "/usr/share/applications",
    "/usr/share/doc",
    "/usr/share/licenses",
    "/var",
    "/var/lib",
];
/// The same, with all directories below them.
const SHARED_TREES: [&str; 5] = [
    "/usr/share/bash-completion",
    "/usr/share/fish",
    "/usr/share/icons",
    "/usr/share/man",
    "/usr/share/zsh",
];

/// The contents of a package.
#[derive(Debug)]
pub struct Package<'a> {
    /// The fields of its header.
    pub rpm: &'a Rpm,
    /// Seconds since 1970 that stand for every time in it.
    pub epoch: u64,
    /// The programs, by name.
    pub binaries: Vec<(&'a str, Content)>,
    /// Completions and manual pages: their paths below `/usr`, and their contents.
    pub companions: Vec<(&'a str, Vec<u8>)>,
    /// Licence files, by their names.
    pub licenses: Vec<(&'a str, Content)>,
    /// README and changelog, by their names.
    pub docs: Vec<(&'a str, Content)>,
    /// Further files, by their paths, and whether they are executable.
    pub files: Vec<(&'a str, Content, bool)>,
}

/// The digests and sizes that are known once the payload is written. They have the same length before.
#[derive(Debug)]
struct Totals {
    files: Vec<Option<Digest>>,
    /// Digest and size of the payload.
    payload: (Digest, u64),
    /// The same, unpacked.
    plain: (Digest, u64),
}

type Entries<'t> = Vec<PackedEntry<'t>>;

impl Package<'_> {
    /// Returns the tree of installed files.
    ///
    /// # Errors
    /// Two files for one path.
    pub fn installed_tree(&self) -> Result<Tree> {
        let meta = |mode| Meta { mode, uid: 0, gid: 0, mtime: self.epoch };
        let mut tree = Tree::default();
        let mut put = |path: &str, content: Content, executable: bool| {
            let parts: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
            if tree.get(&parts).is_some() {
                return Err(Error::usage(format!("two files of the `.rpm` are `{path}`"))
                    .hint("change a path in `rpm.files`"));
            }
            let mode = if executable { 0o755 } else { 0o644 };
            tree.add_file(path, meta(0o755), meta(mode), content)
        };
        let name = &self.rpm.name;
        for (program, content) in &self.binaries {
            put(&format!("/usr/bin/{program}"), content.clone(), true)?;
        }
        for (path, bytes) in &self.companions {
            if path.contains("/man/") {
                // `brp-compress` of rpm does the same.
                put(&format!("/usr/{path}.gz"), compressed(bytes)?, false)?;
            } else {
                put(&format!("/usr/{path}"), Content::bytes(&bytes[..]), false)?;
            }
        }
        for (file, content) in &self.licenses {
            put(&format!("/usr/share/licenses/{name}/{file}"), content.clone(), false)?;
        }
        for (file, content) in &self.docs {
            put(&format!("/usr/share/doc/{name}/{file}"), content.clone(), false)?;
        }
        for (path, content, executable) in &self.files {
            put(&format!("/{}", path.trim_start_matches('/')), content.clone(), *executable)?;
        }
        Ok(tree)
    }

    /// Writes the package with the tree `data` to `out`, and returns `out`.
    ///
    /// # Errors
    /// A file cannot be read, changed meanwhile, or does not fit; or `out` failed.
    pub fn write<W: Write + Seek>(
        &self,
        data: &Tree,
        files: &dyn FileStore,
        chunks: &dyn ChunkCache,
        mut out: W,
    ) -> Result<W> {
        let entries = entries(data);
        let zero = (Digest::sha256(b""), 0);
        let mut totals =
            Totals { files: vec![Some(zero.0); entries.len()], payload: zero, plain: zero };
        let start = out.stream_position().map_err(failed)?;
        // Digests have one length, so the payload is where it will be.
        let length = self.before_payload(&entries, &totals)?.len();
        out.write_all(&vec![0; length]).map_err(failed)?;
        let gzip = Gzip::new(Hashing::new(out), Framing::Member, chunks);
        let mut plain = Hashing::new(gzip);
        totals.files = cpio::write(&entries, files, &mut plain)?;
        totals.plain = plain.hasher.finish();
        let packed = plain.inner.finish().map_err(failed)?.0;
        totals.payload = packed.hasher.finish();
        let mut out = packed.inner;
        let end = out.stream_position().map_err(failed)?;
        let bytes = self.before_payload(&entries, &totals)?;
        if bytes.len() != length {
            return Err(Error::build("the header of an `.rpm` changed its length"));
        }
        out.seek(SeekFrom::Start(start))
            .and_then(|_| out.write_all(&bytes))
            .and_then(|()| out.seek(SeekFrom::Start(end)))
            .map_err(failed)?;
        Ok(out)
    }

    /// Returns everything before the payload: lead, signature and header.
    fn before_payload(&self, entries: &Entries<'_>, totals: &Totals) -> Result<Vec<u8>> {
        let header = self.header(entries, totals)?.encode(tag::IMMUTABLE)?;
        let mut signature = Header::default();
        signature.set_text(tag::SIGNATURE_SHA256, Digest::sha256(&header).hex());
        let size = size_u32(header.len() as u64 + totals.payload.1)?;
        signature.set_number(tag::SIGNATURE_SIZE, size);
        signature.set_number(tag::SIGNATURE_PAYLOAD_SIZE, size_u32(totals.plain.1)?);
        let mut bytes = self.lead();
        bytes.extend(signature.encode(tag::SIGNATURES)?);
        // The header begins at a multiple of eight.
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(header);
        Ok(bytes)
    }

    /// Returns the lead, which rpm ignores except for its magic, and file(1) reads.
    fn lead(&self) -> Vec<u8> {
        let known = RpmArchitecture::from_name(&self.rpm.architecture);
        let number = known.map_or(1, |known| known.number);
        let mut lead = LEAD_MAGIC.to_vec();
        // Version 3.0, a binary package.
        lead.extend([3, 0, 0, 0]);
        lead.extend(number.to_be_bytes());
        let Rpm { name, version, release, .. } = self.rpm;
        let name = format!("{name}-{version}-{release}");
        let mut field: Vec<u8> = name.into_bytes();
        field.resize(65, 0);
        field.push(0);
        lead.extend(field);
        // Linux, and a signature in the form of a header.
        lead.extend([0, 1, 0, 5]);
        lead.resize(LEAD, 0);
        lead
    }

    fn header(&self, entries: &Entries<'_>, totals: &Totals) -> Result<Header> {
        let rpm = self.rpm;
        let mut header = Header::default();
        let translated = |text: &str| Value::Translated(vec![text.to_owned()]);
        header.set(tag::LANGUAGES, texts(["C"]));
        header.set_text(tag::NAME, &rpm.name);
        header.set_text(tag::VERSION, &rpm.version);
        header.set_text(tag::RELEASE, &rpm.release);
        header.set(tag::SUMMARY, translated(&rpm.summary));
        header.set(tag::DESCRIPTION, translated(&wrapped(&rpm.description)));
        header.set(tag::GROUP, translated(&rpm.group));
        let time = time_u32(self.epoch)?;
        header.set_number(tag::BUILD_TIME, time);
        header.set_text(tag::BUILD_HOST, "reproducible");
        header.set_text(tag::LICENSE, &rpm.license);
        for (tag, text) in [(tag::PACKAGER, &rpm.packager), (tag::URL, &rpm.url)] {
            if let Some(text) = text {
                header.set_text(tag, text);
            }
        }
        header.set_text(tag::OS, "linux");
        header.set_text(tag::ARCHITECTURE, &rpm.architecture);
        header.set_text(tag::ENCODING, "utf-8");
        // A package without it is a source package.
        let source = format!("{}-{}-{}.src.rpm", rpm.name, rpm.version, rpm.release);
        header.set_text(tag::SOURCE_RPM, source);
        if let Some(packager) = &rpm.packager {
            header.set(tag::CHANGE_TIMES, Value::Int32(vec![time]));
            let name = format!("{packager} - {}-{}", rpm.version, rpm.release);
            header.set(tag::CHANGE_NAMES, texts([name]));
            header.set(tag::CHANGE_TEXTS, texts([format!("- Release {}", rpm.version)]));
        }
        header.set_text(tag::PAYLOAD_FORMAT, "cpio");
        header.set_text(tag::PAYLOAD_COMPRESSOR, "gzip");
        header.set_text(tag::PAYLOAD_FLAGS, "6");
        header.set(tag::PAYLOAD_DIGEST, texts([totals.payload.0.hex()]));
        header.set_number(tag::PAYLOAD_DIGEST_ALGORITHM, tag::SHA256);
        header.set(tag::PAYLOAD_PLAIN_DIGEST, texts([totals.plain.0.hex()]));
        self.add_relations(&mut header)?;
        add_files(&mut header, entries, &totals.files)?;
        Ok(header)
    }

    fn add_relations(&self, header: &mut Header) -> Result<()> {
        let rpm = self.rpm;
        let own = |name: String| Relation {
            name,
            flags: tag::EQUAL,
            version: format!("{}-{}", rpm.version, rpm.release),
        };
        let mut provides = vec![own(rpm.name.clone())];
        let known = RpmArchitecture::from_name(&rpm.architecture);
        provides.extend(known.map(|known| own(format!("{}({})", rpm.name, known.isa))));
        // The features that rpm must have to install it (`lib/rpmds.c`, "rpmlibProvides").
        let mut requires = vec![
            ("CompressedFileNames", "3.0.4-1"),
            ("FileDigests", "4.6.0-1"),
            ("PayloadFilesHavePrefix", "4.0-1"),
        ];
        if rpm.version.contains('~') || rpm.release.contains('~') {
            requires.push(("TildeInVersions", "4.10.0-1"));
        }
        if rpm.version.contains('^') || rpm.release.contains('^') {
            requires.push(("CaretInVersions", "4.15.0-1"));
        }
        let feature = |(name, version): (&str, &str)| Relation {
            name: format!("rpmlib({name})"),
            flags: tag::RPMLIB | tag::LESS | tag::EQUAL,
            version: version.to_owned(),
        };
        let mut requires: Vec<Relation> = requires.into_iter().map(feature).collect();
        let planned = |kind: &str| -> Result<Vec<Relation>> {
            let texts = rpm.relations.get(kind).map(Vec::as_slice).unwrap_or_default();
            let invalid = |text: &String| {
                Error::usage(format!("`{text}` of `rpm.{kind}` is not `NAME` or `NAME >= VERSION`"))
            };
            texts.iter().map(|text| relation(text).ok_or_else(|| invalid(text))).collect()
        };
        requires.extend(planned("requires")?);
        for (relations, [names, versions, flags]) in [
            (provides, [tag::PROVIDE_NAMES, tag::PROVIDE_VERSIONS, tag::PROVIDE_FLAGS]),
            (requires, [tag::REQUIRE_NAMES, tag::REQUIRE_VERSIONS, tag::REQUIRE_FLAGS]),
            (
                planned("conflicts")?,
                [tag::CONFLICT_NAMES, tag::CONFLICT_VERSIONS, tag::CONFLICT_FLAGS],
            ),
            (
                planned("obsoletes")?,
                [tag::OBSOLETE_NAMES, tag::OBSOLETE_VERSIONS, tag::OBSOLETE_FLAGS],
            ),
            (
                planned("recommends")?,
                [tag::RECOMMEND_NAMES, tag::RECOMMEND_VERSIONS, tag::RECOMMEND_FLAGS],
            ),
        ] {
            if relations.is_empty() {
                continue;
            }
            header.set(flags, Value::Int32(relations.iter().map(|item| item.flags).collect()));
            header.set(names, texts(relations.iter().map(|item| item.name.as_str())));
            header.set(versions, texts(relations.iter().map(|item| item.version.as_str())));
        }
        Ok(())
    }
}

/// Adds the properties of files: one value of each tag for each file.
fn add_files(header: &mut Header, entries: &Entries<'_>, digests: &[Option<Digest>]) -> Result<()> {
    let mut directories: Vec<String> = Vec::new();
    let (mut indexes, mut names, mut sizes, mut modes) = (vec![], vec![], vec![], vec![]);
    let (mut mtimes, mut flags, mut total) = (vec![], vec![], 0_u64);
    for PackedEntry { path, mode, entry } in entries {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = format!("{directory}/");
        let index = directories.iter().position(|known| *known == directory);
        indexes.push(index.unwrap_or(directories.len()) as u32);
        if index.is_none() {
            directories.push(directory);
        }
        names.push(name);
        let size = match &entry.node {
            Node::File(content) => content.size,
            // The size of a directory depends on the file system.
            _ => 0,
        };
        total += size;
        sizes.push(size_u32(size)?);
        modes.push(*mode as u16);
        mtimes.push(time_u32(entry.meta.mtime)?);
        flags.push(file_flags(path, entry));
    }
    let hex = |digest: &Option<Digest>| digest.map(|digest| digest.hex()).unwrap_or_default();
    // Directories have none, and the length must not depend on whether the digests are known.
    let digests: Vec<String> = entries
        .iter()
        .zip(digests)
        .map(|(packed, digest)| match packed.entry.node {
            Node::File(_) => hex(digest),
            _ => String::new(),
        })
        .collect();
    let count = entries.len();
    let numbers = |number: u32| Value::Int32(vec![number; count]);
    header.set_number(tag::SIZE, size_u32(total)?);
    if count == 0 {
        return Ok(());
    }
    header.set(tag::FILE_SIZES, Value::Int32(sizes));
    header.set(tag::FILE_MODES, Value::Int16(modes));
    header.set(tag::FILE_RDEVS, Value::Int16(vec![0; count]));
    header.set(tag::FILE_MTIMES, Value::Int32(mtimes));
    header.set(tag::FILE_DIGESTS, texts(digests));
    header.set_number(tag::FILE_DIGEST_ALGORITHM, tag::SHA256);
    header.set(tag::FILE_LINK_TARGETS, texts(vec![""; count]));
    header.set(tag::FILE_FLAGS, Value::Int32(flags));
    header.set(tag::FILE_USERS, texts(vec!["root"; count]));
    header.set(tag::FILE_GROUPS, texts(vec!["root"; count]));
    header.set(tag::FILE_VERIFY_FLAGS, numbers(u32::MAX));
    header.set(tag::FILE_DEVICES, numbers(1));
    header.set(tag::FILE_INODES, Value::Int32((1..=count as u32).collect()));
    header.set(tag::FILE_LANGUAGES, texts(vec![""; count]));
    header.set(tag::DIRECTORY_INDEXES, Value::Int32(indexes));
    header.set(tag::BASE_NAMES, texts(names));
    header.set(tag::DIRECTORY_NAMES, texts(directories));
    Ok(())
}

/// Returns the entries of the package by their paths, in the order of their bytes, as rpm searches them.
fn entries(tree: &Tree) -> Entries<'_> {
    let mut entries: Entries<'_> = Vec::new();
    for (parts, entry) in tree.iter() {
        let path = format!("/{}", parts.join("/"));
        let kind = match entry.node {
            Node::Directory if is_shared(&path) => continue,
            Node::Directory => 0o040_000,
            Node::File(_) => 0o100_000,
            Node::Symlink(_) => continue,
        };
        entries.push(PackedEntry { path, mode: kind | entry.meta.mode, entry });
    }
    entries.sort_stable_by(|one, other| one.path.cmp(&other.path));
    entries
}

fn is_shared(path: &str) -> bool {
    let is_in = |tree: &&str| {
        path.strip_prefix(*tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    SHARED_DIRECTORIES.contains(&path) || SHARED_TREES.iter().any(is_in)
}

fn file_flags(path: &str, entry: &TreeEntry) -> u32 {
    let is_file = matches!(entry.node, Node::File(_));
    let below = |directories: &[&str]| directories.iter().any(|dir| path.starts_with(dir));
    if !is_file {
        0
    } else if below(&["/usr/share/licenses/"]) {
        tag::FILE_LICENSE
    } else if below(&["/usr/share/doc/", "/usr/share/man/"]) {
        tag::FILE_DOC
    } else if below(&["/etc/"]) {
        tag::FILE_CONFIG | tag::FILE_NO_REPLACE
    } else {
        0
    }
}

fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Value {
    Value::Texts(texts.into_iter().map(Into::into).collect())
}

fn size_u32(size: u64) -> Result<u32> {
    u32::try_from(size).map_err(|_| {
        Error::build(format!("an `.rpm` has {size} bytes"))
            .hint("it has room for 4294967295, unpacked and packed")
    })
}

fn time_u32(epoch: u64) -> Result<u32> {
    u32::try_from(epoch).map_err(|_| {
        Error::usage(format!("{epoch} s after 1970 do not fit into an `.rpm`"))
            .hint("set `SOURCE_DATE_EPOCH` to a time before the year 2106")
    })
}

fn failed(error: io::Error) -> Error {
    Error::build("cannot write an `.rpm`").because(error)
}

/// A writer that hashes and counts what is written.
struct Hashing<W> {
    inner: W,
    hasher: Hasher,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Hashing { inner, hasher: Hasher::default() }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
