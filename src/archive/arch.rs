//! Packages of Arch Linux: a tar with the fields in `.PKGINFO` and the properties of files in `.MTREE`
//! (<https://alpm.archlinux.page/specifications/alpm-package.7.html>).

use std::fmt::Write as _;

use semver::Version;

use super::{deb, tar::Meta};
use crate::{
    archive::tree::{Content, Node, Tree},
    model::{
        digest::Digest,
        error::{Error, Result},
        machine::Architecture,
        platform::Platform,
        schema::plan::Arch,
    },
};

/// The ending of the file.
pub const ENDING: &str = "pkg.tar.zst";

/// Returns the name of the architecture in Arch Linux and Arch Linux ARM; `None` if it has none.
pub fn architecture(platform: &Platform) -> Option<&'static str> {
    let known =
        Architecture::from_goarch(&platform.architecture).filter(|_| platform.os == "linux")?;
    known.pacman(platform.variant.as_deref())
}

/// Returns whether `name` is a valid package name
/// (<https://alpm.archlinux.page/specifications/alpm-package-name.7.html>).
pub fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(|c| letter(c) || ['@', '_', '+'].contains(&c))
        && name.chars().all(|c| letter(c) || ['@', '_', '+', '.', '-'].contains(&c))
}

/// Returns whether `release` is valid: one or two numbers (PKGBUILD(5), `pkgrel`).
pub fn is_release(release: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    release.split('.').count() <= 2 && release.split('.').all(number)
}

/// Returns whether a setting is a relation of a package: a name, and perhaps a comparison with a version.
pub fn is_relation(text: &str) -> bool {
    let name = text.split(['<', '>', '=']).next().unwrap_or_default();
    let version = text[name.len()..].trim_start_matches(['<', '>', '=']);
    let valid = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '+', ':', '-'].contains(&c);
    let compared = name.len() < text.len();
    is_name(name) && version.chars().all(valid) && compared != version.is_empty()
}

/// Returns the form of the version. A pre-release sorts before its release if a letter follows the number
/// directly (vercmp(8)), and `-` separates the release of the package.
pub fn version(version: &Version) -> String {
    let mut text = format!("{}.{}.{}", version.major, version.minor, version.patch);
    if !version.pre.is_empty() {
        let letter = version.pre.starts_with(|c: char| c.is_ascii_alphabetic());
        text += if letter { "" } else { "a." };
        text += &version.pre.replace('-', "_");
    }
    if !version.build.is_empty() {
        let _ = write!(text, "+{}", version.build.replace('-', "_"));
    }
    text
}

/// Returns the name of the file.
pub fn file_name(arch: &Arch) -> String {
    let Arch { name, version, release, architecture, .. } = arch;
    format!("{name}-{version}-{release}-{architecture}.{ENDING}")
}

/// The contents of a package.
#[derive(Debug)]
pub struct Package<'a> {
    /// The fields of its description.
    pub arch: &'a Arch,
    /// Seconds since 1970 that stand for every time in it.
    pub epoch: u64,
    /// The programs, by name.
    pub binaries: Vec<(&'a str, Content)>,
    /// Completions and manual pages: their paths below `/usr`, and their contents.
    pub companions: Vec<(&'a str, Vec<u8>)>,
    /// Its licence files, by name.
    pub licenses: Vec<(&'a str, Content)>,
    /// README and changelog, by name.
    pub docs: Vec<(&'a str, Content)>,
}

impl Package<'_> {
    /// Returns the tree of the package: the installed files, and the two that describe them. `digest` returns the
    /// SHA-256 of a file.
    ///
    /// # Errors
    /// Two files for one path, or `digest` failed.
    pub fn tree(&self, digest: impl Fn(&Content) -> Result<Digest>) -> Result<Tree> {
        let mut tree = Tree::default();
        let mut put = |path: &str, content: Content, mode: u32| {
            let parts: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
            if tree.get(&parts).is_some() {
                return Err(Error::usage(format!("two files of the package are `{path}`")));
            }
            tree.add_file(path, self.meta(0o755), self.meta(mode), content)
        };
        for (program, content) in &self.binaries {
            put(&format!("/usr/bin/{program}"), content.clone(), 0o755)?;
        }
        for (path, bytes) in &self.companions {
            if path.contains("/man/") {
                put(&format!("/usr/{path}.gz"), deb::compressed(bytes)?, 0o644)?;
            } else {
                put(&format!("/usr/{path}"), Content::bytes(&bytes[..]), 0o644)?;
            }
        }
        for (directory, files) in [("licenses", &self.licenses), ("doc", &self.docs)] {
            for (name, content) in files {
                let path = format!("/usr/share/{directory}/{}/{name}", self.arch.name);
                put(&path, content.clone(), 0o644)?;
            }
        }
        let fields = self.fields(&tree);
        let properties = deb::compressed(properties(&tree, digest)?.as_bytes())?;
        let (directory, file) = (self.meta(0o755), self.meta(0o644));
        tree.add_file("/.PKGINFO", directory, file, Content::bytes(fields.into_bytes()))?;
        tree.add_file("/.MTREE", directory, file, properties)?;
        Ok(tree)
    }

    fn meta(&self, mode: u32) -> Meta {
        Meta { mode, uid: 0, gid: 0, mtime: self.epoch }
    }

    /// Returns the file `.PKGINFO` (<https://alpm.archlinux.page/specifications/PKGINFO.5.html>).
    fn fields(&self, tree: &Tree) -> String {
        let arch = self.arch;
        let sizes = tree.iter().map(|(_, entry)| match &entry.node {
            Node::File(content) => content.size,
            _ => 0,
        });
        let mut fields = vec![
            ("pkgname", arch.name.clone()),
            ("pkgbase", arch.name.clone()),
            ("xdata", "pkgtype=pkg".to_owned()),
            ("pkgver", format!("{}-{}", arch.version, arch.release)),
            ("pkgdesc", arch.description.clone()),
        ];
        fields.extend(arch.url.clone().map(|url| ("url", url)));
        fields.push(("builddate", self.epoch.to_string()));
        let packager = arch.packager.clone().unwrap_or_else(|| "Unknown Packager".to_owned());
        fields.push(("packager", packager));
        fields.push(("size", sizes.sum::<u64>().to_string()));
        fields.push(("arch", arch.architecture.clone()));
        fields.extend(arch.license.clone().map(|license| ("license", license)));
        let keys = [
            ("replaces", "replaces"),
            ("conflicts", "conflict"),
            ("provides", "provides"),
            ("depends", "depend"),
        ];
        for (setting, field) in keys {
            let values = arch.relations.get(setting).into_iter().flatten();
            fields.extend(values.map(|value| (field, value.clone())));
        }
        let line = |(name, value): &(&str, String)| {
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{name} = {value}\n")
        };
        fields.iter().map(line).collect()
    }
}

/// Returns the file `.MTREE` before compression, which `pacman -Qkk` compares with the installed files
/// (<https://alpm.archlinux.page/specifications/ALPM-MTREEv2.5.html>).
fn properties(tree: &Tree, digest: impl Fn(&Content) -> Result<Digest>) -> Result<String> {
    let mut text = String::from("#mtree\n/set uid=0 gid=0\n");
    for (path, entry) in tree.iter() {
        let kind = match &entry.node {
            Node::File(content) => {
                format!("file size={} sha256digest={}", content.size, digest(content)?.hex())
            }
            _ => "dir".to_owned(),
        };
        let path = path.iter().map(|part| escape(part)).collect::<Vec<_>>().join("/");
        let (time, mode) = (entry.meta.mtime, entry.meta.mode);
        let _ = writeln!(text, "./{path} time={time}.0 mode={mode:o} type={kind}");
    }
    Ok(text)
}

/// Writes a name as mtree(5) has it: other bytes than visible ones of ASCII as `\` and three octal digits.
fn escape(name: &str) -> String {
    let mut escaped = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_graphic() && !b"\\#=*?[]".contains(&byte) {
            escaped.push(byte.into());
        } else {
            let _ = write!(escaped, "\\{byte:03o}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_releases_and_relations_follow_the_rules_of_makepkg() {
        for good in ["fd", "a.b-c", "@x", "r_1+"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-x", ".x", "Fd", "a b", "a/b"] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_release("1") && is_release("2.1"));
        assert!(!is_release("") && !is_release("1.2.3") && !is_release("1-1") && !is_release("a"));
        assert!(is_relation("git") && is_relation("git>=2.40") && is_relation("x=1:2.0-1"));
        assert!(!is_relation("git >= 2") && !is_relation(">=2") && !is_relation("git>="));
    }

    #[test]
    fn versions_have_no_hyphen() {
        let of = |text: &str| version(&Version::parse(text).unwrap());
        assert_eq!(of("1.2.3"), "1.2.3");
        assert_eq!(of("1.2.3-rc.1"), "1.2.3rc.1");
        assert_eq!(of("1.2.3-0.1"), "1.2.3a.0.1");
        assert_eq!(of("1.2.3-rc-1+b-2"), "1.2.3rc_1+b_2");
    }

    #[test]
    fn names_in_mtree_are_escaped() {
        assert_eq!(escape("a b#é"), "a\\040b\\043\\303\\251");
    }
}
