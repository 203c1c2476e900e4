//! Files that serve all platforms of a package: the main package for npm, the installation script and the formula
//! for Homebrew. They are made of the release alone, so that a merged release has them, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
};

use camino::Utf8Path;
use serde_json::Value;

use super::{checksum::DIRECTORY, form, list};
use crate::{
    archive::{
        homebrew::{self, FormulaArchive},
        installer::InstallerArchive,
        npm,
        tree::{Content, ContentSource, Node, Tree},
        unpack::{self, Budget, Compression, EntryKind},
    },
    model::{
        collect::{CollectOrdered as _, SortStable as _},
        digest::Digest,
        error::{Error, Result},
        platform::Platform,
        schema::{
            Dist,
            dist::{Archive, ArchiveKind, Channel, ChannelKind, Packed},
            packaging::Format,
            plan,
        },
        source::ReadAt as _,
    },
    ops::output::stage::Stage,
    sys::{file, fs},
};

/// The largest README or licence in a package for npm, and the largest script or formula, in bytes.
const MAX_TEXT: u64 = 16 << 20;

/// The directory in packages for npm.
const NPM_TOP: &str = "package/";

/// The file with the fields of a package, in that directory.
const MANIFEST: &str = "package.json";

/// The plans of one file, which differ in the target.
struct Group<'a> {
    kind: ChannelKind,
    plans: Vec<&'a plan::Archive>,
}

/// Returns the files that the plans of a release request: one for all targets of a package.
fn groups(dist: &Dist) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(ChannelKind, &str, &str), Vec<&plan::Archive>> = BTreeMap::new();
    for plan in &dist.packages {
        let requested = [
            (ChannelKind::Npm, plan.npm.as_ref().map(|npm| &npm.name)),
            (ChannelKind::Installer, plan.installer.as_ref().map(|installer| &installer.name)),
            (ChannelKind::Homebrew, plan.homebrew.as_ref().map(|formula| &formula.name)),
        ];
        for (kind, name) in requested {
            if let Some(name) = name {
                groups.entry((kind, &plan.package, name)).or_default().push(plan);
            }
        }
    }
    groups.into_iter().map(|((kind, ..), plans)| Group { kind, plans }).collect()
}

/// Writes the files for all platforms of each package with archives, and records them.
///
/// # Errors
/// An archive that one of them needs is missing, or a file cannot be read or written.
pub(in crate::ops) fn write_channels(dist: &mut Dist, stage: &Stage) -> Result<()> {
    let mut made = Vec::new();
    for group in groups(dist) {
        let package = &group.plans.first().map(|plan| &plan.package);
        if dist.archives.iter().any(|archive| Some(&archive.package) == *package) {
            made.extend(make(dist, &stage.root, &group)?);
        }
    }
    let mut channels = Vec::new();
    for (channel, bytes) in made {
        if !stage.reuse(&channel.path, &channel.sha256, channel.size)? {
            fs::write(&stage.path(&channel.path), &bytes)?;
        }
        channels.push(channel);
    }
    channels.sort_stable_by(|a: &Channel, b| a.path.cmp(&b.path));
    let paths = dist.archives.iter().map(|archive| &archive.path);
    let mut paths: BTreeSet<&String> = paths.collect_set();
    if let Some(twice) = channels.iter().find(|channel| !paths.insert(&channel.path)) {
        return Err(Error::usage(format!("two files of the release would be `{}`", twice.path))
            .hint("`npm.name` and `homebrew.name` set different names"));
    }
    dist.channels = channels;
    Ok(())
}

/// Returns the file of a group and its record; `None` if no archive that it can be made of was made.
fn make(dist: &Dist, root: &Utf8Path, group: &Group<'_>) -> Result<Option<(Channel, Vec<u8>)>> {
    let Some(first) = group.plans.first() else { return Ok(None) };
    let mut contents = Vec::new();
    let (name, bytes) = match group.kind {
        ChannelKind::Npm => {
            let Some(npm) = &first.npm else { return Ok(None) };
            let Some(tree) = main_package(dist, root, npm, &group.plans)? else { return Ok(None) };
            contents = packed(&tree);
            (npm.file_name(&npm.name), npm::to_bytes(&tree)?)
        }
        ChannelKind::Installer => {
            let Some(installer) = &first.installer else { return Ok(None) };
            let archives = downloads(dist, &group.plans)?;
            let script = installer.script(&first.version, &archives);
            (installer.file_name(), script.into_bytes())
        }
        ChannelKind::Homebrew => {
            let Some(text) = formula(dist, &group.plans)? else { return Ok(None) };
            (text.0, text.1.into_bytes())
        }
    };
    let channel = Channel {
        kind: group.kind,
        package: first.package.clone(),
        version: first.version.clone(),
        path: format!("{DIRECTORY}/{name}"),
        size: bytes.len() as u64,
        sha256: Digest::sha256(&bytes),
        contents,
    };
    Ok(Some((channel, bytes)))
}

/// Returns the archive of that kind that was made of the plan.
fn archive_of<'d>(dist: &'d Dist, plan: &plan::Archive, kind: ArchiveKind) -> Option<&'d Archive> {
    let made = |archive: &&Archive| archive.kind == kind && form::is_made_of(archive, plan);
    dist.archives.iter().find(made)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns the packages for npm of the platforms, by their names.
fn npm_packages<'d>(
    dist: &'d Dist,
    plans: &[&plan::Archive],
) -> Vec<(String, Platform, &'d Archive)> {
    let package = |plan: &&plan::Archive| {
        let name = plan.npm.as_ref()?.package_for(&plan.platform)?;
        Some((name, plan.platform.clone(), archive_of(dist, plan, ArchiveKind::Npm)?))
    };
    plans.iter().filter_map(package).collect()
}

/// Returns the main package for npm. It has the README and the licences of the packages of the platforms.
fn main_package(
    dist: &Dist,
    root: &Utf8Path,
    npm: &plan::Npm,
    plans: &[&plan::Archive],
) -> Result<Option<Tree>> {
    let packages = npm_packages(dist, plans);
    let (Some((.., archive)), Some(plan)) = (packages.first(), plans.first()) else {
        return Ok(None);
    };
    let texts = read_texts(&root.join(&archive.path))?;
    let texts = texts
        .iter()
        .filter(|(path, _)| *path != MANIFEST)
        .map(|(path, bytes)| (path.as_str(), Content::bytes(&bytes[..])));
    let epoch = dist.release.source_date_epoch;
    let package = npm::Package { npm, epoch, texts: texts.collect() };
    let platforms: Vec<(String, Platform)> =
        packages.into_iter().map(|(name, platform, _)| (name, platform)).collect();
    package.main_tree(&platforms, &plan.binaries).map(Some)
}

/// Returns the files of a package for npm, by their paths in it, that are not programs.
fn read_texts(path: &Utf8Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let file = file::open(path)?;
    let whole = file.reader(0..file.size());
    let mut tar = unpack::unpack(whole, Compression::Gzip, &Budget::default())?;
    let mut texts = BTreeMap::new();
    unpack::read_tar(&mut tar, &mut |entry, content| {
        let own = entry.path.strip_prefix(NPM_TOP).filter(|_| entry.kind == EntryKind::File);
        let Some(own) = own.filter(|own| !own.starts_with("bin/")) else { return Ok(()) };
        let mut bytes = Vec::new();
        let read = content.take(MAX_TEXT + 1).read_to_end(&mut bytes);
        let broken = |error| Error::check(format!("`{path}` cannot be read")).because(error);
        if read.map_err(broken)? as u64 > MAX_TEXT {
            return Err(Error::usage(format!("`{own}` in `{path}` is too large"))
                .hint(format!("README and licences have at most {MAX_TEXT} bytes")));
        }
        texts.insert(own.to_owned(), bytes);
        Ok(())
    })?;
    Ok(texts)
}

/// Returns the files of a tree in which all files are bytes.
fn packed(tree: &Tree) -> Vec<Packed> {
    let file = |(path, entry): (&Vec<String>, &crate::archive::tree::TreeEntry)| {
        let Node::File(Content { source: ContentSource::Bytes(bytes), size, .. }) = &entry.node
        else {
            return None;
        };
        Some(Packed {
            path: path.join("/"),
            executable: entry.meta.mode & 0o111 != 0,
            size: *size,
            sha256: Digest::sha256(bytes),
        })
    };
    tree.iter().filter_map(file).collect()
}

/// Returns the archive in the format `tar.gz`, which scripts and formulae download.
fn tar_gz<'d>(dist: &'d Dist, plan: &plan::Archive) -> Result<&'d Archive> {
    let path = format!("{DIRECTORY}/{}.{}", plan.name, Format::TarGz);
    let found = dist.archives.iter().find(|archive| archive.path == path);
    found.ok_or_else(|| {
        Error::usage(format!("there is no `{path}`, which `installer` and `homebrew` download"))
            .hint("make archives in the format `tar.gz`, too: `--format tar.gz`")
    })
}

/// Returns the archives that the installation script downloads.
fn downloads<'d>(dist: &'d Dist, plans: &[&'d plan::Archive]) -> Result<Vec<InstallerArchive<'d>>> {
    let download = |plan: &&'d plan::Archive| {
        let archive = tar_gz(dist, plan)?;
        let own = dist.artifacts.iter().filter(|artifact| {
            artifact.package == plan.package
                && artifact.target == plan.target
                && plan.binaries.contains(&artifact.name)
        });
        Ok(InstallerArchive {
            platform: &plan.platform,
            file: file_name(&archive.path),
            sha256: archive.sha256,
            programs: own.map(|artifact| (artifact.name.as_str(), artifact.sha256)).collect(),
        })
    };
    plans.iter().map(download).collect()
}

/// Returns the name and the text of the formula; `None` if Homebrew runs on none of the platforms.
fn formula(dist: &Dist, plans: &[&plan::Archive]) -> Result<Option<(String, String)>> {
    let supported = plans.iter().filter(|plan| homebrew::is_supported(&plan.platform));
    let supported: Vec<&&plan::Archive> = supported.collect();
    let Some(plan) = supported.first() else { return Ok(None) };
    let Some(homebrew) = &plan.homebrew else { return Ok(None) };
    let mut archives = Vec::new();
    for plan in &supported {
        archives.push((&plan.platform, tar_gz(dist, plan)?));
    }
    let top = format!("{}/", plan.name);
    let contents = archives.iter().filter(|(platform, _)| **platform == plan.platform);
    let installed: Vec<&str> = contents
        .flat_map(|(_, archive)| &archive.contents)
        .filter_map(|packed| packed.path.strip_prefix(&top))
        .collect();
    let rows = archives.iter().map(|(platform, archive)| FormulaArchive {
        platform,
        file: file_name(&archive.path),
        sha256: archive.sha256,
    });
    let rows: Vec<FormulaArchive<'_>> = rows.collect();
    let text = homebrew.formula(&plan.version, &rows, &plan.binaries, &installed);
    Ok(Some((homebrew.file_name(), text)))
}

/// Returns the problem with the content of a recorded file: it names other files than those of its release.
///
/// # Errors
/// It cannot be read.
pub(in crate::ops) fn problem(
    dist: &Dist,
    channel: &Channel,
    path: &Utf8Path,
) -> Result<Option<String>> {
    let name = file_name(&channel.path);
    let own = groups(dist).into_iter().find(|group| {
        group.kind == channel.kind
            && group.plans.iter().any(|plan| {
                plan.package == channel.package
                    && match channel.kind {
                        ChannelKind::Npm => {
                            plan.npm.as_ref().is_some_and(|npm| npm.file_name(&npm.name) == name)
                        }
                        ChannelKind::Installer => {
                            plan.installer.as_ref().is_some_and(|one| one.file_name() == name)
                        }
                        ChannelKind::Homebrew => {
                            plan.homebrew.as_ref().is_some_and(|one| one.file_name() == name)
                        }
                    }
            })
    });
    let Some(group) = own else {
        return Ok(Some("no package of `dist.json` requests it".to_owned()));
    };
    match channel.kind {
        ChannelKind::Npm => npm_problem(dist, channel, &group.plans, path),
        ChannelKind::Installer | ChannelKind::Homebrew => {
            text_problem(dist, channel.kind, &group.plans, path)
        }
    }
}

fn npm_problem(
    dist: &Dist,
    channel: &Channel,
    plans: &[&plan::Archive],
    path: &Utf8Path,
) -> Result<Option<String>> {
    let listed = list::list(path)?;
    let mut found: Vec<_> =
        listed.contents.iter().map(|entry| (entry.path.as_str(), entry.sha256)).collect();
    let mut recorded: Vec<_> =
        channel.contents.iter().map(|packed| (packed.path.as_str(), Some(packed.sha256))).collect();
    found.sort_stable();
    recorded.sort_stable();
    if found != recorded {
        return Ok(Some("its contents do not match `dist.json`".to_owned()));
    }
    let wrong = |error| Error::check(format!("`{path}` has no `package.json`")).because(error);
    let texts = read_texts(path)?;
    let manifest = texts.get(MANIFEST).map(Vec::as_slice).unwrap_or_default();
    let manifest: Value = serde_json::from_slice(manifest).map_err(wrong)?;
    let dependencies = manifest.get("optionalDependencies").and_then(Value::as_object);
    let mut named: Vec<(&str, &str)> = dependencies
        .into_iter()
        .flatten()
        .map(|(name, version)| (name.as_str(), version.as_str().unwrap_or_default()))
        .collect();
    let packages = npm_packages(dist, plans);
    let version = plans.first().and_then(|plan| plan.npm.as_ref()).map(|npm| npm.version.as_str());
    let mut expected: Vec<(&str, &str)> =
        packages.iter().map(|(name, ..)| (name.as_str(), version.unwrap_or_default())).collect();
    named.sort_stable();
    expected.sort_stable();
    Ok((named != expected)
        .then(|| "its dependencies are not the packages of this release".to_owned()))
}

/// Checks that the digests in a script or a formula are those of this release, and that it has those of all
/// archives that it downloads.
fn text_problem(
    dist: &Dist,
    kind: ChannelKind,
    plans: &[&plan::Archive],
    path: &Utf8Path,
) -> Result<Option<String>> {
    let text = String::from_utf8_lossy(&fs::read_start(path, MAX_TEXT)?).into_owned();
    let words = text.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64);
    let found: BTreeSet<&str> = words.collect_set();
    let archives = dist.archives.iter().map(|archive| archive.sha256.hex());
    let binaries = dist.artifacts.iter().map(|artifact| artifact.sha256.hex());
    let known: BTreeSet<String> = archives.chain(binaries).collect_set();
    if let Some(unknown) = found.iter().find(|digest| !known.contains(**digest)) {
        return Ok(Some(format!("it has the digest {unknown}, which no file of the release has")));
    }
    for plan in plans {
        if kind == ChannelKind::Homebrew && !homebrew::is_supported(&plan.platform) {
            continue;
        }
        let archive = tar_gz(dist, plan)?;
        if !found.contains(archive.sha256.hex().as_str()) {
            return Ok(Some(format!("it does not have the digest of `{}`", archive.path)));
        }
    }
    Ok(None)
}
