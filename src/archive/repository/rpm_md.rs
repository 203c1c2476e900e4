//! Indexes of rpm-md, which dnf and zypper read, as createrepo_c writes them
//! (<https://github.com/openSUSE/libzypp/tree/master/zypp/parser/yum/schema>).

use std::fmt::Write as _;

use super::ListedFile;
use crate::{
    archive::{
        rpm::{Header, is_name, is_release, tag},
        unpack::RpmHeaders,
    },
    model::{
        collect::SortStable as _,
        digest::Digest,
        error::{Error, Result},
    },
};

const COMMON: &str = "http://linux.duke.edu/metadata/common";
const RPM: &str = "http://linux.duke.edu/metadata/rpm";

/// A package of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpmFile {
    headers: RpmHeaders,
    /// Its name.
    pub name: String,
    /// Its version and release.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Its file.
    pub file: ListedFile,
}

impl RpmFile {
    /// Creates the entry of a package with these headers: its file has that digest and that size.
    ///
    /// # Errors
    /// It has no name, version, release or architecture, or one that is invalid.
    pub fn new(headers: RpmHeaders, sha256: Digest, size: u64) -> Result<Self> {
        let text = |tag| headers.header.text(tag).unwrap_or_default().to_owned();
        let (name, architecture) = (text(tag::NAME), text(tag::ARCHITECTURE));
        let (version, release) = (text(tag::VERSION), text(tag::RELEASE));
        for (what, text, valid) in [
            ("name", &name, is_name(&name)),
            ("version", &version, is_release(&version)),
            ("release", &release, is_release(&release)),
            ("architecture", &architecture, is_release(&architecture)),
        ] {
            if !valid {
                let text = text.escape_debug();
                return Err(Error::check(format!("`{text}` is not a valid {what} of an `.rpm`")));
            }
        }
        let version = format!("{version}-{release}");
        let path = format!("packages/{name}-{version}.{architecture}.rpm");
        let file = ListedFile { path, size, sha256 };
        Ok(RpmFile { headers, name, version, architecture, file })
    }

    /// Returns the digest of the header, which covers the payload and all files.
    pub fn header_digest(&self) -> Digest {
        self.headers.digest
    }
}

/// The three lists of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Names, versions, dependencies, and the most important files.
    pub primary: String,
    /// All files.
    pub filelists: String,
    /// Changes.
    pub other: String,
}

/// Returns the lists of these packages, sorted by their paths.
pub fn lists(files: &[RpmFile]) -> Lists {
    let mut files: Vec<&RpmFile> = files.iter().collect();
    files.sort_stable_by(|one, other| one.file.path.cmp(&other.file.path));
    let open = |name: &str, more: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{name} {more}packages=\"{}\">\n",
            files.len()
        )
    };
    let mut lists = Lists {
        primary: open("metadata", &format!("xmlns=\"{COMMON}\" xmlns:rpm=\"{RPM}\" ")),
        filelists: open("filelists", "xmlns=\"http://linux.duke.edu/metadata/filelists\" "),
        other: open("otherdata", "xmlns=\"http://linux.duke.edu/metadata/other\" "),
    };
    for package in files {
        write_primary(package, &mut lists.primary);
        let header = &package.headers.header;
        let begin = format!(
            "<package pkgid=\"{}\" name=\"{}\" arch=\"{}\">\n  {}\n",
            package.file.sha256.hex(),
            escaped(&package.name),
            escaped(&package.architecture),
            version_element(header),
        );
        lists.filelists.push_str(&begin);
        for (path, kind) in paths(header) {
            write_file(&path, kind, &mut lists.filelists);
        }
        lists.filelists.push_str("</package>\n");
        lists.other.push_str(&begin);
        let times = header.numbers(tag::CHANGE_TIMES);
        let changes = header.texts(tag::CHANGE_NAMES).iter().zip(header.texts(tag::CHANGE_TEXTS));
        for ((author, text), time) in changes.zip(times) {
            let _ = writeln!(
                lists.other,
                "  <changelog author=\"{}\" date=\"{time}\">{}</changelog>",
                escaped(author),
                escaped(text)
            );
        }
        lists.other.push_str("</package>\n");
    }
    lists.primary.push_str("</metadata>\n");
    lists.filelists.push_str("</filelists>\n");
    lists.other.push_str("</otherdata>\n");
    lists
}

fn version_element(header: &Header) -> String {
    let epoch = header.number(tag::EPOCH).unwrap_or_default();
    let text = |tag| escaped(header.text(tag).unwrap_or_default());
    let (version, release) = (text(tag::VERSION), text(tag::RELEASE));
    format!("<version epoch=\"{epoch}\" ver=\"{version}\" rel=\"{release}\"/>")
}

fn write_primary(package: &RpmFile, text: &mut String) {
    let RpmFile { headers, file, .. } = package;
    let header = &headers.header;
    let field = |tag| escaped(header.text(tag).unwrap_or_default());
    let time = header.number(tag::BUILD_TIME).unwrap_or_default();
    let installed = header.number(tag::LONG_SIZE).or(header.number(tag::SIZE)).unwrap_or_default();
    let unpacked = headers.signature.number(tag::SIGNATURE_PAYLOAD_SIZE).unwrap_or_default();
    let _ = write!(
        text,
        "<package type=\"rpm\">\n  <name>{}</name>\n  <arch>{}</arch>\n  {}\n  <checksum \
         type=\"sha256\" pkgid=\"YES\">{}</checksum>\n  <summary>{}</summary>\n  \
         <description>{}</description>\n  <packager>{}</packager>\n  <url>{}</url>\n  <time \
         file=\"{time}\" build=\"{time}\"/>\n  <size package=\"{}\" installed=\"{installed}\" \
         archive=\"{unpacked}\"/>\n  <location href=\"{}\"/>\n  <format>\n    \
         <rpm:license>{}</rpm:license>\n    <rpm:vendor>{}</rpm:vendor>\n    \
         <rpm:group>{}</rpm:group>\n    <rpm:buildhost>{}</rpm:buildhost>\n    \
         <rpm:sourcerpm>{}</rpm:sourcerpm>\n    <rpm:header-range start=\"{}\" end=\"{}\"/>\n",
        escaped(&package.name),
        escaped(&package.architecture),
        version_element(header),
        file.sha256.hex(),
        field(tag::SUMMARY),
        field(tag::DESCRIPTION),
        field(tag::PACKAGER),
        field(tag::URL),
        file.size,
        escaped(&file.path),
        field(tag::LICENSE),
        field(tag::VENDOR),
        field(tag::GROUP),
        field(tag::BUILD_HOST),
        field(tag::SOURCE_RPM),
        headers.start,
        headers.end,
    );
    for (name, tags) in [
        ("provides", [tag::PROVIDE_NAMES, tag::PROVIDE_VERSIONS, tag::PROVIDE_FLAGS]),
        ("requires", [tag::REQUIRE_NAMES, tag::REQUIRE_VERSIONS, tag::REQUIRE_FLAGS]),
        ("conflicts", [tag::CONFLICT_NAMES, tag::CONFLICT_VERSIONS, tag::CONFLICT_FLAGS]),
        ("obsoletes", [tag::OBSOLETE_NAMES, tag::OBSOLETE_VERSIONS, tag::OBSOLETE_FLAGS]),
        ("recommends", [tag::RECOMMEND_NAMES, tag::RECOMMEND_VERSIONS, tag::RECOMMEND_FLAGS]),
    ] {
        write_relations(header, name, tags, text);
    }
    // The files that a dependency may name.
    for (path, kind) in paths(header) {
        let is_listed = path.starts_with("/etc/")
            || path == "/usr/lib/sendmail"
            || path.split('/').rev().skip(1).any(|part| part == "bin" || part == "sbin");
        if is_listed {
            text.push_str("  ");
            write_file(&path, kind, text);
        }
    }
    text.push_str("  </format>\n</package>\n");
}

fn write_relations(header: &Header, name: &str, tags: [u32; 3], text: &mut String) {
    let [names, versions, flags] = tags;
    let versions = header.texts(versions);
    let flags = header.numbers(flags);
    let mut lines = String::new();
    for (at, relation) in header.texts(names).iter().enumerate() {
        // Features of rpm itself, which no package provides.
        if relation.starts_with("rpmlib(") {
            continue;
        }
        let flags = flags.get(at).copied().unwrap_or_default() as u32;
        let comparison = flags & (tag::LESS | tag::GREATER | tag::EQUAL);
        let comparison = match comparison {
            tag::LESS => " flags=\"LT\"",
            tag::GREATER => " flags=\"GT\"",
            tag::EQUAL => " flags=\"EQ\"",
            both if both == tag::LESS | tag::EQUAL => " flags=\"LE\"",
            both if both == tag::GREATER | tag::EQUAL => " flags=\"GE\"",
            _ => "",
        };
        let _ = write!(lines, "      <rpm:entry name=\"{}\"{comparison}", escaped(relation));
        let version = versions.get(at).map(String::as_str).unwrap_or_default();
        if !comparison.is_empty() && !version.is_empty() {
            let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
            let (version, release) = match rest.rsplit_once('-') {
                Some((version, release)) => (version, Some(release)),
                None => (rest, None),
            };
            let (epoch, version) = (escaped(epoch), escaped(version));
            let _ = write!(lines, " epoch=\"{epoch}\" ver=\"{version}\"");
            if let Some(release) = release {
                let _ = write!(lines, " rel=\"{}\"", escaped(release));
            }
        }
        lines.push_str("/>\n");
    }
    if !lines.is_empty() {
        let _ = write!(text, "    <rpm:{name}>\n{lines}    </rpm:{name}>\n");
    }
}

fn write_file(path: &str, kind: &str, text: &mut String) {
    let _ = match kind {
        "" => writeln!(text, "  <file>{}</file>", escaped(path)),
        kind => writeln!(text, "  <file type=\"{kind}\">{}</file>", escaped(path)),
    };
}

/// Returns the paths of a package, and the kind of each: `dir`, `ghost`, or nothing for a file.
fn paths(header: &Header) -> Vec<(String, &'static str)> {
    let directories = header.texts(tag::DIRECTORY_NAMES);
    let indexes = header.numbers(tag::DIRECTORY_INDEXES);
    let modes = header.numbers(tag::FILE_MODES);
    let flags = header.numbers(tag::FILE_FLAGS);
    let names = header.texts(tag::BASE_NAMES).iter().zip(indexes).enumerate();
    let path = |(at, (name, index)): (usize, (&String, u64))| {
        let directory = directories.get(usize::try_from(index).ok()?)?;
        let number = |numbers: &[u64]| numbers.get(at).copied().unwrap_or_default();
        let kind = match () {
            () if number(&modes) & 0o170_000 == 0o040_000 => "dir",
            () if number(&flags) as u32 & tag::FILE_GHOST != 0 => "ghost",
            () => "",
        };
        Some((format!("{directory}{name}"), kind))
    };
    names.filter_map(path).collect()
}

/// A compressed list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedList {
    /// `primary`, `filelists` or `other`.
    pub kind: &'static str,
    /// Its file.
    pub packed: ListedFile,
    /// The same, unpacked.
    pub open: ListedFile,
}

/// Returns `repomd.xml`, which lists the compressed lists. `revision` is in seconds since 1970.
pub fn repomd<'a>(revision: u64, lists: impl Iterator<Item = &'a PackedList>) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd \
         xmlns=\"http://linux.duke.edu/metadata/repo\" xmlns:rpm=\"{RPM}\">\n  \
         <revision>{revision}</revision>\n"
    );
    for PackedList { kind, packed, open } in lists {
        let _ = write!(
            text,
            "  <data type=\"{kind}\">\n    <checksum type=\"sha256\">{}</checksum>\n    \
             <open-checksum type=\"sha256\">{}</open-checksum>\n    <location href=\"{}\"/>\n    \
             <timestamp>{revision}</timestamp>\n    <size>{}</size>\n    \
             <open-size>{}</open-size>\n  </data>\n",
            packed.sha256.hex(),
            open.sha256.hex(),
            escaped(&packed.path),
            packed.size,
            open.size,
        );
    }
    text.push_str("</repomd>\n");
    text
}

/// Reads the revision of a `repomd.xml`, and the files that it lists with their types.
///
/// # Errors
/// It is not one.
pub fn listed_lists(text: &str) -> Result<(u64, Vec<(String, ListedFile)>)> {
    let invalid = || Error::check("it is not a `repomd.xml` with SHA-256");
    let revision = between(text, "<revision>", "</revision>").ok_or_else(invalid)?;
    let revision = revision.trim().parse().map_err(|_| invalid())?;
    let mut lists = Vec::new();
    for data in text.split("<data ").skip(1) {
        let kind = between(data, "type=\"", "\"").ok_or_else(invalid)?;
        let size = between(data, "<size>", "</size>").ok_or_else(invalid)?;
        let file = listed(data, "<checksum type=\"sha256\">", size).ok_or_else(invalid)?;
        file.check_path()?;
        lists.push((kind.to_owned(), file));
    }
    Ok((revision, lists))
}

/// Reads the packages that a primary list lists.
///
/// # Errors
/// It is not a list, or a path leads out of the repository.
pub fn listed_packages(text: &str) -> Result<Vec<ListedFile>> {
    let invalid = || Error::check("it is not a primary list with SHA-256");
    if !text.contains("<metadata ") || !text.trim_end().ends_with("</metadata>") {
        return Err(invalid());
    }
    let mut files = Vec::new();
    for package in text.split("<package ").skip(1) {
        let size = between(package, "<size package=\"", "\"").ok_or_else(invalid)?;
        let begin = "<checksum type=\"sha256\" pkgid=\"YES\">";
        let file = listed(package, begin, size).ok_or_else(invalid)?;
        file.check_path()?;
        files.push(file);
    }
    Ok(files)
}

fn listed(text: &str, checksum: &str, size: &str) -> Option<ListedFile> {
    let hex = between(text, checksum, "</checksum>")?;
    let path = between(text, "<location href=\"", "\"")?;
    // Paths of packages and lists have none.
    if path.contains('&') {
        return None;
    }
    Some(ListedFile {
        path: path.to_owned(),
        size: size.parse().ok()?,
        sha256: format!("sha256:{}", hex.trim()).parse().ok()?,
    })
}

fn between<'t>(text: &'t str, begin: &str, end: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(found, _)| found)
}

/// Escapes a text of XML. Characters that XML 1.0 forbids are left out (section 2.2).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::rpm::Value;

    fn package(name: &str) -> Result<RpmFile> {
        let mut header = Header::default();
        header.set_text(tag::NAME, name);
        header.set_text(tag::VERSION, "1.0~rc.1");
        header.set_text(tag::RELEASE, "1");
        header.set_text(tag::ARCHITECTURE, "x86_64");
        header.set_text(tag::SUMMARY, "a <b> & \"c\"\u{1b}");
        let texts = |texts: &[&str]| Value::Texts(texts.iter().map(|&text| text.into()).collect());
        header.set(tag::REQUIRE_NAMES, texts(&["rpmlib(X)", "git"]));
        header.set(tag::REQUIRE_VERSIONS, texts(&["1", "2:1.0-1"]));
        header.set(tag::REQUIRE_FLAGS, Value::Int32(vec![10, 12]));
        header.set(tag::DIRECTORY_NAMES, texts(&["/usr/bin/", "/usr/share/"]));
        header.set(tag::DIRECTORY_INDEXES, Value::Int32(vec![0, 1]));
        header.set(tag::BASE_NAMES, texts(&["x", "y"]));
        let digest = Digest::sha256(name.as_bytes());
        let signature = Header::default();
        RpmFile::new(RpmHeaders { signature, header, digest, start: 1, end: 2 }, digest, 7)
    }

    #[test]
    fn lists_are_read_as_they_were_written() {
        let files = [package("b").unwrap(), package("a").unwrap()];
        let lists = lists(&files);
        let read = listed_packages(&lists.primary).unwrap();
        assert_eq!(read, [files[1].file.clone(), files[0].file.clone()]);
        assert_eq!(read[0].path, "packages/a-1.0~rc.1-1.x86_64.rpm");
        assert!(lists.primary.contains("<summary>a &lt;b&gt; &amp; &quot;c&quot;</summary>"));
        let git = "<rpm:entry name=\"git\" flags=\"GE\" epoch=\"2\" ver=\"1.0\" rel=\"1\"/>";
        assert!(lists.primary.contains(git) && !lists.primary.contains("rpmlib"));
        assert!(lists.primary.contains("<file>/usr/bin/x</file>"));
        assert!(!lists.primary.contains("/usr/share/y"));
        assert!(lists.filelists.contains("<file>/usr/share/y</file>"));
    }

    #[test]
    fn repomd_is_read_as_it_was_written() {
        let file = ListedFile::new("repodata/x-primary.xml.gz", b"x");
        let open = ListedFile::new("", b"xx");
        let list = PackedList { kind: "primary", packed: file.clone(), open };
        let text = repomd(17, [&list].into_iter());
        assert_eq!(listed_lists(&text).unwrap(), (17, vec![("primary".to_owned(), file)]));
        for (from, to) in
            [("href=\"repodata", "href=\".."), ("<revision>17", "<revision>x"), ("sha256", "md5")]
        {
            assert!(listed_lists(&text.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn names_that_are_not_parts_of_a_path_are_rejected() {
        for name in ["", "../x", "a/b", "a b", "\"><x"] {
            assert!(package(name).is_err(), "{name}");
        }
    }
}
