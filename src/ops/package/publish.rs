//! `package publish-npm`: the packages of a release, by npm itself, in an order in which a main package is never
//! published without the packages of its platforms.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use sha2::{Digest as _, Sha512};

use super::form;
use crate::{
    model::{
        command::Command,
        digest::Digest,
        error::{Error, Result, Status},
        schema::{
            Dist,
            dist::{ArchiveKind, ChannelKind},
            plan,
        },
    },
    ops::output::manifest,
    sys::{Context, fs},
};

/// The largest package that is read, in bytes.
const MAX_SIZE: u64 = 1 << 30;

/// The packages to publish.
#[derive(Clone, Debug, Default)]
pub struct PublishRequest {
    /// The directory with `dist.json`.
    pub dist: Utf8PathBuf,
    /// The cargo packages; all of them if none is named.
    pub packages: Vec<String>,
    /// The URL of the registry; npm's own setting if absent.
    pub registry: Option<String>,
    /// The tag of the version; that of the pre-release or `latest` if absent.
    pub tag: Option<String>,
    /// Whether nothing is sent.
    pub dry_run: bool,
}

/// A package of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NpmPackage {
    name: String,
    version: String,
    path: String,
    sha256: Digest,
}

/// Publishes the packages for npm: those of all platforms first, each main package last. Packages that are
/// in the registry are left as they are, so that an interrupted run can be repeated.
///
/// # Errors
/// A file does not match `dist.json`, npm is missing, or the registry has a different package of that version,
/// rejects a package, or is unreachable.
pub fn publish_npm(cx: &Context, request: &PublishRequest) -> Result<()> {
    let dist = manifest::read_in(&request.dist)?;
    let packages = ordered_packages(&dist, &request.packages);
    if packages.is_empty() {
        return Err(Error::usage(format!("`{}` has no packages for npm", request.dist)).hint(
            "set `npm = true` in `[package.metadata.longshore]`, and run `cargo longshore dist`",
        ));
    }
    let npm = cx.env.which("npm").ok_or_else(|| {
        Error::tool("`npm` is not installed").hint("https://docs.npmjs.com/ has it")
    })?;
    let publisher = Publisher { cx, request, npm: npm.into_string() };
    // Every file is checked before the first is sent.
    let mut checked = Vec::new();
    for package in packages {
        let integrity = read_integrity(&request.dist, &package)?;
        checked.push((package, integrity));
    }
    for (package, integrity) in &checked {
        cx.children.check()?;
        let what = format!("{}@{}", package.name, package.version);
        match publisher.published(package)? {
            Some(there) if there == *integrity => cx.status("Unchanged", what),
            Some(there) => {
                return Err(Error::new(
                    Status::Registry,
                    format!(
                        "the registry has a different `{what}`: expected {integrity}, got {there}"
                    ),
                )
                .hint("a published version is immutable: release a new version"));
            }
            None if request.dry_run => cx.status("Would publish", what),
            None => {
                publisher.publish(package)?;
                cx.status("Published", what);
            }
        }
    }
    Ok(())
}

/// Returns the packages in the order of their publication.
fn ordered_packages(dist: &Dist, names: &[String]) -> Vec<NpmPackage> {
    let chosen = |plan: &&plan::Archive| names.is_empty() || names.contains(&plan.package);
    let (mut platforms, mut mains) = (Vec::new(), Vec::new());
    for plan in dist.packages.iter().filter(chosen) {
        let Some(npm) = &plan.npm else { continue };
        let made = dist
            .archives
            .iter()
            .find(|archive| archive.kind == ArchiveKind::Npm && form::is_made_of(archive, plan));
        if let (Some(archive), Some(name)) = (made, npm.package_for(&plan.platform)) {
            let (version, path) = (npm.version.clone(), archive.path.clone());
            platforms.push(NpmPackage { name, version, path, sha256: archive.sha256 });
        }
        let file = npm.file_name(&npm.name);
        let main = dist.channels.iter().find(|channel| {
            channel.kind == ChannelKind::Npm && channel.path.ends_with(&format!("/{file}"))
        });
        if let Some(channel) = main {
            let main = NpmPackage {
                name: npm.name.clone(),
                version: npm.version.clone(),
                path: channel.path.clone(),
                sha256: channel.sha256,
            };
            if !mains.contains(&main) {
                mains.push(main);
            }
        }
    }
    platforms.into_iter().chain(mains).collect()
}

/// Returns the digest of a package in the form of registries (<https://www.w3.org/TR/SRI/>).
fn read_integrity(root: &Utf8Path, package: &NpmPackage) -> Result<String> {
    let path = root.join(&package.path);
    let bytes = fs::read_start(&path, MAX_SIZE)?;
    if Digest::sha256(&bytes) != package.sha256 {
        return Err(Error::check(format!("`{path}` does not match `dist.json`"))
            .hint("`cargo longshore package` makes it again"));
    }
    Ok(format!("sha512-{}", STANDARD.encode(Sha512::digest(&bytes))))
}

/// Returns the tag for a version. npm requires one for a pre-release, so that it does not become `latest`
/// (<https://docs.npmjs.com/cli/commands/npm-publish#tag>).
fn default_tag(version: &str) -> &str {
    let Some((_, pre)) = version.split_once('-') else { return "latest" };
    let end = pre.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(pre.len());
    match pre.get(..end) {
        None | Some("") => "next",
        Some(word) => word,
    }
}

struct Publisher<'a> {
    cx: &'a Context,
    request: &'a PublishRequest,
    npm: String,
}

impl Publisher<'_> {
    fn command(&self, verb: &str) -> Command {
        let command = Command::new(&self.npm).arg(verb).with_credentials();
        match &self.request.registry {
            Some(url) => command.args(["--registry", url]),
            None => command,
        }
    }

    /// Returns the digest of the package in the registry; `None` if it is not there.
    fn published(&self, package: &NpmPackage) -> Result<Option<String>> {
        let what = format!("{}@{}", package.name, package.version);
        let command = self.command("view").args([what.as_str(), "dist.integrity", "--json"]);
        let output = self.cx.children.output(&command)?;
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if output.success() {
            return match answer {
                // npm prints nothing about a missing version of an existing package.
                Value::Null => Ok(None),
                Value::String(integrity) => Ok(Some(integrity)),
                other => Err(Error::new(
                    Status::Registry,
                    format!("npm printed `{other}` as the digest of `{what}`"),
                )),
            };
        }
        if answer.pointer("/error/code").and_then(Value::as_str) == Some("E404") {
            return Ok(None);
        }
        Err(Error::new(
            Status::Registry,
            format!("npm cannot find out whether `{what}` is published"),
        )
        .detail(output.tail(10)))
    }

    fn publish(&self, package: &NpmPackage) -> Result<()> {
        let tag = self.request.tag.as_deref().unwrap_or_else(|| default_tag(&package.version));
        let path = self.cx.env.dir.join(&self.request.dist).join(&package.path);
        // The package has no scripts, and npm would run those of a workspace around it.
        let command =
            self.command("publish").args([path.as_str(), "--tag", tag, "--ignore-scripts"]);
        let output = self.cx.children.output(&command)?;
        if output.success() {
            return Ok(());
        }
        let what = format!("{}@{}", package.name, package.version);
        Err(Error::new(
            Status::Registry,
            format!("npm did not publish `{what}`: {}", output.ending()),
        )
        .detail(output.tail(20))
        .hint(
            "run the same command again when it is fixed: published packages are left as they are",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::default_tag;

    #[test]
    fn a_pre_release_does_not_become_the_latest_version() {
        for (version, tag) in [
            ("1.0.0", "latest"),
            ("1.0.0-rc.1", "rc"),
            ("1.0.0-beta1", "beta"),
            ("1.0.0-0", "next"),
        ] {
            assert_eq!(default_tag(version), tag);
        }
    }
}
