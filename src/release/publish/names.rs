//! The names of files that forges preserve.

use super::ReleaseFile;
use crate::model::{
    error::{Error, Result},
    schema::publication::ForgeKind,
};

/// The names that a forge preserves.
struct NameRule {
    forge: ForgeKind,
    /// The characters that it preserves, besides letters and digits of ASCII.
    preserved: &'static str,
    /// The effect on other names, as a verb.
    effect: &'static str,
    /// The source.
    source: &'static str,
}

/// The rules. Names that begin or end with a period are rejected everywhere.
const RULES: [NameRule; 3] = [
    // "GitHub renames asset filenames that have special characters, non-alphanumeric characters, and leading
    // or trailing periods." Files with `+`, `-` and `_` are known to keep their names, and `~` becomes `.`.
    NameRule {
        forge: ForgeKind::Github,
        preserved: ".-_+",
        effect: "renames",
        source: "https://docs.github.com/rest/releases/assets#upload-a-release-asset",
    },
    // The names of generic packages' files. Versions before 18 reject `~` and `@`.
    NameRule {
        forge: ForgeKind::Gitlab,
        preserved: ".-_+",
        effect: "rejects",
        source: "https://docs.gitlab.com/user/packages/generic_packages/#publish-a-package",
    },
    // The names of release attachments are not restricted; the address of a file with other characters depends
    // on the server's version, and a mirror at GitHub renames them.
    NameRule {
        forge: ForgeKind::Forgejo,
        preserved: ".-_+",
        effect: "may rename",
        source: "https://forgejo.org/docs/latest/user/api-usage/",
    },
];

/// Checks that the forge preserves the name of every file, so that downloads match `SHA256SUMS`.
///
/// # Errors
/// It changes or rejects one.
pub fn check_names(forge: ForgeKind, files: &[ReleaseFile]) -> Result<()> {
    let Some(rule) = RULES.iter().find(|rule| rule.forge == forge) else { return Ok(()) };
    let is_preserved = |name: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || rule.preserved.contains(c);
        !name.is_empty()
            && name.chars().all(plain)
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !name.contains("..")
    };
    let changed: Vec<String> = files
        .iter()
        .filter(|file| !is_preserved(&file.name))
        .map(|file| format!("`{}`", file.name.escape_debug()))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{} {} these file names, and they would differ from `SHA256SUMS`: {}",
        rule.forge,
        rule.effect,
        changed.join(", ")
    ))
    .hint(format!(
        "use letters, digits and `{}` in names and versions; see {}",
        rule.preserved, rule.source
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;

    fn file(name: &str) -> ReleaseFile {
        ReleaseFile { name: name.to_owned(), size: 1, sha256: Digest::sha256(b"x") }
    }

    #[test]
    fn only_names_that_every_forge_preserves_are_accepted() {
        for forge in ForgeKind::ALL {
            for name in ["a.tar.gz", "a_1.0.0.rc.1-1_amd64.deb", "a-1.0.0+b.zip", "SHA256SUMS"] {
                assert!(check_names(forge, &[file(name)]).is_ok(), "{forge} {name}");
            }
            for name in ["a~rc1.deb", "a b", ".a", "a.", "é", "", "a..b", "a\n", "a/b", "a@b"] {
                let error = check_names(forge, &[file("ok"), file(name)]).unwrap_err();
                assert!(!error.to_string().contains("`ok`"), "{error}");
            }
        }
    }
}
