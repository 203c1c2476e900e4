//! A source of longshore as it is given on the command line, and its lines in `Cargo.toml`.

use std::{collections::BTreeSet, str::FromStr};

use semver::Version;

use super::{PLATFORMS, ToolFormat, check_url, directory, expand, platform};
use crate::{
    build::edit::quoted,
    model::{
        digest::Digest,
        error::{Error, Result},
    },
};

/// A source of longshore as it is given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedTool {
    /// `FORMAT=URL`: a file of a release.
    Download(ToolFormat, String),
    /// `git=URL#COMMIT`.
    Git(String, String),
    /// `path=DIRECTORY`.
    Path(String),
}

impl FromStr for RequestedTool {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // clap prints no hints.
        let wrong = |message: String| {
            Error::usage(format!(
                "{message}: expected `archive=URL`, `wheel=URL`, `npm=URL`, `deb=URL`, `git=URL#COMMIT` or \
                 `path=DIRECTORY`"
            ))
        };
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if let Some(format) = ToolFormat::ALL.into_iter().find(|format| format.key() == key) {
            return Ok(RequestedTool::Download(format, value.to_owned()));
        }
        match (key, value.rsplit_once('#')) {
            ("git", Some((url, rev))) => Ok(RequestedTool::Git(url.to_owned(), rev.to_owned())),
            ("git", None) => Err(wrong(format!("`{text}` names no commit"))),
            ("path", _) => Ok(RequestedTool::Path(value.to_owned())),
            _ => Err(wrong(format!("`{text}` is not a source of longshore"))),
        }
    }
}

impl RequestedTool {
    /// Returns the platforms for which there may be a file, each with its URL. A URL without a placeholder for the
    /// platform is that of `host`; no two platforms have the same one.
    ///
    /// # Errors
    /// The URL has an unknown placeholder, or is not one.
    pub fn files(&self, version: &Version, host: &str) -> Result<Vec<(&'static str, String)>> {
        let RequestedTool::Download(format, template) = self else { return Ok(Vec::new()) };
        let mut files: Vec<(&'static str, String)> = Vec::new();
        for (name, ..) in PLATFORMS {
            let (platform, target) = platform("sha256", name)?;
            let url = expand(format.key(), template, version, (&platform, target))?;
            check_url(format.key(), &url)?;
            if *format != ToolFormat::Deb || platform.os == "linux" {
                files.push((name, url));
            }
        }
        if files.iter().all(|(_, url)| files.first().is_some_and(|(_, first)| first == url)) {
            files.retain(|(name, _)| *name == host);
        }
        // A URL without the operating system is that of Linux, which comes first.
        let mut known = BTreeSet::new();
        files.retain(|(_, url)| known.insert(url.clone()));
        Ok(files)
    }

    /// Returns the lines of the table `tool`; `digests` are those of the files, by platform.
    ///
    /// # Errors
    /// A value has the wrong form.
    pub fn lines(&self, version: &Version, digests: &[(&str, Digest)]) -> Result<Vec<String>> {
        let line = |key: &str, value: &str| format!("{key} = {}", quoted(value));
        Ok(match self {
            RequestedTool::Download(format, url) => {
                let mut lines =
                    vec![line(format.key(), url), line("version", &version.to_string())];
                let pin = |(platform, digest): &(&str, Digest)| {
                    line(&format!("sha256.{}", quoted(platform)), &digest.hex())
                };
                lines.extend(digests.iter().map(pin));
                lines
            }
            RequestedTool::Git(url, rev) => vec![line("git", url), line("rev", rev)],
            RequestedTool::Path(path) => {
                directory(path)?;
                vec![line("path", path)]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RequestedTool {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_on_the_command_line_becomes_lines_that_mean_it() {
        let version = Version::new(1, 2, 3);
        let text = "archive=https://example.org/v{version}/x-{target}.tar.gz";
        let requested = parse(text);
        let files = requested.files(&version, "linux/amd64").unwrap();
        assert_eq!(files.len(), 4);
        assert_eq!(files[1].1, "https://example.org/v1.2.3/x-aarch64-unknown-linux-musl.tar.gz");
        let digest = Digest::sha256(b"x");
        let lines = requested.lines(&version, &[("linux/amd64", digest)]).unwrap().join("\n");
        let settings: super::super::ToolSettings = toml::from_str(&lines).unwrap();
        assert!(settings.source().is_ok(), "{lines}");
        // One URL is that of one platform.
        let one = parse("deb=https://example.org/x.deb");
        assert_eq!(one.files(&version, "linux/arm64").unwrap().len(), 1);
        let wheel = parse("wheel=https://example.org/x_{machine}.whl");
        let platforms = wheel.files(&version, "linux/arm64").unwrap();
        let platforms: Vec<_> = platforms.into_iter().map(|(name, _)| name).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
        let hash = "0123456789abcdef0123456789abcdef01234567";
        for text in [format!("git=https://example.org/x#{hash}"), "path=a/b".to_owned()] {
            let lines = parse(&text).lines(&version, &[]).unwrap().join("\n");
            let settings: super::super::ToolSettings = toml::from_str(&lines).unwrap();
            assert!(settings.source().is_ok(), "{lines}");
        }
    }

    #[test]
    fn a_source_in_another_form_is_rejected_with_the_forms() {
        for text in ["", "archive", "zip=https://example.org/x.zip", "git=https://example.org/x"] {
            match text.parse::<RequestedTool>() {
                Ok(requested) => {
                    let files = requested.files(&Version::new(1, 0, 0), "linux/amd64");
                    assert!(files.is_err(), "{text}");
                }
                Err(error) => assert!(error.to_string().contains("`git=URL#COMMIT`"), "{error}"),
            }
        }
    }
}
