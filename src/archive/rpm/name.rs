//! Names, versions and descriptions of RPM packages.

use std::fmt::Write as _;

use semver::Version;

use super::tag;
use crate::{
    archive::deb,
    model::{machine::Architecture, platform::Platform, schema::plan::Rpm},
};

/// The longest line of a description that rpmlint accepts (`description-line-too-long`).
const MAX_LINE: usize = 79;

/// Returns rpm's name of the platform; `None` if it has none.
pub fn architecture(platform: &Platform) -> Option<&'static str> {
    let known =
        Architecture::from_goarch(&platform.architecture).filter(|_| platform.os == "linux")?;
    known.rpm(platform.variant.as_deref()).map(|known| known.name)
}

/// Returns whether `name` is a valid package name: letters and digits of ASCII, `.`, `_`, `-` and `+`, the
/// first of them a letter or a digit. Letters may be capital (rpm's manual, "Spec file format", "Name";
/// Fedora's naming guidelines, "Common character set").
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || ['.', '_', '-', '+'].contains(&c))
}

/// Returns whether `text` is a valid version or release: letters and digits of ASCII, `.`, `_`, `+`, `~` and
/// `^` (rpm's manual, "Spec file format", "Version").
pub fn is_release(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ['.', '_', '+', '~', '^'].contains(&c))
}

/// Returns rpm's form of the version: a pre-release sorts before its release with `~` (rpm's manual,
/// "Dependencies", "Versions"). A hyphen separates version and release, and becomes a full stop.
pub fn version(version: &Version) -> String {
    let mut text = format!("{}.{}.{}", version.major, version.minor, version.patch);
    if !version.pre.is_empty() {
        let _ = write!(text, "~{}", version.pre.replace('-', "."));
    }
    if !version.build.is_empty() {
        let _ = write!(text, "+{}", version.build.replace('-', "."));
    }
    text
}

/// Returns the name of a package's file.
pub fn file_name(rpm: &Rpm) -> String {
    format!("{}-{}-{}.{}.rpm", rpm.name, rpm.version, rpm.release, rpm.architecture)
}

/// Returns the summary from a paragraph: one line that begins with a capital letter (Fedora's packaging
/// guidelines, "Summary and description").
pub fn summary(name: &str, description: &str) -> String {
    let text = deb::synopsis(name, description);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => text,
    }
}

/// Wraps each paragraph at the longest line that rpmlint accepts.
pub fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.trim().lines() {
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        let mut current = indent.clone();
        for word in line.split_whitespace() {
            let is_first = current.len() == indent.len();
            if !is_first && current.chars().count() + 1 + word.chars().count() > MAX_LINE {
                lines.push(std::mem::replace(&mut current, indent.clone()));
            } else if !is_first {
                current.push(' ');
            }
            current.push_str(word);
        }
        lines.push(current.trim_end().to_owned());
    }
    lines.join("\n")
}

/// A package that another one requires, recommends or conflicts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The name.
    pub name: String,
    /// The comparison of its version, as flags of [`tag`].
    pub flags: u32,
    /// The version; empty for any.
    pub version: String,
}

/// Parses `NAME`, or `NAME >= VERSION`, as in a spec file; `None` if it is invalid. Boolean dependencies are
/// not supported.
pub fn relation(text: &str) -> Option<Relation> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (name, flags, version) = match words[..] {
        [name] => (name, 0, ""),
        [name, comparison, version] => {
            let flags = match comparison {
                "<" => tag::LESS,
                "<=" => tag::LESS | tag::EQUAL,
                "=" | "==" => tag::EQUAL,
                ">=" => tag::GREATER | tag::EQUAL,
                ">" => tag::GREATER,
                _ => return None,
            };
            (name, flags, version)
        }
        _ => return None,
    };
    // A file, or a name, which may have a qualifier such as `(x86-64)`.
    let is_valid = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '_')
        && name.chars().all(|c| c.is_ascii_graphic() && c != ',')
        && version.chars().all(|c| is_release(&c.to_string()) || c == '-' || c == ':');
    is_valid.then(|| Relation { name: name.to_owned(), flags, version: version.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_no_hyphen() {
        let rpm_version = |text: &str| version(&Version::parse(text).unwrap());
        assert_eq!(rpm_version("1.2.3"), "1.2.3");
        assert_eq!(rpm_version("1.2.3-rc.1"), "1.2.3~rc.1");
        assert_eq!(rpm_version("1.2.3-rc-1+git-5"), "1.2.3~rc.1+git.5");
        assert!(is_release(&rpm_version("1.2.3-rc-1+git-5")));
    }

    #[test]
    fn names() {
        for good in ["rg", "g++", "Foo_bar", "a", "0ad", "lib.x"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "_a", ".a", "a/b", "ä", "a b", "a%b"] {
            assert!(!is_name(bad), "{bad}");
        }
        for bad in ["", "1-1", "1:1", "1 2"] {
            assert!(!is_release(bad), "{bad}");
        }
    }

    #[test]
    fn summaries_are_capitalised_and_descriptions_wrapped() {
        assert_eq!(
            summary("rg", "rg is a line-oriented search tool."),
            "Line-oriented search tool"
        );
        assert_eq!(summary("rg", "Éclair"), "Éclair");
        let text = wrapped(&format!("{}\n\n  - {}\n", "word ".repeat(30), "item ".repeat(20)));
        assert!(text.lines().all(|line| line.len() <= MAX_LINE), "{text}");
        assert_eq!(text.split_whitespace().count(), 51);
        assert!(text.contains("\n\n  - item"), "{text}");
    }

    #[test]
    fn relations_are_parsed() {
        let equal = tag::GREATER | tag::EQUAL;
        for (text, name, flags, version) in [
            ("git", "git", 0, ""),
            ("git >= 2.0-1", "git", equal, "2.0-1"),
            ("/bin/sh", "/bin/sh", 0, ""),
            ("libc.so.6(GLIBC_2.4)(64bit)", "libc.so.6(GLIBC_2.4)(64bit)", 0, ""),
        ] {
            let expected = Relation { name: name.to_owned(), flags, version: version.to_owned() };
            assert_eq!(relation(text), Some(expected));
        }
        for bad in ["", "a b", "(a or b)", "a => 1", "a, b", "a >= 1 2", "a >= ä"] {
            assert_eq!(relation(bad), None, "{bad}");
        }
    }
}
