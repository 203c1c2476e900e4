//! Versions of Python packages
//! (<https://packaging.python.org/en/latest/specifications/version-specifiers/>, formerly PEP 440).

use semver::Version;

/// The words of pre-releases, each with that of the specification ("Pre-release spelling").
const PRE_RELEASES: [(&str, &str); 9] = [
    ("a", "a"),
    ("alpha", "a"),
    ("b", "b"),
    ("beta", "b"),
    ("c", "rc"),
    ("dev", ".dev"),
    ("pre", "rc"),
    ("preview", "rc"),
    ("rc", "rc"),
];

/// Returns the form of the version for Python, which sorts as cargo sorts it among versions with the same
/// pre-release word: `1.2.3-rc.1+5` is `1.2.3rc1+5`. `None` if it has none.
pub fn version(version: &Version) -> Option<String> {
    let mut text = format!("{}.{}.{}", version.major, version.minor, version.patch);
    if !version.pre.is_empty() {
        text += &pre_release(version.pre.as_str())?;
    }
    // "Local version identifiers": letters and digits, separated by one full stop.
    let local = version.build.split(|c: char| !c.is_ascii_alphanumeric());
    let local: Vec<&str> = local.filter(|part| !part.is_empty()).collect();
    if !local.is_empty() {
        text = format!("{text}+{}", local.join(".").to_ascii_lowercase());
    }
    Some(text)
}

/// Returns the suffix for a pre-release: a word, and a number or none, which is 0 ("Implicit pre-release number").
fn pre_release(pre: &str) -> Option<String> {
    let pre = pre.to_ascii_lowercase();
    let end = pre.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(pre.len());
    let (word, number) = pre.split_at(end);
    let (_, short) = PRE_RELEASES.iter().find(|(known, _)| *known == word)?;
    let number = number.strip_prefix(['.', '-']).unwrap_or(number);
    let is_number = number.bytes().all(|digit| digit.is_ascii_digit());
    let number = if number.is_empty() && pre.len() == end { "0" } else { number };
    (is_number && !number.is_empty()).then(|| {
        let number = number.trim_start_matches('0');
        format!("{short}{}", if number.is_empty() { "0" } else { number })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_the_form_of_python() {
        let python = |text: &str| version(&Version::parse(text).unwrap());
        for (cargo, expected) in [
            ("1.2.3", "1.2.3"),
            ("1.2.3-rc.1+build", "1.2.3rc1+build"),
            ("1.2.3-rc1", "1.2.3rc1"),
            ("1.2.3-rc-1", "1.2.3rc1"),
            ("1.2.3-alpha", "1.2.3a0"),
            ("1.2.3-BETA.12", "1.2.3b12"),
            ("1.2.3-pre.2", "1.2.3rc2"),
            ("1.2.3-dev.7", "1.2.3.dev7"),
            ("1.2.3-rc.0", "1.2.3rc0"),
            ("1.2.3+Git-5.x", "1.2.3+git.5.x"),
            ("1.2.3+-", "1.2.3"),
        ] {
            assert_eq!(python(cargo).as_deref(), Some(expected), "{cargo}");
        }
        for cargo in ["1.2.3-rc.1.2", "1.2.3-nightly.1", "1.2.3-1", "1.2.3-rc.x", "1.2.3-rc--1"] {
            assert_eq!(python(cargo), None, "{cargo}");
        }
    }
}
