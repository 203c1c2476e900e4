//! apt's repositories.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

use super::{Listed, Run, create_parents, gpg::SignatureForm};
use crate::{
    archive::repository::{
        self, ListedFile,
        apt::{self, DebFile, Release},
    },
    model::{
        collect::CollectOrdered as _,
        error::{Error, Result},
        feature::Feature,
        schema::{dist::Archive, package::Repository},
        source::ReadAt as _,
    },
    sys::{file, fs},
};

/// The most bytes of an index that are read.
const MAX_INDEX: u64 = 256 << 20;

/// Adds the archives to the repository.
pub(super) fn add(run: &Run<'_>, archives: &[&Archive]) -> Result<Repository> {
    let suite = run.root.join("dists").join(&run.settings.suite);
    let old = read_release(&suite)?;
    let mut details: BTreeMap<String, DebFile> = BTreeMap::new();
    let mut before = Vec::new();
    for (component, file) in old.as_ref().map_or(Ok(Vec::new()), |old| listed(run, &suite, old))? {
        let package = read(&run.root.join(&file.path), &component, &file)?;
        before.push(listed_package(&package, None));
        details.insert(package.file.path.clone(), package);
    }
    let mut new = Vec::new();
    for archive in archives {
        let path = run.check_archive(archive)?;
        let file = ListedFile { path: String::new(), size: archive.size, sha256: archive.sha256 };
        let package = read(&path, &run.settings.component, &file)?;
        new.push(listed_package(&package, Some(path)));
        details.entry(package.file.path.clone()).or_insert(package);
    }
    let packages = run.merge(before, new)?;
    run.copy_files(&packages)?;
    run.export_key()?;
    let files: Vec<&DebFile> = packages.keys().filter_map(|path| details.get(path)).collect();
    write_suite(run, &suite, old.as_ref(), &files)?;
    let name = if run.key.is_some() { "InRelease" } else { "Release" };
    let index = format!("dists/{}/{name}", run.settings.suite);
    Ok(run.outcome("apt", index, packages))
}

fn listed_package(package: &DebFile, source: Option<camino::Utf8PathBuf>) -> Listed {
    Listed {
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        file: package.file.clone(),
        content: package.file.sha256,
        source,
    }
}

fn read(path: &Utf8Path, component: &str, file: &ListedFile) -> Result<DebFile> {
    let open = file::open(path)?;
    let package = DebFile::read(open.reader(0..open.size()), component, file.sha256, file.size)
        .map_err(|error| error.context(format!("`{path}` cannot be added")))?;
    if !file.path.is_empty() && file.path != package.file.path {
        return Err(Error::check(format!(
            "the index lists `{}`, expected `{}` by its content",
            file.path, package.file.path
        ))
        .hint("the repository was not written by longshore; use an empty directory"));
    }
    Ok(package)
}

fn read_release(suite: &Utf8Path) -> Result<Option<Release>> {
    let path = suite.join("Release");
    let Some(text) = fs::read_to_string_if_exists(&path)? else { return Ok(None) };
    let release = Release::parse(&text);
    release.map(Some).map_err(|error| error.context(format!("`{path}` cannot be read")))
}

/// Returns the packages that the indexes list, with their components, after comparing every file with its
/// digest.
fn listed(run: &Run<'_>, suite: &Utf8Path, old: &Release) -> Result<Vec<(String, ListedFile)>> {
    run.check_listed(suite, &old.indexes)?;
    let mut files = Vec::new();
    for component in &old.components {
        for architecture in &old.architectures {
            let path = suite.join(format!("{component}/binary-{architecture}/Packages"));
            let bytes = fs::read_start(&path, MAX_INDEX)?;
            let text = String::from_utf8(bytes)
                .map_err(|error| Error::check(format!("`{path}` is not UTF-8")).because(error))?;
            let found = apt::listed_packages(&text)
                .map_err(|error| error.context(format!("`{path}` cannot be read")))?;
            run.check_listed(run.root, &found)?;
            files.extend(found.into_iter().map(|file| (component.clone(), file)));
        }
    }
    Ok(files)
}

/// Writes the indexes, and the signed list of them. If nothing changed, nothing is written.
fn write_suite(
    run: &Run<'_>,
    suite: &Utf8Path,
    old: Option<&Release>,
    files: &[&DebFile],
) -> Result<()> {
    let mut groups: BTreeMap<(&str, &str), Vec<&DebFile>> = BTreeMap::new();
    for file in files {
        groups.entry((&file.component, &file.architecture)).or_default().push(*file);
    }
    let components: BTreeSet<&str> = groups.keys().map(|(component, _)| *component).collect_set();
    let architectures: BTreeSet<&str> = groups.keys().map(|(_, name)| *name).collect_set();
    let mut contents: Vec<(ListedFile, Vec<u8>)> = Vec::new();
    for component in &components {
        for architecture in &architectures {
            // A client reads the index of each component for its architecture.
            let group = groups.get(&(*component, *architecture)).map(Vec::as_slice);
            let text = apt::packages(group.unwrap_or_default()).into_bytes();
            let path = format!("{component}/binary-{architecture}/Packages");
            let gz = repository::gzip(&text)?;
            contents.push((ListedFile::new(format!("{path}.gz"), &gz), gz));
            if Feature::Xz.require().is_ok() {
                let xz = repository::xz(&text)?;
                contents.push((ListedFile::new(format!("{path}.xz"), &xz), xz));
            }
            contents.push((ListedFile::new(path, &text), text));
        }
    }
    let origin = match &run.settings.origin {
        Some(origin) => origin.clone(),
        None => old.map_or_else(|| run.dist.release.name.clone(), |old| old.origin.clone()),
    };
    let epoch = run.dist.release.source_date_epoch;
    let owned = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect_set();
    let release = Release {
        origin,
        suite: run.settings.suite.clone(),
        // apt ignores a list that is older than the one it has.
        date: old.map_or(epoch, |old| old.date.max(epoch)),
        architectures: owned(architectures),
        components: owned(components),
        indexes: contents.iter().map(|(file, _)| file.clone()).collect(),
    };
    let text = release.text();
    if is_current(run, suite, &text)? {
        return Ok(());
    }
    let draft = run.draft(suite)?;
    for (file, bytes) in &contents {
        let path = draft.join(&file.path);
        create_parents(&draft, &by_hash(file))?;
        fs::write(&path, bytes)?;
        fs::link(&path, &draft.join(by_hash(file)))?;
    }
    // Clients that have the previous list may still request its indexes.
    for file in old.iter().flat_map(|old| &old.indexes) {
        let kept = suite.join(by_hash(file));
        if kept.is_file() && !draft.join(by_hash(file)).is_file() {
            create_parents(&draft, &by_hash(file))?;
            fs::link(&kept, &draft.join(by_hash(file)))?;
        }
    }
    let path = draft.join("Release");
    fs::write(&path, text.as_bytes())?;
    if let Some(key) = run.key {
        key.sign(run.cx, &path, &draft.join("InRelease"), SignatureForm::Inline)?;
        key.sign(run.cx, &path, &draft.join("Release.gpg"), SignatureForm::Text)?;
        for name in ["InRelease", "Release.gpg"] {
            fs::set_mode(&draft.join(name), 0o644)?;
        }
    }
    run.replace(&draft, suite)
}

/// Returns whether the list is there already, with signatures by the key if one is used.
fn is_current(run: &Run<'_>, suite: &Utf8Path, text: &str) -> Result<bool> {
    let path = suite.join("Release");
    let same = fs::read_to_string_if_exists(&path)?.is_some_and(|old| old == text);
    let (inline, detached) = (suite.join("InRelease"), suite.join("Release.gpg"));
    let Some(key) = run.key else {
        return Ok(same && !inline.is_file() && !detached.is_file());
    };
    // A valid signature may be of a different text.
    let inside = || -> Result<bool> {
        let signed = fs::read_to_string_if_exists(&inline)?;
        Ok(signed.is_some_and(|signed| signed.contains(&format!("\n\n{text}"))))
    };
    Ok(same
        && inside()?
        && key.has_signed(run.cx, &inline, None)?
        && key.has_signed(run.cx, &path, Some(&detached))?)
}

/// Returns the path of an index by its digest (<https://wiki.debian.org/DebianRepository/Format>,
/// "Acquire-By-Hash").
fn by_hash(file: &ListedFile) -> String {
    let directory = file.path.rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{directory}/by-hash/SHA256/{}", file.sha256.hex())
}
