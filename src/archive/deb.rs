//! Debian's packages: deb(5), and its policy manual (version 4.7).

use std::{
    fmt::Write as _,
    io::{self, Seek, SeekFrom, Write},
    time::{Duration, UNIX_EPOCH},
};

use libdeflater::{CompressionLvl, Compressor};
use semver::Version;

use super::write_tar_gz;
use crate::{
    archive::{
        compress::{ChunkCache, NoCache},
        tar::Meta,
        tree::{Content, FileStore, Node, Tree},
    },
    model::{
        error::{Error, Result},
        machine::Architecture,
        platform::Platform,
        schema::plan::Deb,
    },
};

/// The earliest time of files, in 1985: Debian's archive rejects older ones (lintian's tag
/// `package-contains-ancient-file`).
const OLDEST_TIME: u64 = 473_385_600;

/// Returns Debian's name of the platform (`dpkg-architecture --list`); `None` if it has none.
pub fn architecture(platform: &Platform) -> Option<&'static str> {
    let known =
        Architecture::from_goarch(&platform.architecture).filter(|_| platform.os == "linux")?;
    known.debian(platform.variant.as_deref())
}

/// Returns whether `name` is a valid package name (policy, 5.6.1).
pub fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() >= 2
        && name.starts_with(letter)
        && name.chars().all(|c| letter(c) || ['+', '-', '.'].contains(&c))
}

/// Returns Debian's form of the version: a pre-release sorts before its release with `~` (policy, 5.6.12).
pub fn version(version: &Version, revision: &str) -> String {
    let mut text = format!("{}.{}.{}", version.major, version.minor, version.patch);
    if !version.pre.is_empty() {
        let _ = write!(text, "~{}", version.pre.replace('-', "."));
    }
    if !version.build.is_empty() {
        let _ = write!(text, "+{}", version.build.replace('-', "."));
    }
    format!("{text}-{revision}")
}

/// Returns the synopsis from a paragraph: at most 80 characters, without the program's name (Debian
/// developer's reference, 6.2.2).
pub fn synopsis(name: &str, description: &str) -> String {
    let text = one_line(description);
    let sentence = text.split(". ").next().unwrap_or(&text).trim_end_matches('.');
    let mut rest = sentence;
    if sentence.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
        let after = sentence.get(name.len()..).unwrap_or_default();
        let after = after.trim_start_matches([':', ',', '-', ' ']);
        rest = after.strip_prefix("is ").unwrap_or(after);
    }
    for article in ["a ", "an ", "the ", "A ", "An ", "The "] {
        rest = rest.strip_prefix(article).unwrap_or(rest);
    }
    if rest.is_empty() {
        rest = sentence;
    }
    let mut short = String::new();
    for word in rest.split(' ') {
        if short.len() + word.len() >= 80 {
            break;
        }
        short += if short.is_empty() { "" } else { " " };
        short += word;
    }
    short.trim_end_matches(',').to_owned()
}

/// Returns the extended description: `about`, unless that has no more than the synopsis, which the
/// extended description must not repeat (Debian developer's reference, 6.2.3).
pub fn description(about: &str, synopsis: &str, programs: &[String]) -> String {
    let letters = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    // The synopsis may lack the first words of `about`: the package's name and an article.
    if !letters(about).ends_with(&letters(synopsis)) {
        return about.to_owned();
    }
    let programs = match programs {
        [] => "the program".to_owned(),
        [one] => format!("the program {one}"),
        [all @ .., last] => format!("the programs {} and {last}", all.join(", ")),
    };
    format!("This package contains {programs}, with every library that is needed.")
}

/// The contents of a package.
#[derive(Debug)]
pub struct Package<'a> {
    /// The fields of its description.
    pub deb: &'a Deb,
    /// Seconds since 1970 that stand for every time in it.
    pub epoch: u64,
    /// The programs, by name.
    pub binaries: Vec<(&'a str, Content)>,
    /// Completions and manual pages: their paths below `/usr`, and their contents.
    pub companions: Vec<(&'a str, Vec<u8>)>,
    /// The content of its licence files.
    pub licenses: Vec<String>,
    /// The changelog.
    pub changelog: Option<Vec<u8>>,
    /// Further files, by their paths, and whether they are executable.
    pub files: Vec<(&'a str, Content, bool)>,
}

impl Package<'_> {
    /// Returns the tree of installed files.
    ///
    /// # Errors
    /// Two files for one path.
    pub fn installed_tree(&self) -> Result<Tree> {
        let mut tree = Tree::default();
        let mut put = |path: &str, content: Content, executable: bool| {
            let parts: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
            if tree.get(&parts).is_some() {
                return Err(Error::usage(format!("two files of the `.deb` are `{path}`"))
                    .hint("change a path in `deb.files`"));
            }
            let mode = if executable { 0o755 } else { 0o644 };
            tree.add_file(path, self.meta(0o755), self.meta(mode), content)
        };
        let name = &self.deb.name;
        for (program, content) in &self.binaries {
            put(&format!("/usr/bin/{program}"), content.clone(), true)?;
        }
        for (path, bytes) in &self.companions {
            // Debian's zsh searches in a different directory.
            let path = path.replace("zsh/site-functions", "zsh/vendor-completions");
            // Policy, 12.1.
            if path.contains("/man/") {
                put(&format!("/usr/{path}.gz"), compressed(bytes)?, false)?;
            } else {
                put(&format!("/usr/{path}"), Content::bytes(&bytes[..]), false)?;
            }
        }
        let doc = |file: &str| format!("/usr/share/doc/{name}/{file}");
        put(&doc("copyright"), text_content(self.copyright_file()), false)?;
        // Policy, 12.7: the package's own changes, and those of what is in it.
        put(&doc("changelog.Debian.gz"), compressed(self.changes_file().as_bytes())?, false)?;
        if let Some(changelog) = &self.changelog {
            put(&doc("changelog.gz"), compressed(changelog)?, false)?;
        }
        put(
            &format!("/usr/share/lintian/overrides/{name}"),
            text_content(self.overrides_file()),
            false,
        )?;
        for (path, content, executable) in &self.files {
            put(&format!("/{}", path.trim_start_matches('/')), content.clone(), *executable)?;
        }
        Ok(tree)
    }

    /// Writes the package with the tree `data` to `out`, and returns `out`.
    ///
    /// # Errors
    /// A file cannot be read, changed meanwhile, or does not fit into a tar; or `out` failed.
    pub fn write<W: Write + Seek>(
        &self,
        data: &Tree,
        files: &dyn FileStore,
        chunks: &dyn ChunkCache,
        mut out: W,
    ) -> Result<W> {
        let failed = |error: io::Error| Error::build("cannot write a `.deb`").because(error);
        let mut control = Tree::default();
        let meta = self.meta(0o644);
        control.add_file(
            "/control",
            self.meta(0o755),
            meta,
            text_content(self.control_file(data)),
        )?;
        let conffiles: String = data
            .iter()
            .filter(|(path, entry)| {
                matches!(entry.node, Node::File(_)) && path.first().is_some_and(|top| top == "etc")
            })
            .map(|(path, _)| format!("/{}\n", path.join("/")))
            .collect();
        if !conffiles.is_empty() {
            control.add_file("/conffiles", self.meta(0o755), meta, text_content(conffiles))?;
        }
        out.write_all(b"!<arch>\n").map_err(failed)?;
        let out = self.write_member(out, "debian-binary", |mut out| {
            out.write_all(b"2.0\n").map_err(failed)?;
            Ok(out)
        })?;
        let out = self.write_member(out, "control.tar.gz", |out| {
            write_tar_gz(&control, files, &NoCache, out)
        })?;
        self.write_member(out, "data.tar.gz", |out| write_tar_gz(data, files, chunks, out))
    }

    /// Writes a member of an ar archive: a header of 60 characters, the content, and a line feed if
    /// that has an odd length (deb(5), "Format").
    fn write_member<W: Write + Seek>(
        &self,
        mut out: W,
        name: &str,
        content: impl FnOnce(W) -> Result<W>,
    ) -> Result<W> {
        let failed = |error: io::Error| Error::build("cannot write a `.deb`").because(error);
        let header = |size: u64| {
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", self.epoch, 0, 0, "100644")
        };
        let start = out.stream_position().map_err(failed)?;
        out.write_all(header(0).as_bytes()).map_err(failed)?;
        let mut out = content(out)?;
        let end = out.stream_position().map_err(failed)?;
        let size = end.saturating_sub(start + 60);
        let header = header(size);
        if header.len() != 60 {
            return Err(Error::build(format!("`{name}` of the `.deb` has {size} bytes"))
                .hint("an ar archive has room for 9999999999"));
        }
        out.seek(SeekFrom::Start(start))
            .and_then(|_| out.write_all(header.as_bytes()))
            .and_then(|()| out.seek(SeekFrom::Start(end)))
            .and_then(|_| out.write_all(if size % 2 == 1 { b"\n" } else { b"" }))
            .map_err(failed)?;
        Ok(out)
    }

    fn meta(&self, mode: u32) -> Meta {
        Meta { mode, uid: 0, gid: 0, mtime: self.epoch.max(OLDEST_TIME) }
    }

    /// Returns the file `control` (policy, 5.3).
    fn control_file(&self, data: &Tree) -> String {
        let deb = self.deb;
        // In KiB, each file rounded up, one for everything else (policy, 5.6.20).
        let sizes = data.iter().map(|(_, entry)| match &entry.node {
            Node::File(content) => content.size.div_ceil(1024),
            _ => 1,
        });
        let mut fields = vec![
            ("Package", deb.name.clone()),
            ("Version", deb.version.clone()),
            ("Architecture", deb.architecture.clone()),
            ("Maintainer", deb.maintainer.clone()),
            ("Installed-Size", sizes.sum::<u64>().to_string()),
        ];
        for name in ["Depends", "Recommends", "Conflicts"] {
            fields.extend(deb.relations.get(name).map(|value| (name, value.clone())));
        }
        fields.push(("Section", deb.section.clone()));
        fields.push(("Priority", "optional".to_owned()));
        fields.extend(deb.homepage.clone().map(|value| ("Homepage", value)));
        let description = format!("{}\n{}", one_line(&deb.synopsis), indented(&deb.description));
        fields.push(("Description", description));
        let line = |(name, value): &(&str, String)| match *name {
            "Description" => format!("{name}: {value}\n"),
            _ => format!("{name}: {}\n", one_line(value)),
        };
        fields.iter().map(line).collect()
    }

    /// Returns the file `copyright` in the machine-readable form
    /// (<https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>).
    fn copyright_file(&self) -> String {
        let deb = self.deb;
        let mut text = String::from(
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n",
        );
        let _ = writeln!(text, "Upstream-Name: {}", deb.name);
        if let Some(homepage) = &deb.homepage {
            let _ = writeln!(text, "Source: {homepage}");
        }
        let holders = match &deb.authors[..] {
            [] => deb.maintainer.clone(),
            authors => authors.join(", "),
        };
        // An SPDX expression with Debian's words for its operators.
        let license = deb.license.as_deref().unwrap_or("unknown");
        let license = license.replace(" OR ", " or ").replace(" AND ", " and ");
        let _ = write!(text, "\nFiles: *\nCopyright: {}\n", one_line(&holders));
        let _ = writeln!(text, "License: {}", one_line(&license));
        let paragraphs = match &self.licenses[..] {
            [] => format!("Licensed under {license}."),
            paragraphs => paragraphs.join("\n\n"),
        };
        text + &indented(&paragraphs) + "\n"
    }

    /// Returns the Debian changelog (policy, 4.4).
    fn changes_file(&self) -> String {
        let Deb { name, version, maintainer, .. } = self.deb;
        let upstream = version.rsplit_once('-').map_or(version.as_str(), |(upstream, _)| upstream);
        format!(
            "{name} ({version}) unstable; urgency=medium\n\n  * Release {upstream}.\n\n -- {} \
             {}\n",
            one_line(maintainer) + " ",
            rfc_2822(self.epoch.max(OLDEST_TIME))
        )
    }

    /// Returns the overrides of lintian's tags that do not apply to static binaries.
    fn overrides_file(&self) -> String {
        let line = |(program, _): &(&str, Content)| {
            ["statically-linked-binary", "shared-library-lacks-prerequisites"]
                .map(|tag| format!("{}: {tag} [usr/bin/{program}]\n", self.deb.name))
                .concat()
        };
        self.binaries.iter().map(line).collect()
    }
}

fn text_content(text: String) -> Content {
    Content::bytes(text.into_bytes())
}

/// Compresses at the highest level, which lintian requires for manual pages and changelogs.
pub(super) fn compressed(bytes: &[u8]) -> Result<Content> {
    let mut gzip = Compressor::new(CompressionLvl::best());
    let mut packed = vec![0; gzip.gzip_compress_bound(bytes.len())];
    let len = gzip
        .gzip_compress(bytes, &mut packed)
        .map_err(|error| Error::build(format!("cannot compress: {error}")))?;
    packed.truncate(len);
    Ok(Content::bytes(packed))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Formats continuation lines (policy, 5.6.13): a space first, and a full stop for an empty line.
fn indented(text: &str) -> String {
    let line = |line: &str| match line.trim_end() {
        "" => " .".to_owned(),
        line => format!(" {line}"),
    };
    text.trim().lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Formats a time as `date --rfc-email` does (RFC 5322, section 3.3), in UTC.
pub(super) fn rfc_2822(epoch: u64) -> String {
    // The year 9999 is the last that the form below has room for.
    let epoch = epoch.min(253_402_300_799);
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(epoch));
    let time = time.to_string();
    let part = |range: std::ops::Range<usize>| time.get(range).unwrap_or_default();
    // 1970 began on a Thursday.
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month =
        part(5..7).parse::<usize>().ok().and_then(|month| months.get(month.wrapping_sub(1)));
    format!(
        "{}, {} {} {} {} +0000",
        days.get((epoch / 86_400 % 7) as usize).unwrap_or(&"Thu"),
        part(8..10),
        month.unwrap_or(&"Jan"),
        part(0..4),
        part(11..19)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_as_in_debian() {
        let debian_version = |text: &str| version(&Version::parse(text).unwrap(), "1");
        assert_eq!(debian_version("1.2.3"), "1.2.3-1");
        assert_eq!(debian_version("1.2.3-rc.1"), "1.2.3~rc.1-1");
        assert_eq!(debian_version("1.2.3-rc-1+git-5"), "1.2.3~rc.1+git.5-1");
    }

    #[test]
    fn a_paragraph_gives_one_line() {
        let synopsis_of = |text| synopsis("rg", text);
        assert_eq!(
            synopsis_of("rg is a line-oriented\nsearch tool. It is fast."),
            "line-oriented search tool"
        );
        assert_eq!(synopsis_of("A tool."), "tool");
        assert_eq!(synopsis_of("RG: greps"), "greps");
        assert_eq!(synopsis_of("rg"), "rg");
        let long = synopsis_of(&"word ".repeat(40));
        assert!(long.len() < 80 && long.ends_with("word"), "{long}");
    }

    #[test]
    fn names() {
        for good in ["rg", "g++", "libx1.0", "a-b"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "a", "A1", "-a", "a_b", "a/b", "ä1"] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn times_have_their_weekday() {
        assert_eq!(rfc_2822(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(rfc_2822(1_700_000_000), "Tue, 14 Nov 2023 22:13:20 +0000");
        assert_eq!(rfc_2822(951_827_696), "Tue, 29 Feb 2000 12:34:56 +0000");
    }

    #[test]
    fn long_texts_remain_one_field() {
        assert_eq!(indented("a\n\n b \nPackage: x\n"), " a\n .\n  b\n Package: x");
        assert_eq!(one_line("a\nPackage: x"), "a Package: x");
    }
}
