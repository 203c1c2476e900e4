//! The packages of a plan, one function for each format.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;

use super::archive::PackageFiles;
use crate::{
    archive::{deb, npm, repository::apt::is_path_part, wheel},
    build::{
        config::{FormatSetting, ModuleSetting, RepoSettings},
        target::Target,
        workspace::Package,
    },
    model::{
        collect::CollectOrdered as _,
        error::{Error, Result},
        license,
        machine::Linkage,
        schema::{
            packaging::Format,
            plan::{Archive, Deb, Homebrew, Installer, Npm, Repo, Wheel, WheelModule},
        },
    },
};

/// The longest `Summary` that PyPI accepts (`warehouse/forklift/metadata.py` of
/// <https://github.com/pypi/warehouse>).
const MAX_SUMMARY: usize = 512;

/// npm's word for a package without a licence
/// (<https://docs.npmjs.com/cli/configuring-npm/package-json#license>).
const UNLICENSED: &str = "UNLICENSED";

/// The versions of Python that the module of a wheel is written for.
const PYTHON: &str = ">=3.7";

/// The hosts with releases below the URL of the repository, and the path of their files there.
const RELEASE_HOSTS: [&str; 2] = ["https://github.com/", "https://codeberg.org/"];

/// Checks that no two packages of one format have one name, as the registry of the format compares names.
///
/// # Errors
/// Two packages have one name.
pub(super) fn check_unique_names(archives: &[Archive]) -> Result<()> {
    let mut names: BTreeMap<(&str, Option<&str>, String), &Archive> = BTreeMap::new();
    for archive in archives {
        let npm = archive.npm.as_ref();
        // The name of each format; some have one file for all targets.
        let of_target = [
            ("deb", archive.deb.as_ref().map(|deb| deb.name.clone())),
            ("rpm", archive.rpm.as_ref().map(|rpm| rpm.name.clone())),
            ("arch", archive.arch.as_ref().map(|arch| arch.name.clone())),
            ("wheel", archive.wheel.as_ref().map(|wheel| wheel::normalized_name(&wheel.name))),
            ("npm", npm.map(|npm| npm.name.clone())),
            ("installer", archive.installer.as_ref().map(|installer| installer.name.clone())),
            ("homebrew", archive.homebrew.as_ref().map(|formula| formula.name.clone())),
        ];
        let target = Some(archive.target.as_str());
        let mut all: Vec<_> =
            of_target.into_iter().map(|(key, name)| (key, target, name)).collect();
        // One target's package for npm is not another's.
        all.push(("npm", None, npm.and_then(|npm| npm.package_for(&archive.platform))));
        for (key, target, name) in all {
            let Some(name) = name else { continue };
            let Some(other) = names.insert((key, target, name.clone()), archive) else { continue };
            let what = match target {
                Some(_) => format!("packages `{}` and `{}`", other.package, archive.package),
                None => format!("targets `{}` and `{}`", other.target, archive.target),
            };
            return Err(Error::usage(format!("{what} would both be `{name}` by `{key}`")).hint(
                format!(
                    "set a different name with `{key}.name`, or leave `{key}` out in one of them"
                ),
            ));
        }
    }
    Ok(())
}

/// Returns warnings about packages that a registry may reject.
pub(super) fn warnings(archives: &[Archive]) -> BTreeSet<String> {
    let mut warnings = BTreeSet::new();
    for archive in archives {
        let package = &archive.package;
        if let Some(wheel) = archive.wheel.as_ref().filter(|wheel| wheel.version.contains('+')) {
            warnings.insert(format!(
                "the wheel of package `{package}` has the version `{}`, and PyPI accepts no version \
                 with build metadata (\"Local version identifiers\" of \
                 https://packaging.python.org/en/latest/specifications/version-specifiers/)",
                wheel.version
            ));
        }
        if archive.npm.as_ref().is_some_and(|npm| npm.license == UNLICENSED) {
            warnings.insert(format!(
                "package `{package}` has neither `license` nor a file with its licence: its package \
                 for npm is `{UNLICENSED}`"
            ));
        }
    }
    warnings
}

/// Plans the packages of one cargo package, or of one of its binaries, for one target.
#[derive(Clone, Copy)]
pub(super) struct FormatPlanner<'a> {
    pub(super) package: &'a Package,
    pub(super) found: &'a PackageFiles,
    pub(super) target: &'a Target,
    /// The name of the package, or that of the binary that has separate archives.
    pub(super) name: &'a str,
    pub(super) binaries: &'a [&'a str],
}

impl FormatPlanner<'_> {
    pub(super) fn error(&self, format: &str, what: String) -> Error {
        Error::usage(format!("package `{}` cannot be {format}: {what}", self.package.name))
    }

    pub(super) fn version(&self, format: &str) -> Result<Version> {
        let version = Version::parse(&self.package.version);
        version.map_err(|error| self.error(format, format!("its version: {error}")))
    }

    pub(super) fn description(&self, format: &str) -> Result<&str> {
        let text = self.package.about.description.as_deref();
        text.filter(|text| !text.trim().is_empty()).ok_or_else(|| {
            self.error(format, "it has no description".to_owned())
                .hint("add `description` to its `Cargo.toml`")
        })
    }

    /// Checks what formats for every Linux need.
    fn check_portable(&self, format: &str) -> Result<()> {
        if self.target.spec.linkage == Linkage::Dynamic {
            let target = &self.target.name;
            let what = format!("the binaries for `{target}` are dynamically linked");
            return Err(self.error(format, what).hint(
                "these packages are installed on every Linux: build static binaries, for a musl target",
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        match self.binaries.iter().find(|name| !name.chars().all(plain)) {
            Some(name) => Err(self
                .error(format, format!("its binary is called `{name}`"))
                .hint("a program in it has a name of letters, digits, `.`, `_`, `+` and `-`")),
            None => Ok(()),
        }
    }

    /// Returns the URLs of the package by their labels.
    fn urls(&self) -> impl Iterator<Item = (&'static str, String)> {
        let about = &self.package.about;
        let all = [
            ("Documentation", about.documentation.clone()),
            ("Homepage", about.homepage.clone()),
            ("Source", about.repository.clone()),
        ];
        all.into_iter().filter_map(|(label, url)| Some((label, url?)))
    }

    /// Returns the package for Debian.
    pub(super) fn deb(&self) -> Result<Option<Deb>> {
        let Self { package, name, binaries, .. } = *self;
        let Some(settings) = FormatSetting::settings(package.settings.deb.as_ref()) else {
            return Ok(None);
        };
        let wrong = |what: String| self.error("a `.deb`", what);
        let platform = &self.target.spec.platform;
        let architecture = deb::architecture(platform)
            .ok_or_else(|| wrong(format!("Debian has no architecture for `{platform}`")))?;
        let name = settings.name.unwrap_or_else(|| name.replace('_', "-").to_lowercase());
        if !deb::is_name(&name) {
            return Err(wrong(format!("`{name}` is not a valid package name"))
                .hint("`deb.name` has lower-case letters, digits, `+`, `-` and `.`"));
        }
        let author = || package.about.authors.iter().find(|author| author.contains('@')).cloned();
        let maintainer = settings.maintainer.or_else(author).ok_or_else(|| {
            wrong("it has no maintainer".to_owned())
                .hint("add `deb.maintainer = \"Name <mail@example.org>\"`, or `authors`")
        })?;
        let version = Version::parse(&package.version)
            .map_err(|error| wrong(format!("its version: {error}")))?;
        let about = package.about.description.as_deref().ok_or_else(|| {
            wrong("it has no description".to_owned()).hint("add `description` to its `Cargo.toml`")
        })?;
        let relations = [
            ("Depends", settings.depends),
            ("Recommends", settings.recommends),
            ("Conflicts", settings.conflicts),
        ];
        let synopsis = deb::synopsis(&name, about);
        let programs = binaries.iter().map(|binary| format!("`{binary}`")).collect::<Vec<_>>();
        Ok(Some(Deb {
            version: deb::version(&version, settings.revision.as_deref().unwrap_or("1")),
            architecture: architecture.to_owned(),
            maintainer,
            section: settings.section.unwrap_or_else(|| "utils".to_owned()),
            description: settings
                .extended_description
                .unwrap_or_else(|| deb::description(about, &synopsis, &programs)),
            synopsis,
            homepage: package.about.homepage.clone().or(package.about.repository.clone()),
            relations: relations
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                .collect_map(),
            authors: package.about.authors.clone(),
            license: package.about.license.clone(),
            files: self.found.deb.clone(),
            name,
        }))
    }

    /// Returns the wheel.
    pub(super) fn wheel(&self) -> Result<Option<Wheel>> {
        let (package, format) = (self.package, "a wheel");
        let Some(settings) = FormatSetting::settings(package.settings.wheel.as_ref()) else {
            return Ok(None);
        };
        self.check_portable(format)?;
        let platform = &self.target.spec.platform;
        if wheel::platform_tags(platform).is_none() {
            return Err(self.error(format, format!("Python has no tag for `{platform}`")));
        }
        let name = settings.name.unwrap_or_else(|| self.name.to_owned());
        if !wheel::is_name(&name) {
            return Err(self
                .error(format, format!("`{name}` is not a valid name"))
                .hint("`wheel.name` has letters, digits, `-`, `_` and `.`, and begins and ends with a letter or a digit"));
        }
        if wheel::is_reserved(&name) {
            return Err(self
                .error(format, format!("`{name}` is a module of Python's standard library"))
                .hint("PyPI rejects this name; `wheel.name` sets a different one"));
        }
        let version = self.version(format)?;
        let version = wheel::version(&version).ok_or_else(|| {
            self.error(format, format!("Python has no form of the version `{version}`")).hint(
                "its pre-releases are `alpha.1`, `beta.1`, `rc.1` and `dev.1`, with a number at most",
            )
        })?;
        let description = self.description(format)?;
        let module = self.wheel_module(&name, settings.module.as_ref())?;
        let about = &package.about;
        Ok(Some(Wheel {
            version,
            summary: shorten(description, MAX_SUMMARY),
            authors: about.authors.clone(),
            license: about.license.as_deref().and_then(license::parse_expression),
            keywords: about.keywords.clone(),
            classifiers: settings.classifiers,
            requires_python: settings.requires_python.unwrap_or_else(|| PYTHON.to_owned()),
            urls: self.urls().map(|(label, url)| (label.to_owned(), url)).collect_map(),
            readme: self.found.readme.clone(),
            module,
            name,
        }))
    }

    /// Returns the module that `python -m` starts. By default there is one if its name and its program are clear.
    fn wheel_module(
        &self,
        name: &str,
        setting: Option<&ModuleSetting>,
    ) -> Result<Option<WheelModule>> {
        let module = match setting {
            Some(ModuleSetting::Switch(false)) => return Ok(None),
            Some(ModuleSetting::Name(name)) => name.clone(),
            None | Some(ModuleSetting::Switch(true)) => {
                wheel::normalized_name(name).replace('-', "_")
            }
        };
        let binary = self.package.entrypoint(self.binaries);
        let what = match binary {
            _ if !wheel::is_module_name(&module) => {
                format!("`{module}` is not a name of a Python module")
            }
            _ if wheel::is_reserved(&module) => {
                format!("its module `{module}` would hide one of Python's standard library")
            }
            None => "no binary stands out for its module".to_owned(),
            Some(binary) => {
                return Ok(Some(WheelModule { name: module, binary: binary.to_owned() }));
            }
        };
        if setting.is_none() {
            return Ok(None);
        }
        Err(self.error("a wheel", what).hint(
            "`wheel.module` sets a name, or `false`; `default-run` in `Cargo.toml` chooses the binary",
        ))
    }

    /// Returns the packages for npm.
    pub(super) fn npm(&self) -> Result<Option<Npm>> {
        let (package, format) = (self.package, "a package for npm");
        let Some(settings) = FormatSetting::settings(package.settings.npm.as_ref()) else {
            return Ok(None);
        };
        self.check_portable(format)?;
        // Names of crates may have capitals, which npm forbids.
        let own = self.name.to_ascii_lowercase();
        let scope = settings.scope.as_deref().map(|scope| scope.trim_start_matches('@'));
        let scoped = |name: &str| match scope {
            Some(scope) => format!("@{scope}/{name}"),
            None => name.to_owned(),
        };
        let name = settings.name.unwrap_or_else(|| scoped(&own));
        let platform_name = match (scope, name.rsplit('/').next()) {
            (Some(_), Some(last)) => scoped(last),
            _ => name.clone(),
        };
        let about = &package.about;
        let npm = Npm {
            version: npm::version(&self.version(format)?),
            description: one_line(self.description(format)?),
            license: self.npm_license(),
            authors: about.authors.clone(),
            keywords: about.keywords.clone(),
            homepage: about.homepage.clone(),
            repository: about.repository.clone(),
            access: settings.access.map(|access| access.name().to_owned()),
            readme: self.found.readme.clone(),
            name,
            platform_name,
        };
        let platform = &self.target.spec.platform;
        let for_platform = npm
            .package_for(platform)
            .ok_or_else(|| self.error(format, format!("Node.js does not run on `{platform}`")))?;
        for name in [&npm.name, &for_platform] {
            if let Some(reason) = npm::invalid_name(name) {
                return Err(self
                    .error(format, format!("`{name}` is not a valid name: {reason}"))
                    .hint("`npm.name` and `npm.scope` set different names"));
            }
        }
        Ok(Some(npm))
    }

    /// Returns `license` of `package.json`: an expression, or one of the sentences for other cases
    /// (<https://docs.npmjs.com/cli/configuring-npm/package-json#license>).
    fn npm_license(&self) -> String {
        let expression = self.package.about.license.as_deref().and_then(license::parse_expression);
        match (expression, self.found.licenses.first()) {
            (Some(expression), _) => expression,
            (None, Some(file)) => format!("SEE LICENSE IN {file}"),
            (None, None) => UNLICENSED.to_owned(),
        }
    }

    /// Returns the installation script.
    pub(super) fn installer(&self) -> Result<Option<Installer>> {
        let (package, format) = (self.package, "installed by a script");
        let Some(settings) = FormatSetting::settings(package.settings.installer.as_ref()) else {
            return Ok(None);
        };
        self.check_portable(format)?;
        let platform = &self.target.spec.platform;
        if crate::archive::installer::machine(platform).is_none() {
            return Err(self.error(format, format!("`uname -m` has no name for `{platform}`")));
        }
        let url = self.download_url("installer", format, settings.url.as_deref())?;
        Ok(Some(Installer { name: self.name.to_owned(), url }))
    }

    /// Returns the formula for Homebrew.
    pub(super) fn homebrew(&self) -> Result<Option<Homebrew>> {
        let (package, format) = (self.package, "a formula");
        let Some(settings) = FormatSetting::settings(package.settings.homebrew.as_ref()) else {
            return Ok(None);
        };
        self.check_portable(format)?;
        let name = settings.name.unwrap_or_else(|| self.name.to_ascii_lowercase());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_+.@".contains(c);
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(plain) {
            return Err(self
                .error(format, format!("`{name}` is not a valid name"))
                .hint("`homebrew.name` has lower-case letters, digits, `-`, `_`, `+`, `.` and `@`, and begins with a letter"));
        }
        let about = &package.about;
        let homepage = about.homepage.clone().or_else(|| about.repository.clone());
        let homepage = homepage.ok_or_else(|| {
            self.error(format, "it has no home page".to_owned())
                .hint("add `homepage` or `repository` to its `Cargo.toml`")
        })?;
        Ok(Some(Homebrew {
            url: self.download_url("homebrew", format, settings.url.as_deref())?,
            description: deb::synopsis(&name, self.description(format)?),
            homepage,
            license: about.license.as_deref().and_then(license::parse_expression),
            name,
        }))
    }

    /// Returns how the packages are added to repositories, if the metadata has that.
    pub(super) fn repo(&self) -> Result<Option<Repo>> {
        let settings = &self.package.settings;
        let Some(repo) = &settings.repo else { return Ok(None) };
        let Some(repo) = FormatSetting::settings(Some(repo)) else {
            return Ok(Some(Repo { excluded: true, ..Repo::default() }));
        };
        let is_on = settings.deb.as_ref().is_some_and(FormatSetting::is_on)
            || settings.rpm.as_ref().is_some_and(FormatSetting::is_on);
        if !is_on {
            return Err(self
                .error("in a repository", "it has neither a .deb nor an .rpm".to_owned())
                .hint("add `deb = true` or `rpm = true` to `[package.metadata.longshore]`"));
        }
        for (key, name) in [("suite", &repo.suite), ("component", &repo.component)] {
            if let Some(name) = name.as_ref().filter(|name| !is_path_part(name)) {
                return Err(self
                    .error("in a repository", format!("`repo.{key}` is `{name}`"))
                    .hint("letters and digits of ASCII, `.`, `_` and `-`"));
            }
        }
        let RepoSettings { suite, component, origin, gpg_key } = repo;
        Ok(Some(Repo { excluded: false, suite, component, origin, gpg_key }))
    }

    /// Returns the URL of the directory with the archives of this version.
    fn download_url(&self, key: &str, format: &str, setting: Option<&str>) -> Result<String> {
        let package = self.package;
        if !package.settings.archive.formats.contains(&Format::TarGz) {
            return Err(self
                .error(format, "it downloads archives in the format `tar.gz`".to_owned())
                .hint("add `\"tar.gz\"` to `archive.formats`"));
        }
        let repository = package.about.repository.as_deref().unwrap_or_default();
        let url = match setting {
            Some(url) => {
                url.replace("{version}", &package.version).replace("{package}", &package.name)
            }
            None if RELEASE_HOSTS.iter().any(|host| repository.starts_with(host)) => {
                let repository = repository.trim_end_matches('/').trim_end_matches(".git");
                format!("{repository}/releases/download/v{}", package.version)
            }
            None => {
                let what = "the URL of its archives is not known".to_owned();
                return Err(self.error(format, what).hint(format!(
                    "set `{key}.url`, such as `https://example.org/{{package}}/{{version}}`; only a \
                     `repository` on GitHub or Codeberg implies it"
                )));
            }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/@%+,=&?".contains(c);
        let url = url.trim_end_matches('/');
        let web = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if web.is_none_or(str::is_empty) || !url.chars().all(plain) {
            return Err(self
                .error(format, format!("`{url}` is not the URL of a directory"))
                .hint(format!("`{key}.url` begins with `https://`, and has no quotes or spaces")));
        }
        Ok(url.to_owned())
    }
}

/// Returns `text` in one line of at most `max` bytes, cut after a word.
fn shorten(text: &str, max: usize) -> String {
    let mut short = String::new();
    for word in text.split_whitespace() {
        if short.len() + word.len() >= max {
            break;
        }
        short += if short.is_empty() { "" } else { " " };
        short += word;
    }
    short
}

fn one_line(text: &str) -> String {
    shorten(text, usize::MAX)
}
