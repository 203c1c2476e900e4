//! `[workspace.metadata.longshore.ci.tool]`: the source from which jobs get longshore.

mod requested;

use std::collections::BTreeMap;

use semver::Version;
use serde::Deserialize;

pub use self::requested::RequestedTool;
use crate::model::{
    digest::Digest,
    error::{Error, Result},
    machine::Architecture,
    platform::Platform,
    url::is_loopback,
};

/// The table, as it is written. [`ToolSettings::source`] checks it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table")]
pub struct ToolSettings {
    /// The URL of an archive.
    pub archive: Option<FileUrl>,
    /// The URL of a Python wheel.
    pub wheel: Option<FileUrl>,
    /// The URL of a package for npm.
    pub npm: Option<FileUrl>,
    /// The URL of a package for Debian.
    pub deb: Option<FileUrl>,
    /// The version of the program in that file.
    pub version: Option<String>,
    /// The SHA-256 of that file, in hex digits, by platform.
    pub sha256: BTreeMap<String, String>,
    /// The URL of a git repository.
    pub git: Option<String>,
    /// The commit in that repository.
    pub rev: Option<String>,
    /// `true`: the workspace's own xtask.
    pub xtask: Option<bool>,
    /// A directory of the workspace with the source of longshore.
    pub path: Option<String>,
}

/// The URL of a file that differs by platform.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "this is a URL, or a table with one for each platform")]
pub enum FileUrl {
    /// One URL with placeholders ([`PLACEHOLDERS`]).
    Template(String),
    /// One URL for each platform.
    Each(BTreeMap<String, String>),
}

/// The placeholders of a URL: `{target}` is rustc's name of a platform, `{architecture}` OCI's name of its
/// architecture, `{machine}` the name that `uname -m` prints on Linux.
pub const PLACEHOLDERS: [&str; 4] = ["version", "target", "architecture", "machine"];

/// The source from which jobs get longshore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolSource {
    /// A file that contains the program. Nothing is compiled.
    Download(ToolDownload),
    /// A commit of a git repository, which one job for each kind of runner compiles.
    Git {
        /// Its URL.
        url: String,
        /// The full hash of the commit.
        rev: String,
    },
    /// The workspace's member `xtask`, which depends on longshore; compiled like a commit.
    Xtask,
    /// A directory of the workspace with the source of longshore, relative to it; compiled like a commit.
    Path(String),
    /// The command of `ci.command`; compiled like a commit.
    Command(String),
}

/// A file that contains the program, for each platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolDownload {
    /// Its format.
    pub format: ToolFormat,
    /// The version of the program, which jobs compare with that which the program prints.
    pub version: Version,
    /// The file for each platform; not empty.
    pub files: BTreeMap<Platform, ToolFile>,
}

/// A file with its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolFile {
    /// Its URL, without placeholders. All its characters are safe in single quotes of a shell.
    pub url: String,
    /// Its digest.
    pub sha256: Digest,
}

/// The format of a file that contains the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolFormat {
    /// `.tar.gz`.
    Archive,
    /// A Python wheel, which is a zip archive.
    Wheel,
    /// A package for npm, which is a `.tgz`.
    Npm,
    /// A package for Debian.
    Deb,
}

impl ToolFormat {
    /// Every one.
    pub const ALL: [ToolFormat; 4] =
        [ToolFormat::Archive, ToolFormat::Wheel, ToolFormat::Npm, ToolFormat::Deb];

    /// Returns its key in the settings.
    pub fn key(self) -> &'static str {
        match self {
            ToolFormat::Archive => "archive",
            ToolFormat::Wheel => "wheel",
            ToolFormat::Npm => "npm",
            ToolFormat::Deb => "deb",
        }
    }

    /// Returns the end of the names of its files.
    pub fn extension(self) -> &'static str {
        match self {
            ToolFormat::Archive => ".tar.gz",
            ToolFormat::Wheel => ".whl",
            ToolFormat::Npm => ".tgz",
            ToolFormat::Deb => ".deb",
        }
    }
}

/// The platforms for which there can be a file: OCI's name, rustc's name of the target, and what `uname -s` and
/// `uname -m` print there.
const PLATFORMS: [(&str, &str, &str); 4] = [
    ("linux/amd64", "x86_64-unknown-linux-musl", "Linux/x86_64"),
    ("linux/arm64", "aarch64-unknown-linux-musl", "Linux/aarch64"),
    ("darwin/amd64", "x86_64-apple-darwin", "Darwin/x86_64"),
    ("darwin/arm64", "aarch64-apple-darwin", "Darwin/arm64"),
];

impl ToolDownload {
    /// Returns each file with what `uname -s` and `uname -m` print on its platform, joined by `/`.
    pub fn by_uname(&self) -> Vec<(&'static str, &ToolFile)> {
        let file = |(name, _, uname): &(&str, &str, &'static str)| {
            let mut files = self.files.iter();
            let (_, file) = files.find(|(platform, _)| platform.to_string() == *name)?;
            Some((*uname, file))
        };
        PLATFORMS.iter().filter_map(file).collect()
    }

    /// Checks that there is a file for each of these platforms.
    ///
    /// # Errors
    /// There is none for one of them.
    pub fn check_platforms(&self, platforms: &[Platform]) -> Result<()> {
        let Some(missing) = platforms.iter().find(|name| !self.files.contains_key(name)) else {
            return Ok(());
        };
        let key = self.format.key();
        let message = format!("`tool.{key}` has no SHA-256 for `{missing}`, on which jobs run");
        let hint = format!("add `sha256.\"{missing}\" = \"…\"` to `[{TABLE}]`");
        Err(config_error(&message, &hint))
    }
}

/// Returns an error about `[workspace.metadata.longshore.ci]`.
pub(super) fn config_error(what: &str, hint: &str) -> Error {
    Error::usage(format!("`[workspace.metadata.longshore.ci]` is invalid: {what}")).hint(hint)
}

const TABLE: &str = "workspace.metadata.longshore.ci.tool";

/// The lines for `Cargo.toml` that name a source, one block for each choice.
pub const CHOICES: &str = "\
in `Cargo.toml`, name the source of longshore with one of:

[workspace.metadata.longshore.ci.tool]  # a release: nothing is compiled
archive = \"https://HOST/v{version}/longshore-{version}-{target}.tar.gz\"  # or `wheel`, `npm`, `deb`
version = \"VERSION\"
sha256.\"linux/amd64\" = \"SHA-256\"
sha256.\"linux/arm64\" = \"SHA-256\"

[workspace.metadata.longshore.ci.tool]  # a commit: compiled once for each architecture
git = \"https://HOST/longshore\"
rev = \"COMMIT\"

[workspace.metadata.longshore.ci.tool]  # the same, from a directory of this repository
path = \"DIRECTORY\"

or depend on `longshore` in a member `xtask` of the workspace";

/// Returns the error for a workspace that names no source.
pub fn no_source_error() -> Error {
    Error::usage("jobs cannot get longshore: the workspace names no source of it").hint(CHOICES)
}

impl ToolSettings {
    /// Returns the source that the table names.
    ///
    /// # Errors
    /// It names none or several, a value is missing or has the wrong form, or a key belongs to a different source.
    pub fn source(&self) -> Result<ToolSource> {
        let urls = [&self.archive, &self.wheel, &self.npm, &self.deb];
        let formats = ToolFormat::ALL.into_iter().zip(urls);
        let format = formats.clone().find_map(|(format, url)| Some((format, url.as_ref()?)));
        let mut keys: Vec<&str> =
            formats.filter(|(_, url)| url.is_some()).map(|(format, _)| format.key()).collect();
        keys.extend(self.git.as_ref().map(|_| "git"));
        keys.extend(self.xtask.map(|_| "xtask"));
        keys.extend(self.path.as_ref().map(|_| "path"));
        let key = match keys[..] {
            [] => {
                let choices = "set `archive`, `wheel`, `npm`, `deb`, `git`, `xtask` or `path`";
                return Err(config_error("`tool` names no source", choices));
            }
            [key] => key,
            [first, second, ..] => {
                let message =
                    format!("`tool` names several sources: `tool.{first}` and `tool.{second}`");
                return Err(config_error(&message, "set one of them"));
            }
        };
        self.check_other_keys(key, format.is_some())?;
        match (format, &self.git, &self.path) {
            (Some((format, url)), ..) => self.download(format, url).map(ToolSource::Download),
            (None, Some(url), _) => self.commit(url),
            (None, None, Some(path)) => directory(path),
            (None, None, None) if self.xtask == Some(true) => Ok(ToolSource::Xtask),
            (None, None, None) => {
                Err(config_error("`tool.xtask` is `false`", "set a different source"))
            }
        }
    }

    /// Rejects keys that belong to a different source than `key`.
    fn check_other_keys(&self, key: &str, download: bool) -> Result<()> {
        let others = [
            ("version", self.version.is_some() && !download),
            ("sha256", !self.sha256.is_empty() && !download),
            ("rev", self.rev.is_some() && key != "git"),
        ];
        match others.into_iter().find(|(_, wrong)| *wrong) {
            None => Ok(()),
            Some((other, _)) => Err(config_error(
                &format!("`tool.{other}` has no effect beside `tool.{key}`"),
                match other {
                    "rev" => "only `git` has a `rev`",
                    _ => "only `archive`, `wheel`, `npm` and `deb` have `version` and `sha256`",
                },
            )),
        }
    }

    fn commit(&self, url: &str) -> Result<ToolSource> {
        check_url("git", url)?;
        let Some(rev) = &self.rev else {
            return Err(config_error("`tool.git` has no `rev`", "set the full hash of a commit"));
        };
        if rev.len() != 40 || !rev.bytes().all(|b| b"0123456789abcdef".contains(&b)) {
            let message = format!(
                "`tool.rev`: expected the full hash of a commit (40 lowercase hex digits), found `{}`",
                rev.escape_debug()
            );
            let hint = "branches and tags can be changed later; `git rev-parse` prints the hash";
            return Err(config_error(&message, hint));
        }
        Ok(ToolSource::Git { url: url.to_owned(), rev: rev.clone() })
    }

    fn download(&self, format: ToolFormat, url: &FileUrl) -> Result<ToolDownload> {
        let key = format.key();
        let Some(version) = &self.version else {
            let message = format!("`tool.{key}` has no `version`");
            return Err(config_error(&message, "set the version of longshore in that file"));
        };
        let version: Version = version.parse().map_err(|error| {
            let message = format!("`tool.version` is `{}`", version.escape_debug());
            config_error(&message, "a complete version, such as `0.1.0`").because(error)
        })?;
        let pins = self.pins(key)?;
        if let FileUrl::Each(urls) = url {
            for name in urls.keys() {
                platform(&format!("{key}.{name}"), name)?;
                if !self.sha256.contains_key(name) {
                    let message = format!("`tool.{key}.{name}` has no SHA-256");
                    let hint = format!("add `sha256.\"{name}\" = \"…\"` to `[{TABLE}]`");
                    return Err(config_error(&message, &hint));
                }
            }
        }
        let mut files: BTreeMap<Platform, ToolFile> = BTreeMap::new();
        for (name, sha256) in pins {
            let (platform, target) = platform("sha256", name)?;
            if format == ToolFormat::Deb && platform.os != "linux" {
                let message = format!("`tool.sha256.{name}`: `tool.deb` is for Linux only");
                return Err(config_error(&message, "remove it, or use `archive`"));
            }
            let url = match url {
                FileUrl::Template(template) => {
                    expand(key, template, &version, (&platform, target))?
                }
                FileUrl::Each(urls) => match urls.get(name) {
                    Some(url) => url.clone(),
                    None => {
                        let message = format!("`tool.{key}` has no URL for `{name}`");
                        return Err(config_error(&message, "each SHA-256 belongs to a file"));
                    }
                },
            };
            check_url(key, &url)?;
            if !url.ends_with(format.extension()) {
                let message =
                    format!("`tool.{key}`: `{url}` does not end with `{}`", format.extension());
                return Err(config_error(&message, "set the URL of the file"));
            }
            if let Some((other, _)) = files.iter().find(|(_, file)| file.url == url) {
                let message = format!("`tool.{key}` is one URL for `{other}` and `{platform}`");
                let hint =
                    "use `{target}`, `{architecture}` or `{machine}` in it, or a table of URLs";
                return Err(config_error(&message, hint));
            }
            files.insert(platform, ToolFile { url, sha256 });
        }
        Ok(ToolDownload { format, version, files })
    }

    /// Returns the digests by platform.
    fn pins(&self, key: &str) -> Result<Vec<(&str, Digest)>> {
        if self.sha256.is_empty() {
            let message = format!("`tool.{key}` has no `sha256`");
            let hint = format!("add `sha256.\"linux/amd64\" = \"…\"` to `[{TABLE}]`");
            return Err(config_error(&message, &hint));
        }
        let mut pins = Vec::new();
        for (name, hex) in &self.sha256 {
            let digest = format!("sha256:{hex}").parse::<Digest>().map_err(|_| {
                let message = format!(
                    "`tool.sha256.{name}`: expected 64 lowercase hex digits, found `{}`",
                    hex.escape_debug()
                );
                config_error(&message, "`sha256sum FILE` and `SHA256SUMS` of a release print it")
            })?;
            pins.push((name.as_str(), digest));
        }
        Ok(pins)
    }
}

/// Returns the platform with that name, and rustc's name of its target.
fn platform(key: &str, name: &str) -> Result<(Platform, &'static str)> {
    let known = PLATFORMS.iter().find(|(known, ..)| *known == name);
    let parsed = known.and_then(|(_, target, _)| Some((name.parse().ok()?, *target)));
    parsed.ok_or_else(|| {
        let message =
            format!("`tool.{key}`: longshore is not released for `{}`", name.escape_debug());
        let known = PLATFORMS.map(|(name, ..)| name).join("`, `");
        config_error(&message, &format!("platforms: `{known}`"))
    })
}

/// Replaces the placeholders of a URL.
fn expand(
    key: &str,
    template: &str,
    version: &Version,
    (platform, target): (&Platform, &str),
) -> Result<String> {
    let machine = Architecture::from_goarch(&platform.architecture).and_then(|it| it.uname(None));
    let version = version.to_string();
    let values = [&version, target, &platform.architecture, machine.unwrap_or_default()];
    let mut url = template.to_owned();
    for (name, value) in PLACEHOLDERS.iter().zip(values) {
        url = url.replace(&format!("{{{name}}}"), value);
    }
    if url.contains(['{', '}']) {
        let message = format!("`tool.{key}` has an unknown placeholder: `{}`", url.escape_debug());
        let known = PLACEHOLDERS.join("}`, `{");
        return Err(config_error(&message, &format!("placeholders: `{{{known}}}`")));
    }
    Ok(url)
}

/// Rejects everything but an `https` URL without credentials, query and fragment. This machine's own servers and
/// files need no encryption.
fn check_url(key: &str, url: &str) -> Result<()> {
    let wrong = |what: &str, hint: &str| {
        let message = format!("`tool.{key}`: `{}` {what}", url.escape_debug());
        Err(config_error(&message, hint))
    };
    let split = |rest: &'_ str| -> (String, String) {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        (host.to_owned(), path.to_owned())
    };
    let (host, path) = match url.split_once("://") {
        Some(("https", rest)) => split(rest),
        Some(("http", rest)) if is_loopback(&split(rest).0) => split(rest),
        Some(("file", rest)) if rest.starts_with('/') => split(&format!("localhost{rest}")),
        _ => return wrong("is not an `https` URL", "other protocols are not encrypted"),
    };
    if host.contains('@') {
        return wrong("has credentials", "files and repositories must be public");
    }
    if path.contains(['?', '#']) {
        return wrong("has a query or a fragment", "set the URL of the file or repository alone");
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || "-._~:/%+@,=()[]".contains(c);
    if host.is_empty() || path.is_empty() || !url.chars().all(fine) {
        return wrong("is not a URL of a file or repository", "such as `https://example.org/a/b`");
    }
    Ok(())
}

/// Returns the source in a directory of the workspace.
fn directory(path: &str) -> Result<ToolSource> {
    let part = |part: &str| {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-._+@".contains(c);
        !["", ".", ".."].contains(&part) && !part.starts_with('-') && part.chars().all(fine)
    };
    if !path.split('/').all(part) {
        let message = format!("`tool.path` is `{}`", path.escape_debug());
        return Err(config_error(
            &message,
            "a directory of the workspace, such as `vendor/longshore`",
        ));
    }
    Ok(ToolSource::Path(path.to_owned()))
}

#[cfg(test)]
mod tests;
