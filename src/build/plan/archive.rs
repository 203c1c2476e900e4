//! The archives and packages of a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    arch::plan_arch,
    formats::{self, FormatPlanner},
    rpm::plan_rpm,
    selection::Selection,
    settings::Settings,
};
use crate::{
    build::{
        config::{self, WorkspaceSettings},
        target::Target,
        workspace::Package,
    },
    model::{
        error::{Error, Result},
        schema::{
            packaging::Shell,
            plan::{Archive, Companions, Smoke},
        },
    },
};

/// The files of a package that go into its archives: by their paths there, relative to the
/// workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageFiles {
    /// All of them.
    pub files: BTreeMap<String, String>,
    /// Those among them that are licences.
    pub licenses: Vec<String>,
    /// The README, if there is one.
    pub readme: Option<String>,
    /// The changelog, if there is one.
    pub changelog: Option<String>,
    /// More files of the package for Debian, by where they are installed.
    pub deb: BTreeMap<String, String>,
    /// More files of the RPM package, by where they are installed.
    pub rpm: BTreeMap<String, String>,
    /// Names of the files that `archive.require` lists and that are missing.
    pub missing: Vec<String>,
    /// One sentence for each usual file that is missing.
    pub warnings: Vec<String>,
}

/// Returns the archives of each package for each target.
///
/// # Errors
/// Two files for one path, an unknown binary, or what a package for Debian needs is missing.
pub(super) fn plan_archives(
    selection: &Selection<'_>,
    resolved: &Settings<'_>,
    found: &BTreeMap<String, PackageFiles>,
    settings: &WorkspaceSettings,
) -> Result<Vec<Archive>> {
    let mut archives: Vec<Archive> = Vec::new();
    for target in &resolved.targets {
        for (package, bins) in &selection.packages {
            let names: Vec<&str> = bins.iter().map(|bin| bin.name.as_str()).collect();
            let nothing = PackageFiles::default();
            let found = found.get(&package.name).unwrap_or(&nothing);
            let planner = ArchivePlanner { package, found, target, resolved, settings };
            if package.settings.archive.per_binary {
                for name in &names {
                    archives.push(planner.archive(name, &[name], &names)?);
                }
            } else {
                archives.push(planner.archive(&package.name, &names, &names)?);
            }
        }
    }
    let mut names = BTreeMap::new();
    for archive in &archives {
        if let Some(other) = names.insert(&archive.name, archive) {
            return Err(Error::usage(format!(
                "packages `{}` and `{}` both have an archive `{}`",
                other.package, archive.package, archive.name
            ))
            .hint("leave `archive.per-binary` out in one of them"));
        }
    }
    formats::check_unique_names(&archives)?;
    Ok(archives)
}

/// One package for one target.
struct ArchivePlanner<'a> {
    package: &'a Package,
    found: &'a PackageFiles,
    target: &'a Target,
    resolved: &'a Settings<'a>,
    settings: &'a WorkspaceSettings,
}

impl ArchivePlanner<'_> {
    fn archive(&self, name: &str, binaries: &[&str], all: &[&str]) -> Result<Archive> {
        let package = self.package;
        let completions = package.settings.completions.as_ref();
        let man = package.settings.man.as_ref();
        let formats =
            FormatPlanner { package, found: self.found, target: self.target, name, binaries };
        let archive = Archive {
            name: format!("{name}-{}-{}", package.version, self.target.name),
            package: package.name.clone(),
            version: package.version.clone(),
            target: self.target.name.clone(),
            platform: self.target.spec.platform.clone(),
            formats: package.settings.archive.formats.clone(),
            gzip_level: self.resolved.gzip_level,
            binaries: binaries.iter().map(|&name| name.to_owned()).collect(),
            files: self.found.files.clone(),
            licenses: self.found.licenses.clone(),
            changelog: self.found.changelog.clone(),
            missing: self.found.missing.clone(),
            completions: self.companions("completions", completions, all)?,
            man: self.companions("man", man, all)?,
            debug: self.resolved.debug_files,
            checksum_files: self.settings.checksum_files,
            deb: formats.deb()?,
            rpm: plan_rpm(&formats)?,
            arch: plan_arch(&formats)?,
            wheel: formats.wheel()?,
            npm: formats.npm()?,
            installer: formats.installer()?,
            homebrew: formats.homebrew()?,
            repo: formats.repo()?,
        };
        for binary in binaries {
            if let Some(from) = archive.files.get(*binary) {
                return Err(Error::usage(format!(
                    "`{from}` and the binary `{binary}` are both `{binary}` in the archive `{}`",
                    archive.name
                ))
                .hint("give the include another path: `{ from = \"…\", to = \"…\" }`"));
            }
        }
        Ok(archive)
    }

    fn companions(
        &self,
        key: &str,
        setting: Option<&config::Companions>,
        binaries: &[&str],
    ) -> Result<Companions> {
        let run = match setting {
            Some(config::Companions::Look(false)) => return Ok(Companions::Nowhere),
            None | Some(config::Companions::Look(true)) => return Ok(Companions::OutDir),
            Some(config::Companions::Run(run)) => run,
        };
        let location = format!("`{key}` of package `{}`", self.package.name);
        let binary = match &run.binary {
            Some(name) if !binaries.contains(&name.as_str()) => {
                return Err(Error::usage(format!("{location} names the binary `{name}`"))
                    .hint(format!("the package has {}", binaries.join(", "))));
            }
            Some(name) => name.as_str(),
            None => self.package.entrypoint(binaries).ok_or_else(|| {
                Error::usage(format!("{location} does not name the binary to run"))
                    .hint(format!("add `binary`: one of {}", binaries.join(", ")))
            })?,
        };
        let usual = || BTreeSet::from([Shell::Bash, Shell::Zsh, Shell::Fish]);
        let shells = match key {
            "man" => BTreeSet::new(),
            _ => run.shells.clone().unwrap_or_else(usual),
        };
        let several = run.run.iter().any(|arg| arg.contains("{shell}"));
        if shells.len() > 1 && !several {
            return Err(Error::usage(format!("{location} is the same command for every shell"))
                .hint("write `{shell}` for the shell's name"));
        }
        Ok(Companions::Run {
            binary: binary.to_owned(),
            args: run.run.clone(),
            shells,
            timeout: self.settings.smoke_timeout.unwrap_or(Smoke::TIMEOUT),
        })
    }
}
