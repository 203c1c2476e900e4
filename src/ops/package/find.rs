//! What goes into archives besides what was built: README, licences, CHANGELOG, and what metadata
//! includes.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    config::{DebSetting, Include, Other},
    dockerfile::ignore::Ignore,
    error::{Error, Result},
    plan::archive::Found,
    sys::{
        fs,
        tree::{self, Kind},
    },
    workspace::{Package, Workspace},
};

/// How the names of licences begin, in capitals. The last is a directory of REUSE
/// (<https://reuse.software/spec/>).
const LICENSES: [&str; 7] =
    ["LICENSE", "LICENCE", "COPYING", "UNLICENSE", "NOTICE", "COPYRIGHT", "LICENSES"];
/// And those of files that tell what changed.
const CHANGELOGS: [&str; 4] = ["CHANGELOG", "CHANGES", "RELEASES", "NEWS"];

/// What goes into the archives of the packages that `wanted` names.
///
/// # Errors
/// A licence or an include is missing and may not be, leads out of the workspace, or two files have
/// one path.
pub(in crate::ops) fn found(
    workspace: &Workspace,
    wanted: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Found>> {
    let packages = workspace.packages.iter().filter(|p| wanted.contains(p.name.as_str()));
    packages.map(|package| Ok((package.name.clone(), of(workspace, package)?))).collect()
}

fn of(workspace: &Workspace, package: &Package) -> Result<Found> {
    let root = &workspace.root;
    let dir = package.manifest.parent().unwrap_or(root);
    let finder = Finder { root, dir, package: &package.name };
    let settings = &package.settings.archive;
    let mut found = Found::default();
    let put = |files: &mut BTreeMap<String, String>, to: String, from: String| {
        if let Some(other) = files.get(&to).filter(|other| **other != from) {
            return Err(finder
                .wrong(format!("`{other}` and `{from}` would both be `{to}` in it"))
                .hint("give one of them another place: `{ from = \"…\", to = \"…\" }`"));
        }
        files.insert(to, from);
        Ok(())
    };
    let readme = package.about.readme.clone().filter(|path| path.is_file());
    let readme = readme.or(finder.first(&["README"])?);
    let changelog = finder.first(&CHANGELOGS)?;
    for path in readme.iter().chain(&changelog) {
        put(&mut found.files, name(path), finder.inside(path)?)?;
    }
    found.changelog = changelog.as_deref().map(name);
    let mut licenses = finder.named(dir, &LICENSES)?;
    if licenses.is_empty() {
        licenses = finder.named(root, &LICENSES)?;
    }
    if let Some(path) = &package.about.license_file {
        if path.is_file() {
            licenses.push((name(path), path.clone()));
        } else if !settings.allow_missing.contains("license") {
            let told = format!("there is no `{path}`, which `license-file` names");
            return Err(finder.wrong(told).hint(LICENSE_HINT));
        }
    }
    if licenses.is_empty()
        && let Some(license) = &package.about.license
        && !settings.allow_missing.contains("license")
    {
        return Err(finder
            .wrong(format!("there is no text of its licence, `{license}`"))
            .hint(LICENSE_HINT));
    }
    for (to, path) in licenses {
        put(&mut found.files, to.clone(), finder.inside(&path)?)?;
        found.licenses.push(to);
    }
    found.licenses.sort();
    found.licenses.dedup();
    for include in &settings.include {
        let (from, to) = match include {
            Include::Same(from) => (from, None),
            Include::Other(Other { from, to }) => (from, Some(to.as_str())),
        };
        let files = finder.include(from, to)?;
        if files.is_empty() && !settings.allow_missing.contains(from) {
            return Err(finder
                .wrong(format!("nothing is `{from}`, which `include` asks for"))
                .hint(format!(
                    "paths are relative to `{dir}`; `allow-missing` lists what may be missing"
                )));
        }
        for (to, path) in files {
            put(&mut found.files, to, path)?;
        }
    }
    if let Some(DebSetting::Table(table)) = &package.settings.deb {
        for (to, from) in &table.files {
            let (path, to) = (dir.join(from), finder.place(to.as_str())?);
            if !path.is_file() {
                return Err(finder.wrong(format!("there is no file `{path}` for `deb.files`")));
            }
            found.deb.insert(to, finder.inside(&path)?);
        }
    }
    Ok(found)
}

const LICENSE_HINT: &str = "add a file such as `LICENSE` to the package or the workspace, or \
                            `archive.allow-missing = [\"license\"]` to its \
                            `[package.metadata.longshore]`";

fn name(path: &Utf8Path) -> String {
    path.file_name().unwrap_or_default().to_owned()
}

/// Finds files of one package.
struct Finder<'a> {
    root: &'a Utf8Path,
    dir: &'a Utf8Path,
    package: &'a str,
}

impl Finder<'_> {
    fn wrong(&self, what: String) -> Error {
        Error::usage(format!("package `{}` cannot be archived: {what}", self.package))
    }

    /// The files of `dir` whose names begin so, with what they are called in the archive.
    fn named(&self, dir: &Utf8Path, begin: &[&str]) -> Result<Vec<(String, Utf8PathBuf)>> {
        let mut found = Vec::new();
        for name in fs::names(dir)? {
            let upper = name.to_uppercase();
            let stem = upper.split(['.', '-', '_']).next().unwrap_or_default();
            if !begin.contains(&stem) || name.ends_with('~') {
                continue;
            }
            let path = dir.join(&name);
            if path.is_file() {
                found.push((name, path));
            } else if upper == "LICENSES" {
                for file in fs::names(&path)? {
                    found.push((format!("{name}/{file}"), path.join(file)));
                }
                found.retain(|(_, path)| path.is_file());
            }
        }
        Ok(found)
    }

    /// The first file of the package, else of the workspace, whose name begins so.
    fn first(&self, begin: &[&str]) -> Result<Option<Utf8PathBuf>> {
        for dir in [self.dir, self.root] {
            let found = self.named(dir, begin)?;
            if let Some((_, path)) = found.into_iter().min() {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// `path` relative to the workspace, which it must be in, also where links lead.
    fn inside(&self, path: &Utf8Path) -> Result<String> {
        let (real, root) = (fs::real(path)?, fs::real(self.root)?);
        let Ok(relative) = real.strip_prefix(&root) else {
            return Err(self
                .wrong(format!("`{path}` leads out of the workspace, to `{real}`"))
                .hint("copy it into the workspace: what is outside is not under version control"));
        };
        Ok(relative.to_string())
    }

    /// The files that `pattern` names, by their paths in the archive.
    fn include(&self, pattern: &str, to: Option<&str>) -> Result<Vec<(String, String)>> {
        let plain = pattern.trim_end_matches('/');
        let is_wild = |part: &str| part.contains(['*', '?', '[', '\\']);
        // What is before the first wildcard is where to look.
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
                .map_err(|error| self.wrong(format!("an include is wrong: {error}")))?;
            let all = start.as_str() == plain;
            for entry in tree::walk(&base, |path| path.as_str() == ".git" || path == "target")? {
                let (path, whole) = (start.join(&entry.path), base.join(&entry.path));
                let wanted = all || ignore.excludes(path.as_str());
                if wanted && entry.kind == Kind::Link && whole.is_dir() {
                    return Err(self
                        .wrong(format!("`{whole}` is a link to a directory"))
                        .hint("include the directory itself"));
                }
                if wanted && entry.kind != Kind::Directory {
                    found.push((path, whole));
                }
            }
        }
        let mut files = Vec::new();
        for (path, whole) in &found {
            let from = self.inside(whole)?;
            let to = match to {
                // As `cp` has it: into it, with what is below the directory that was named.
                Some(dir) if dir.ends_with('/') || is_wild(plain) || found.len() > 1 => {
                    let below = path.strip_prefix(&start).unwrap_or(path);
                    let below = if below == "" { name(path).into() } else { below.to_owned() };
                    format!("{}/{below}", dir.trim_end_matches('/'))
                }
                Some(to) => to.to_owned(),
                None if path.iter().any(|part| part == "..") => from.clone(),
                None => path.to_string(),
            };
            files.push((self.place(&to)?, from));
        }
        Ok(files)
    }

    /// A place in an archive: relative, and in it.
    fn place(&self, to: &str) -> Result<String> {
        let parts = to.split('/').filter(|part| !part.is_empty() && *part != ".");
        let parts: Vec<&str> = parts.collect();
        if parts.is_empty() || parts.contains(&"..") || to.contains('\0') {
            return Err(self.wrong(format!("`{to}` is no place in it")));
        }
        Ok(parts.join("/"))
    }
}
