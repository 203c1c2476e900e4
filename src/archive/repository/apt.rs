//! Indexes of apt's repositories (<https://wiki.debian.org/DebianRepository/Format>).

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::Read,
    time::{Duration, UNIX_EPOCH},
};

use super::ListedFile;
use crate::{
    archive::{
        deb,
        unpack::{self, Member},
    },
    model::{
        collect::{CollectOrdered as _, SortStable as _},
        digest::Digest,
        error::{Error, Result},
    },
};

/// The maximum size of a control file.
const MAX_CONTROL: u64 = 1 << 20;
/// The last second that a date has room for, in the year 9999.
const MAX_EPOCH: u64 = 253_402_300_799;

/// The fields of a paragraph, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paragraph(Vec<(String, String)>);

impl Paragraph {
    /// Parses paragraphs, which empty lines separate (Debian's policy, 5.1).
    ///
    /// # Errors
    /// A line is neither a field nor a continuation, or a field is there twice.
    pub fn parse(text: &str) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        let mut current = Paragraph::default();
        for line in text.lines().chain([""]) {
            if line.trim().is_empty() {
                if !current.0.is_empty() {
                    all.push(std::mem::take(&mut current));
                }
                continue;
            }
            let invalid = || {
                let line: String = line.chars().take(80).collect();
                Error::check(format!("`{}` is not a field", line.escape_debug()))
            };
            if line.starts_with([' ', '\t']) {
                let (_, value) = current.0.last_mut().ok_or_else(invalid)?;
                value.push('\n');
                value.push_str(line);
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(invalid)?;
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_graphic()) {
                return Err(invalid());
            }
            if current.get(name).is_some() {
                return Err(Error::check(format!("the field `{name}` is there twice")));
            }
            current.0.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(all)
    }

    /// Returns the value of a field; capital letters make no difference in its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &str) -> Result<&str> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Error::check(format!("it has no field `{name}`")))
    }

    fn write(&self, text: &mut String) {
        for (name, value) in &self.0 {
            let space = if value.starts_with('\n') { "" } else { " " };
            let _ = writeln!(text, "{name}:{space}{value}");
        }
    }
}

/// A package of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebFile {
    control: Paragraph,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Its component of the repository.
    pub component: String,
    /// Its file.
    pub file: ListedFile,
}

impl DebFile {
    /// Reads the description of a package in `component`: its file has that digest and that size.
    ///
    /// # Errors
    /// The package is broken, or has a name, a version or an architecture that Debian forbids.
    pub fn read(archive: impl Read, component: &str, sha256: Digest, size: u64) -> Result<Self> {
        let mut control = None;
        unpack::read_deb(archive, &mut |member, entry, content| {
            if member != Member::Control || entry.path.trim_start_matches("./") != "control" {
                return Ok(());
            }
            let broken = |error| Error::check("`control` cannot be read").because(error);
            let mut bytes = Vec::new();
            content.take(MAX_CONTROL + 1).read_to_end(&mut bytes).map_err(broken)?;
            if bytes.len() as u64 > MAX_CONTROL {
                return Err(Error::check(format!("`control` has more than {MAX_CONTROL} bytes")));
            }
            let text = String::from_utf8(bytes)
                .map_err(|error| Error::check("`control` is not UTF-8").because(error))?;
            control = Some(text);
            Ok(())
        })?;
        let text = control.ok_or_else(|| Error::check("it has no `control`"))?;
        let mut paragraphs = Paragraph::parse(&text)?;
        let (Some(control), true) = (paragraphs.pop(), paragraphs.is_empty()) else {
            return Err(Error::check("`control` has not exactly one paragraph"));
        };
        let name = control.required("Package")?.to_owned();
        let version = control.required("Version")?.to_owned();
        let architecture = control.required("Architecture")?.to_owned();
        let is_plain = |text: &str, more: &str| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        // Policy, 5.6.12; the other two become parts of paths, too.
        for (what, text, valid) in [
            ("package name", &name, deb::is_name(&name)),
            ("version", &version, is_plain(&version, ".+-~:")),
            ("architecture", &architecture, is_plain(&architecture, "-")),
        ] {
            if !valid {
                return Err(Error::check(format!(
                    "`{}` is not a valid {what}",
                    text.escape_debug()
                )));
            }
        }
        if let Some(field) =
            ["Filename", "Size", "SHA256"].iter().find(|f| control.get(f).is_some())
        {
            return Err(Error::check(format!("its `control` has the field `{field}`")));
        }
        let path = pool_path(component, &name, &version, &architecture);
        let file = ListedFile { path, size, sha256 };
        Ok(DebFile { control, name, version, architecture, component: component.to_owned(), file })
    }
}

/// Returns the path of a package: by the first letter of its name, or four of one that begins with `lib`
/// (Debian's archive does the same), without the epoch of its version.
fn pool_path(component: &str, name: &str, version: &str, architecture: &str) -> String {
    let letters = if name.starts_with("lib") { 4 } else { 1 };
    let prefix = name.get(..letters).unwrap_or(name);
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    format!("pool/{component}/{prefix}/{name}/{name}_{version}_{architecture}.deb")
}

/// Returns the index `Packages` of these packages, sorted by their paths.
pub fn packages(files: &[&DebFile]) -> String {
    let mut files = files.to_vec();
    files.sort_stable_by(|one, other| one.file.path.cmp(&other.file.path));
    let mut text = String::new();
    for package in files {
        if !text.is_empty() {
            text.push('\n');
        }
        package.control.write(&mut text);
        let ListedFile { path, size, sha256 } = &package.file;
        let _ = write!(text, "Filename: {path}\nSize: {size}\nSHA256: {}\n", sha256.hex());
    }
    text
}

/// Reads the files that an index `Packages` lists.
///
/// # Errors
/// It is not an index, or a path leads out of the repository.
pub fn listed_packages(text: &str) -> Result<Vec<ListedFile>> {
    let read = |paragraph: &Paragraph| {
        listed(
            paragraph.required("Filename")?,
            paragraph.required("Size")?,
            paragraph.required("SHA256")?,
        )
    };
    Paragraph::parse(text)?.iter().map(read).collect()
}

fn listed(path: &str, size: &str, sha256: &str) -> Result<ListedFile> {
    let invalid = || {
        let path = path.escape_debug();
        Error::check(format!("the size or the digest of `{path}` in an index is invalid"))
    };
    let file = ListedFile {
        path: path.to_owned(),
        size: size.parse().map_err(|_| invalid())?,
        sha256: format!("sha256:{sha256}").parse().map_err(|_| invalid())?,
    };
    file.check_path()?;
    Ok(file)
}

/// The fields of a `Release`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// `Origin` and `Label`.
    pub origin: String,
    /// `Suite` and `Codename`.
    pub suite: String,
    /// `Date`, in seconds since 1970. apt rejects a date before that of the file it knows.
    pub date: u64,
    /// `Architectures`.
    pub architectures: BTreeSet<String>,
    /// `Components`.
    pub components: BTreeSet<String>,
    /// The indexes, by their paths below the directory of the suite.
    pub indexes: Vec<ListedFile>,
}

impl Release {
    /// Returns the text.
    pub fn text(&self) -> String {
        let join = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
        let mut text = String::new();
        for (name, value) in [
            ("Origin", self.origin.clone()),
            ("Label", self.origin.clone()),
            ("Suite", self.suite.clone()),
            ("Codename", self.suite.clone()),
            ("Date", date(self.date)),
            ("Acquire-By-Hash", "yes".to_owned()),
            ("Architectures", join(&self.architectures)),
            ("Components", join(&self.components)),
        ] {
            let _ = writeln!(text, "{name}: {value}");
        }
        text.push_str("SHA256:\n");
        let mut indexes: Vec<_> = self.indexes.iter().collect();
        indexes.sort_stable();
        for ListedFile { path, size, sha256 } in indexes {
            let _ = writeln!(text, " {} {size} {path}", sha256.hex());
        }
        text
    }

    /// Parses a `Release`.
    ///
    /// # Errors
    /// It is not one, or lacks a field.
    pub fn parse(text: &str) -> Result<Self> {
        let paragraphs = Paragraph::parse(text)?;
        let [paragraph] = &paragraphs[..] else {
            return Err(Error::check("it has not exactly one paragraph"));
        };
        let names = |field| -> Result<BTreeSet<String>> {
            let names = paragraph.required(field)?.split_whitespace();
            let names: BTreeSet<String> = names.map(str::to_owned).collect_set();
            // They are parts of paths.
            match names.iter().find(|name| !is_path_part(name)) {
                Some(name) => Err(Error::check(format!("its `{field}` has `{name}`"))),
                None => Ok(names),
            }
        };
        let line = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [sha256, size, path] => listed(path, size, sha256),
            _ => Err(Error::check("its `SHA256` is invalid")),
        };
        let sums = paragraph.required("SHA256")?.trim().lines();
        Ok(Release {
            origin: paragraph.get("Origin").unwrap_or_default().to_owned(),
            suite: paragraph.required("Suite")?.to_owned(),
            date: parse_date(paragraph.required("Date")?)
                .ok_or_else(|| Error::check("its `Date` is invalid"))?,
            architectures: names("Architectures")?,
            components: names("Components")?,
            indexes: sums.map(line).collect::<Result<_>>()?,
        })
    }
}

/// Returns whether `text` can be the name of a suite or a component: a part of a path and of a line.
pub fn is_path_part(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c))
}

/// Formats a date as Debian's archive does.
fn date(epoch: u64) -> String {
    deb::rfc_2822(epoch).replace("+0000", "UTC")
}

/// Parses a date of RFC 5322 in UTC.
fn parse_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let [_, day, month, year, time, zone] = text.split_whitespace().collect::<Vec<_>>()[..] else {
        return None;
    };
    if !["UTC", "GMT", "Z", "+0000"].contains(&zone) {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let text = format!("{year:0>4}-{month:02}-{day:0>2}T{time:0>8}Z");
    let time = humantime::parse_rfc3339(&text).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|time: Duration| time.as_secs().min(MAX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_they_are_written() {
        for epoch in [0, 951_827_696, 1_700_000_000, MAX_EPOCH] {
            assert_eq!(parse_date(&date(epoch)), Some(epoch));
        }
        assert_eq!(date(1_700_000_000), "Tue, 14 Nov 2023 22:13:20 UTC");
        assert_eq!(parse_date("Sat, 7 Jun 2025 8:15:09 UTC"), Some(1_749_284_109));
        for bad in ["", "now", "Tue, 14 Nov 2023 22:13:20 +0100", "Tue, 99 Nov 2023 22:13:20 UTC"] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_release_is_read_as_it_was_written() {
        let release = Release {
            origin: "hello".to_owned(),
            suite: "stable".to_owned(),
            date: 1_700_000_000,
            architectures: BTreeSet::from(["amd64".to_owned(), "arm64".to_owned()]),
            components: BTreeSet::from(["main".to_owned()]),
            indexes: vec![ListedFile::new("main/binary-amd64/Packages", b"x")],
        };
        assert_eq!(Release::parse(&release.text()).unwrap(), release);
        for (from, to) in [
            ("main/binary", "../binary"),
            ("Components: main", "Components: ../x"),
            ("Date: Tue, ", "Date: "),
            ("Suite:", "Sweet:"),
            ("stable\n", "stable\nSuite: other\n"),
        ] {
            let text = release.text().replace(from, to);
            assert!(Release::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn pools_are_divided_by_name() {
        let path = |name| pool_path("main", name, "1:1.0~rc.1-1", "amd64");
        assert_eq!(path("hello"), "pool/main/h/hello/hello_1.0~rc.1-1_amd64.deb");
        assert_eq!(path("libx1"), "pool/main/libx/libx1/libx1_1.0~rc.1-1_amd64.deb");
    }

    #[test]
    fn invalid_indexes_are_rejected() {
        let hex = Digest::sha256(b"").hex();
        let good = format!("Package: x\nFilename: pool/x.deb\nSize: 1\nSHA256: {hex}\n");
        assert_eq!(listed_packages(&good).unwrap().len(), 1);
        assert_eq!(listed_packages(&format!("{good}\n\n{good}")).unwrap().len(), 2);
        for (from, to) in [
            ("pool/x.deb", "/etc/passwd"),
            ("pool/x.deb", "pool/../../x"),
            ("Size: 1", "Size: -1"),
            (hex.as_str(), "00"),
            ("Filename:", "Name:"),
            ("Package: x", " x"),
            ("Package: x", "x"),
        ] {
            assert!(listed_packages(&good.replace(from, to)).is_err(), "{to}");
        }
    }
}
