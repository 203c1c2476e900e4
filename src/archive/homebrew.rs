//! Formulae for Homebrew (<https://docs.brew.sh/Formula-Cookbook>), which install the archives for Linux.

use crate::model::{digest::Digest, platform::Platform, schema::plan::Homebrew};

/// The longest `desc` (`FormulaAudit/Desc` of brew's style, <https://github.com/Homebrew/brew>).
const MAX_DESCRIPTION: usize = 80;

/// The architectures of Homebrew, by `GOARCH`
/// (<https://docs.brew.sh/Formula-Cookbook#handling-different-system-configurations>).
const ARCHITECTURES: [(&str, &str); 2] = [("arm64", "on_arm"), ("amd64", "on_intel")];

/// The directories of completions, and the methods that install them.
const COMPANIONS: [(&str, &str); 4] = [
    ("share/bash-completion/completions/", "bash_completion"),
    ("share/fish/vendor_completions.d/", "fish_completion"),
    ("share/zsh/site-functions/", "zsh_completion"),
    ("share/powershell/completions/", "pwsh_completion"),
];

/// An archive that the formula installs.
#[derive(Clone, Debug)]
pub struct FormulaArchive<'a> {
    /// The platform of its programs.
    pub platform: &'a Platform,
    /// Its file name.
    pub file: &'a str,
    /// Its digest.
    pub sha256: Digest,
}

/// Returns whether Homebrew runs on the platform.
pub fn is_supported(platform: &Platform) -> bool {
    platform.os == "linux" && ARCHITECTURES.iter().any(|(go, _)| *go == platform.architecture)
}

impl Homebrew {
    /// Returns the name of the file.
    pub fn file_name(&self) -> String {
        format!("{}.rb", self.name)
    }

    /// Returns the name of the class, which brew computes from that of the file
    /// (`Formulary.class_s` of <https://github.com/Homebrew/brew>).
    fn class(&self) -> String {
        let mut class = String::new();
        let mut upper = true;
        let mut chars = self.name.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '-' | '_' | '.' if chars.peek().is_some_and(char::is_ascii_alphanumeric) => {
                    upper = true;
                }
                '+' => class.push('x'),
                '@' if chars.peek().is_some_and(char::is_ascii_digit) => class += "AT",
                _ => {
                    class.push(if upper { c.to_ascii_uppercase() } else { c });
                    upper = false;
                }
            }
        }
        class
    }

    /// Returns the formula. `installed` are the paths in the archives below their directory.
    pub fn formula(
        &self,
        version: &str,
        archives: &[FormulaArchive<'_>],
        programs: &[String],
        installed: &[&str],
    ) -> String {
        let mut text = format!("class {} < Formula\n", self.class());
        let mut line = |line: &str| {
            text += line;
            text.push('\n');
        };
        line(&format!("  desc {}", quoted(&description(&self.description))));
        line(&format!("  homepage {}", quoted(&self.homepage)));
        line(&format!("  version {}", quoted(version)));
        if let Some(license) = self.license.as_deref().and_then(license) {
            line(&format!("  license {license}"));
        }
        line("\n  depends_on :linux\n\n  on_linux do");
        for (go, method) in ARCHITECTURES {
            let mut own = archives.iter().filter(|archive| archive.platform.architecture == go);
            let Some(archive) = own.next() else { continue };
            line(&format!("    {method} do"));
            line(&format!("      url {}", quoted(&format!("{}/{}", self.url, archive.file))));
            line(&format!("      sha256 {}\n    end", quoted(&archive.sha256.hex())));
        }
        line("  end\n\n  def install");
        let names: Vec<String> = programs.iter().map(|name| quoted(name)).collect();
        line(&format!("    bin.install {}", names.join(", ")));
        for path in installed {
            let known = COMPANIONS.iter().find(|(directory, _)| path.starts_with(directory));
            let section = path.strip_prefix("share/man/man").and_then(|rest| rest.chars().next());
            let method = match (known, section) {
                (Some((_, method)), _) => (*method).to_owned(),
                (None, Some(section @ '1'..='8')) => format!("man{section}"),
                _ => continue,
            };
            line(&format!("    {method}.install {}", quoted(path)));
        }
        line("  end\n\n  test do");
        for name in programs {
            line(&format!("    assert_predicate bin/{}, :executable?", quoted(name)));
        }
        line("  end\nend");
        text
    }
}

/// Returns the description in the form that brew's style requires: it begins with a capital, and is short.
fn description(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().collect::<String>());
    let text = first.unwrap_or_default() + chars.as_str();
    text.chars().take(MAX_DESCRIPTION).collect::<String>().trim_end().to_owned()
}

/// Returns a string of Ruby.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' | '#' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// An SPDX expression in Ruby (<https://docs.brew.sh/License-Guidelines>).
enum License {
    /// A string.
    Name(String),
    /// A hash, without its braces.
    Hash(String),
}

/// The most brackets within each other.
const MAX_NESTING: usize = 16;

/// Returns an SPDX expression as the argument of `license`; `None` if it does not have the form of one.
fn license(expression: &str) -> Option<String> {
    let mut text = String::new();
    for c in expression.chars() {
        match c {
            '(' | ')' => text.extend([' ', c, ' ']),
            c => text.push(c),
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut rest = &words[..];
    let license = any_of(&mut rest, 0)?;
    rest.is_empty().then_some(match license {
        License::Name(text) | License::Hash(text) => text,
    })
}

fn any_of(words: &mut &[&str], nesting: usize) -> Option<License> {
    list(words, ("OR", "any_of"), &|words| {
        list(words, ("AND", "all_of"), &|words| one(words, nesting))
    })
}

fn list(
    words: &mut &[&str],
    (operator, name): (&str, &str),
    element: &dyn Fn(&mut &[&str]) -> Option<License>,
) -> Option<License> {
    let mut all = vec![element(words)?];
    while words.first() == Some(&operator) {
        *words = words.get(1..)?;
        all.push(element(words)?);
    }
    if all.len() == 1 {
        return all.pop();
    }
    let braced = |license: &License| match license {
        License::Name(text) => text.clone(),
        License::Hash(text) => format!("{{ {text} }}"),
    };
    let all: Vec<String> = all.iter().map(braced).collect();
    Some(License::Hash(format!("{name}: [{}]", all.join(", "))))
}

fn one(words: &mut &[&str], nesting: usize) -> Option<License> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    if *first == "(" {
        if nesting >= MAX_NESTING {
            return None;
        }
        let inner = any_of(words, nesting + 1)?;
        let (close, rest) = words.split_first()?;
        *words = rest;
        return (*close == ")").then_some(inner);
    }
    let name = quoted(first);
    if let ["WITH", exception, rest @ ..] = *words {
        *words = rest;
        return Some(License::Hash(format!("{name} => {{ with: {} }}", quoted(exception))));
    }
    Some(License::Name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formula(name: &str) -> Homebrew {
        Homebrew {
            name: name.to_owned(),
            url: "https://example.org/x".to_owned(),
            description: "says \"hello\" #{to} all".to_owned(),
            homepage: "https://example.org".to_owned(),
            license: Some("MIT OR Apache-2.0".to_owned()),
        }
    }

    #[test]
    fn classes_are_named_as_brew_does() {
        for (name, class) in [
            ("hello", "Hello"),
            ("git-lfs", "GitLfs"),
            ("a_b.c", "ABC"),
            ("g++", "Gxx"),
            ("node@20", "NodeAT20"),
        ] {
            assert_eq!(formula(name).class(), class);
        }
    }

    #[test]
    fn licenses_are_expressions_of_ruby() {
        for (spdx, ruby) in [
            ("MIT", "\"MIT\""),
            ("MIT OR Apache-2.0", "any_of: [\"MIT\", \"Apache-2.0\"]"),
            ("MIT AND Zlib", "all_of: [\"MIT\", \"Zlib\"]"),
            (
                "(MIT OR Apache-2.0) AND Unicode-3.0",
                "all_of: [{ any_of: [\"MIT\", \"Apache-2.0\"] }, \"Unicode-3.0\"]",
            ),
            (
                "MIT OR Apache-2.0 WITH LLVM-exception",
                "any_of: [\"MIT\", { \"Apache-2.0\" => { with: \"LLVM-exception\" } }]",
            ),
        ] {
            assert_eq!(license(spdx).as_deref(), Some(ruby), "{spdx}");
        }
        for bad in ["", "MIT OR", "(MIT", "MIT)", &"(".repeat(100)] {
            assert_eq!(license(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_text_is_code() {
        let platform = "linux/amd64".parse().unwrap();
        let archive = FormulaArchive {
            platform: &platform,
            file: "hello.tar.gz",
            sha256: Digest::sha256(b""),
        };
        let installed = ["share/man/man1/hello.1", "share/zsh/site-functions/_hello", "README.md"];
        let text = formula("hello").formula("1.0.0", &[archive], &["hello".to_owned()], &installed);
        assert!(text.contains("desc \"Says \\\"hello\\\" \\#{to} all\"\n"), "{text}");
        assert!(text.contains("    man1.install \"share/man/man1/hello.1\"\n"), "{text}");
        assert!(text.contains("    zsh_completion.install \"share/zsh/"), "{text}");
        assert!(!text.contains("README") && !text.contains("on_arm"), "{text}");
    }
}
