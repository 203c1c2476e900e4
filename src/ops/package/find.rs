//! The contents of archives besides the built files: README, licences, CHANGELOG, and the includes of
//! the metadata.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    build::{
        config::{FormatSetting, Include, MappedPath, RequiredFile},
        plan::archive::PackageFiles,
        workspace::{Package, Workspace},
    },
    image::dockerfile::ignore::Ignore,
    model::{
        collect::SortStable as _,
        error::{Error, Result},
        schema::plan::Archive,
    },
    sys::{
        fs,
        tree::{self, EntryKind},
    },
};

/// The prefixes of the names of licences, in capitals. The last is a directory of REUSE
/// (<https://reuse.software/spec/>).
const LICENSES: [&str; 7] =
    ["LICENSE", "LICENCE", "COPYING", "UNLICENSE", "NOTICE", "COPYRIGHT", "LICENSES"];
/// The prefixes of changelogs.
const CHANGELOGS: [&str; 4] = ["CHANGELOG", "CHANGES", "RELEASES", "NEWS"];

/// Finds the files for `archives`, by package. Files may come from the workspace,
/// from the package's own directory, and from `repository`, the top directory of the repository that
/// tracks the workspace.
///
/// # Errors
/// A file that `license-file` or an include names is missing or is elsewhere, or two files have one
/// path in the archive.
pub(in crate::ops) fn find_files(
    workspace: &Workspace,
    archives: &[Archive],
    repository: Option<&Utf8Path>,
) -> Result<BTreeMap<String, PackageFiles>> {
    let mut all = BTreeMap::new();
    for package in &workspace.packages {
        let mut own = archives.iter().filter(|archive| archive.package == package.name);
        let Some(archive) = own.next() else { continue };
        let found = find_package_files(workspace, package, repository);
        // If no archive is made, an invalid include is not an error.
        let found = if archive.is_made() { found? } else { found.unwrap_or_default() };
        all.insert(package.name.clone(), found);
    }
    Ok(all)
}

fn find_package_files(
    workspace: &Workspace,
    package: &Package,
    repository: Option<&Utf8Path>,
) -> Result<PackageFiles> {
    let root = &workspace.root;
    let dir = package.manifest.parent().unwrap_or(root);
    let finder = PackageFileFinder { root, dir, repository, package: &package.name };
    let mut found = PackageFiles::default();
    finder.add_readme_and_changelog(package, &mut found)?;
    finder.add_licenses(package, &mut found)?;
    finder.add_includes(package, &mut found)?;
    Ok(found)
}

fn name(path: &Utf8Path) -> String {
    path.file_name().unwrap_or_default().to_owned()
}

/// Finds files of one package.
struct PackageFileFinder<'a> {
    root: &'a Utf8Path,
    dir: &'a Utf8Path,
    repository: Option<&'a Utf8Path>,
    package: &'a str,
}

impl PackageFileFinder<'_> {
    /// Adds the README and the list of changes.
    fn add_readme_and_changelog(&self, package: &Package, found: &mut PackageFiles) -> Result<()> {
        let named = package.about.readme.as_ref();
        let readme = match named.filter(|path| path.is_file()) {
            Some(path) => Some(path.clone()),
            None => self.first_with_prefix(&["README"])?,
        };
        let changelog = self.first_with_prefix(&CHANGELOGS)?;
        for path in readme.iter().chain(&changelog) {
            self.add_file(found, name(path), self.relative_path(path)?)?;
        }
        if readme.is_none() {
            let named = named.map(|path| format!("`{path}`, the file that `readme` names"));
            self.note_missing(package, RequiredFile::Readme, named, found);
        }
        if changelog.is_none() {
            self.note_missing(package, RequiredFile::Changelog, None, found);
        }
        found.readme = readme.as_deref().map(name);
        found.changelog = changelog.as_deref().map(name);
        Ok(())
    }

    /// Adds the licence files: those of the package, else those of the nearest directory above it that
    /// has any, up to the top of the workspace and of its repository.
    fn add_licenses(&self, package: &Package, found: &mut PackageFiles) -> Result<()> {
        let mut licenses = self.files_with_prefix(self.dir, &LICENSES)?;
        let above = self.root.ancestors().take_while(|dir| {
            *dir == self.root || self.repository.is_some_and(|top| dir.starts_with(top))
        });
        for dir in above {
            if licenses.is_empty() {
                licenses = self.files_with_prefix(dir, &LICENSES)?;
            }
        }
        let named = package.about.license_file.as_ref();
        match named.filter(|path| path.is_file()) {
            Some(path) => licenses.push((name(path), path.clone())),
            None if named.is_some() || licenses.is_empty() => {
                let file =
                    named.map(|path| format!("`{path}`, the file that `license-file` names"));
                let text = package.about.license.as_ref();
                let text = text.map(|license| format!("the text of its licence, `{license}`"));
                self.note_missing(package, RequiredFile::License, file.or(text), found);
            }
            None => {}
        }
        for (to, path) in licenses {
            self.add_file(found, to.clone(), self.relative_path(&path)?)?;
            found.licenses.push(to);
        }
        found.licenses.sort_stable();
        found.licenses.dedup();
        Ok(())
    }

    /// Records that a usual file is missing: as an error if it is required, as a warning if `what` names a
    /// setting that promises it.
    fn note_missing(
        &self,
        package: &Package,
        file: RequiredFile,
        what: Option<String>,
        found: &mut PackageFiles,
    ) {
        let settings = &package.settings.archive;
        let file_name = file.name();
        if settings.require.contains(&file) {
            found.missing.push(file_name.to_owned());
        } else if let Some(what) = what.filter(|_| !settings.allow_missing.contains(file_name)) {
            found.warnings.push(format!(
                "the archives of package `{}` lack {what}; `archive.allow-missing = \
                 [\"{file_name}\"]` in its `[package.metadata.longshore]` permits this",
                self.package
            ));
        }
    }

    /// Adds the files that `archive.include`, `deb.files` and `rpm.files` name.
    fn add_includes(&self, package: &Package, found: &mut PackageFiles) -> Result<()> {
        let settings = &package.settings.archive;
        for include in &settings.include {
            let (from, to) = match include {
                Include::Same(from) => (from, None),
                Include::Other(MappedPath { from, to }) => (from, Some(to.as_str())),
            };
            let files = self.expand_include(from, to)?;
            if files.is_empty() && !settings.allow_missing.contains(from) {
                return Err(self
                    .setting_error(format!("no file matches `{from}` of `include`"))
                    .hint(format!(
                        "paths are relative to `{}`; `allow-missing` lists what may be missing",
                        self.dir
                    )));
            }
            for (to, path) in files {
                self.add_file(found, to, path)?;
            }
        }
        if let Some(FormatSetting::Table(table)) = &package.settings.deb {
            found.deb = self.installed_files("deb.files", &table.files)?;
        }
        if let Some(FormatSetting::Table(table)) = &package.settings.rpm {
            found.rpm = self.installed_files("rpm.files", &table.files)?;
        }
        Ok(())
    }

    /// Returns the further files of a package, by their installed paths.
    fn installed_files(
        &self,
        setting: &str,
        files: &BTreeMap<Utf8PathBuf, Utf8PathBuf>,
    ) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        for (to, from) in files {
            let (path, to) = (self.dir.join(from), self.archive_path(to.as_str())?);
            if !path.is_file() {
                return Err(
                    self.setting_error(format!("there is no file `{path}` for `{setting}`"))
                );
            }
            found.insert(to, self.relative_path(&path)?);
        }
        Ok(found)
    }

    fn add_file(&self, found: &mut PackageFiles, to: String, from: String) -> Result<()> {
        if let Some(other) = found.files.get(&to).filter(|other| **other != from) {
            return Err(self
                .setting_error(format!("`{other}` and `{from}` would both be `{to}` in it"))
                .hint("give one of them another path: `{ from = \"…\", to = \"…\" }`"));
        }
        found.files.insert(to, from);
        Ok(())
    }

    fn setting_error(&self, what: String) -> Error {
        Error::usage(format!("package `{}` cannot be archived: {what}", self.package))
    }

    /// Returns the files of `dir` with such a prefix in their names, each with its name in the archive.
    fn files_with_prefix(
        &self,
        dir: &Utf8Path,
        begin: &[&str],
    ) -> Result<Vec<(String, Utf8PathBuf)>> {
        let mut found = Vec::new();
        for name in fs::source_names(dir)? {
            let upper = name.to_uppercase();
            let stem = upper.split(['.', '-', '_']).next().unwrap_or_default();
            if !begin.contains(&stem) || name.ends_with('~') {
                continue;
            }
            let path = dir.join(&name);
            if path.is_file() {
                found.push((name, path));
            } else if upper == "LICENSES" {
                for file in fs::source_names(&path)? {
                    found.push((format!("{name}/{file}"), path.join(file)));
                }
                found.retain(|(_, path)| path.is_file());
            }
        }
        Ok(found)
    }

    /// Returns the first file of the package, else of the workspace, with such a prefix in its name.
    fn first_with_prefix(&self, begin: &[&str]) -> Result<Option<Utf8PathBuf>> {
        for dir in [self.dir, self.root] {
            let found = self.files_with_prefix(dir, begin)?;
            if let Some((_, path)) = found.into_iter().min() {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Returns `path` relative to the workspace. It has to be in the workspace, in the package's
    /// directory, or in the repository of the workspace, also after links are followed.
    fn relative_path(&self, path: &Utf8Path) -> Result<String> {
        let (real, root) = (fs::canonicalize(path)?, fs::canonicalize(self.root)?);
        let mut homes = vec![root.clone(), fs::canonicalize(self.dir)?];
        homes.extend(self.repository.map(fs::canonicalize).transpose()?);
        let git = self.repository.map(|top| top.join(".git"));
        if !homes.iter().any(|home| real.starts_with(home))
            || git.is_some_and(|git| real.starts_with(git))
        {
            let outside = match self.repository {
                Some(top) => format!("`{path}` leads out of the repository `{top}`, to `{real}`"),
                None => format!("`{path}` leads out of the workspace, to `{real}`"),
            };
            return Err(self.setting_error(outside).hint("copy the file into the workspace"));
        }
        let up = root.ancestors().take_while(|above| !real.starts_with(above)).count();
        let common = root.ancestors().nth(up).unwrap_or(&root);
        let below = real.strip_prefix(common).unwrap_or(&real);
        Ok(format!("{}{below}", "../".repeat(up)))
    }

    /// Returns the files that `pattern` names, by their paths in the archive.
    fn expand_include(&self, pattern: &str, to: Option<&str>) -> Result<Vec<(String, String)>> {
        let plain = pattern.trim_end_matches('/');
        let is_wild = |part: &str| part.contains(['*', '?', '[', '\\']);
        // The text before the first wildcard is the directory to search.
        let start: Utf8PathBuf = plain.split('/').take_while(|part| !is_wild(part)).collect();
        let base = self.dir.join(&start);
        if !base.exists() {
            return Ok(Vec::new());
        }
        let mut found: Vec<(Utf8PathBuf, Utf8PathBuf)> = Vec::new();
        if base.is_file() {
            found.push((start.clone(), base));
        } else {
            let ignore = Ignore::new([plain])
                .map_err(|error| self.setting_error(format!("an include is wrong: {error}")))?;
            let all = start.as_str() == plain;
            for entry in tree::walk(&base, |path| path.as_str() == ".git" || path == "target")? {
                let (path, whole) = (start.join(&entry.path), base.join(&entry.path));
                let expected = all || ignore.excludes(path.as_str());
                if expected && entry.kind == EntryKind::Link && whole.is_dir() {
                    return Err(self
                        .setting_error(format!("`{whole}` is a link to a directory"))
                        .hint("include the directory itself"));
                }
                if expected && entry.kind != EntryKind::Directory {
                    found.push((path, whole));
                }
            }
        }
        let mut files = Vec::new();
        for (path, whole) in &found {
            let from = self.relative_path(whole)?;
            let to = match to {
                // As `cp` has it: into it, with what is below the directory that was named.
                Some(dir) if dir.ends_with('/') || is_wild(plain) || found.len() > 1 => {
                    let below = path.strip_prefix(&start).unwrap_or(path);
                    let below = if below == "" { name(path).into() } else { below.to_owned() };
                    format!("{}/{below}", dir.trim_end_matches('/'))
                }
                Some(to) => to.to_owned(),
                None if path.iter().any(|part| part == "..") => {
                    from.trim_start_matches("../").to_owned()
                }
                None => path.to_string(),
            };
            files.push((self.archive_path(&to)?, from));
        }
        Ok(files)
    }

    /// Returns a path in an archive: relative, and in it.
    fn archive_path(&self, to: &str) -> Result<String> {
        let parts = to.split('/').filter(|part| !part.is_empty() && *part != ".");
        let parts: Vec<&str> = parts.collect();
        if parts.is_empty() || parts.contains(&"..") || to.contains('\0') {
            return Err(self.setting_error(format!("`{to}` is not a path in an archive")));
        }
        Ok(parts.join("/"))
    }
}
