//! `cache save`.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    CHUNKS, CacheRequest, Freshness, LAYERS, RECORD, TARGET, ZIG, format_seconds,
    listing::package_files, lock, secret,
};
use crate::{
    build::{
        cache::{
            BuildRecord, CacheHeader, CacheManifest, CurrentInput, HEADER, Input, LastBuild,
            SCHEMA, Unit, is_zig_part, name_hash, parse_dep_info, parse_rerun_if_changed,
            stays_inside,
        },
        request::BuildRequest,
    },
    model::{
        bytes::Size,
        collect::CollectOrdered as _,
        error::{Error, Result},
        schema::cache::{Cache, CacheOutcome, SCHEMA as REPORT},
    },
    sys::{
        Context,
        cache::{self, ArchiveItem, Content},
        cargo,
        clock::Stopwatch,
        fs,
        tree::{self, EntryKind, TreeEntry},
        warm,
    },
};

/// Saves the files of the last `dist` or `build` into a directory, and none of older ones. The earlier
/// cache stays until the new one is complete.
///
/// # Errors
/// Nothing was built yet, what cargo left is not understood, or something cannot be read or written.
pub fn save(cx: &Context, request: &CacheRequest) -> Result<Cache> {
    let watch = Stopwatch::start();
    let workspace = cargo::workspace(
        cx,
        &BuildRequest {
            target_dir: request.target_dir.clone(),
            manifest_path: request.manifest_path.clone(),
            ..BuildRequest::default()
        },
    )?;
    let target = workspace.build_directory();
    let secret = secret(cx)?;
    let _lock = lock(cx, &workspace)?;
    let recorded = read_record(&target)?;
    let directory = cx.env.dir.join(&request.directory);
    cx.status("Saving", format!("`{target}` into `{directory}`"));
    fs::create_dir_all(&directory)?;
    let temporary = directory.join(format!("longshore-cache.{}.tmp", std::process::id()));
    fs::remove_file(&temporary)?;
    // Before anything is read, by the clock that times are compared with.
    fs::write(&temporary, b"")?;
    let saved = tree::time(&temporary).ok_or_else(|| Error::build("no time of a new file"))?;
    fs::remove_file(&temporary)?;

    let mut freshness = Freshness::load(cx, &workspace.root, &target)?;
    let stale = stale(cx, &mut freshness)?;
    let entries = saved_entries(cx, &target, &recorded.units, &stale)?;
    cx.children.check()?;
    let mut manifest = list_inputs(cx, &workspace.root, &target, &recorded, &entries)?;
    manifest.units = freshness.sources();
    let kept: BTreeSet<&str> = entries.iter().map(|entry| entry.path.as_str()).collect_set();
    manifest.units.retain(|path, _| kept.contains(path.as_str()));
    let mut items = archive_items(TARGET, &target, &entries, &mut manifest);
    let with_zig = add_zig_parts(cx, &target, &recorded, &mut items);
    cx.children.check()?;
    let packed = cache::pack(&temporary, &manifest, &items);
    // The first error is the one to report.
    let (sha256, size, bytes) = packed.inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    let units = recorded.units.len() as u64;
    let (files, inputs) = (items.len() as u64, manifest.inputs.len() as u64);
    let archive = format!("{}.tar.zst", sha256.hex());
    let mut header = CacheHeader {
        schema: SCHEMA,
        key: recorded.key,
        archive: archive.clone(),
        size,
        sha256,
        files,
        bytes,
        units,
        inputs,
        saved,
        mac: None,
    };
    header.mac = secret.map(|secret| header.authentication_code(&secret)).transpose()?;
    publish(&directory, &temporary, &header)?;
    let milliseconds = watch.milliseconds();
    cx.status(
        "Saved",
        format!(
            "{units} units as {} ({} before compression) in {}",
            Size(size),
            Size(bytes),
            format_seconds(milliseconds)
        ),
    );
    let outcome = CacheOutcome::Saved {
        units,
        inputs,
        files,
        bytes,
        size,
        zig: with_zig,
        authenticated: header.mac.is_some(),
    };
    Ok(Cache { schema: REPORT, directory: directory.into_string(), outcome, milliseconds })
}

/// Returns the units with an input that changed after they were compiled.
fn stale(cx: &Context, freshness: &mut Freshness) -> Result<BTreeSet<String>> {
    let (stale, _) = freshness.stale()?;
    if !stale.is_empty() {
        cx.warn(format!(
            "not saved: {} of the units, with inputs that changed after they were compiled",
            stale.len()
        ));
    }
    Ok(stale)
}

fn read_record(target: &Utf8Path) -> Result<BuildRecord> {
    let text = fs::read_to_string_if_exists(&target.join(RECORD))?;
    let none = || {
        Error::usage(format!("nothing to save: `{target}` has no finished build"))
            .hint("run `dist` or `build` first, with the same `--target-dir`")
    };
    let recorded: BuildRecord =
        serde_json::from_str(&text.ok_or_else(none)?).map_err(|error| none().because(error))?;
    if recorded.schema != SCHEMA { Err(none()) } else { Ok(recorded) }
}

/// Returns the files that belong to the units, of all in the target directory.
fn saved_entries(
    cx: &Context,
    target: &Utf8Path,
    units: &[Unit],
    stale: &BTreeSet<String>,
) -> Result<Vec<TreeEntry>> {
    let skip = |path: &Utf8Path| {
        let own = [LAYERS, CHUNKS, warm::RESTORED];
        path.file_name() == Some("incremental") || own.contains(&path.as_str())
    };
    let entries = tree::walk(target, skip)?;
    let mut keep = LastBuild::new(units, target);
    // A file that cargo names without a hash is another name of a file with one.
    for file in units.iter().filter(|unit| !unit.script).flat_map(|unit| &unit.files) {
        let Ok(path) = file.strip_prefix(target) else { continue };
        if file.file_name().is_none_or(|name| name_hash(name).is_some()) {
            continue;
        }
        let Some(named) = entries.iter().find(|entry| entry.path == path) else { continue };
        let deps = path.parent().map(|dir| dir.join("deps"));
        let same = |entry: &&TreeEntry| {
            entry.path.parent() == deps.as_deref()
                && entry.kind == named.kind
                && (entry.inode == named.inode || same_content(target, &entry.path, path))
        };
        let hashes =
            entries.iter().filter(same).filter_map(|entry| name_hash(entry.path.file_name()?));
        keep.hashes.extend(hashes.map(str::to_owned));
    }
    keep.hashes.retain(|hash| !stale.contains(hash));
    drop_links(cx, target, &entries, &mut keep)?;
    let fingerprints: BTreeSet<&str> = entries
        .iter()
        .filter(|entry| entry.path.components().any(|part| part.as_str() == ".fingerprint"))
        .filter_map(|entry| name_hash(entry.path.file_name()?))
        .collect_set();
    if let Some(hash) = keep.hashes.iter().find(|hash| !fingerprints.contains(hash.as_str())) {
        return Err(Error::build(format!(
            "cargo's fingerprint of unit `{hash}` is not below `{target}`"
        ))
        .hint("`build.build-dir` in cargo's configuration keeps it elsewhere: unset it"));
    }
    let mut kept: Vec<TreeEntry> =
        entries.into_iter().filter(|entry| keep.contains(&entry.path)).collect();
    kept.retain(|entry| entry.path != RECORD);
    Ok(kept)
}

/// Leaves out units with a symbolic link that leads out of `target`: no archive may hold one.
fn drop_links(
    cx: &Context,
    target: &Utf8Path,
    entries: &[TreeEntry],
    keep: &mut LastBuild,
) -> Result<()> {
    let links = entries.iter().filter(|entry| entry.kind == EntryKind::Link);
    for TreeEntry { path, .. } in links {
        if !keep.contains(path) {
            continue;
        }
        let text = fs::read_link(&target.join(path))?;
        if link_text(target, path, &text).is_none() {
            cx.warn(format!(
                "the unit of `{path}` is not saved: this link leads to `{text}`, outside of \
                 `{target}`"
            ));
            for unit in path.iter().filter_map(name_hash) {
                keep.hashes.remove(unit);
            }
        }
    }
    Ok(())
}

/// Returns the target of the link at `path` below `target` for the archive, which holds no links that
/// lead outside: a relative one. `None` if it leads outside.
fn link_text(target: &Utf8Path, path: &Utf8Path, text: &str) -> Option<String> {
    let text = match Utf8Path::new(text).strip_prefix(target) {
        Ok(inside) => {
            let up = "../".repeat(path.components().count().saturating_sub(1));
            format!("{up}{inside}")
        }
        Err(_) => text.to_owned(),
    };
    stays_inside(&format!("{TARGET}/{path}"), &text).then_some(text)
}

fn same_content(target: &Utf8Path, a: &Utf8Path, b: &Utf8Path) -> bool {
    let digest = |path: &Utf8Path| fs::digest(&target.join(path)).ok();
    digest(a).is_some_and(|a| Some(a) == digest(b))
}

/// Returns every input of the units, as cargo's own files list them.
fn list_inputs(
    cx: &Context,
    root: &Utf8Path,
    target: &Utf8Path,
    recorded: &BuildRecord,
    entries: &[TreeEntry],
) -> Result<CacheManifest> {
    let mut manifest = CacheManifest::default();
    let mut found: BTreeMap<Utf8PathBuf, BTreeSet<String>> = BTreeMap::new();
    let mut add = |path: Utf8PathBuf, hash: &str| {
        found.entry(path).or_default().insert(hash.to_owned());
    };
    for entry in entries {
        let name = entry.path.file_name().unwrap_or_default();
        let (Some("d"), Some(hash)) = (entry.path.extension(), name_hash(name)) else { continue };
        // The file of a build script is two levels below `build`, others in `deps`.
        let text = String::from_utf8_lossy(&fs::read(&target.join(&entry.path))?).into_owned();
        // Cargo starts rustc in the workspace's root; elsewhere it gives absolute paths.
        parse_dep_info(&text).into_iter().for_each(|path| add(root.join(path), hash));
    }
    let roots: BTreeMap<&str, &Utf8Path> = recorded
        .units
        .iter()
        .filter_map(|unit| Some((unit.package.as_str(), unit.root.as_deref()?)))
        .collect_map();
    for unit in recorded.units.iter().filter(|unit| unit.script) {
        let (Some(out), Some(hash)) = (unit.files.first(), unit.hashes().next()) else { continue };
        let Some(package) = roots.get(unit.package.as_str()) else { continue };
        let output = out.with_file_name("output");
        // Not there if the unit is not saved.
        let Some(text) = fs::read_to_string_if_exists(&output)? else { continue };
        let named = match parse_rerun_if_changed(&text) {
            Some(named) => named.iter().map(|path| package.join(path)).collect(),
            None if unit.is_local() => {
                let units = manifest.packages.entry(package.to_string()).or_default();
                units.push(hash.to_owned());
                package_files(cx, package, target)?
            }
            None => Vec::new(),
        };
        named
            .iter()
            .flat_map(|path| tree::tracked_paths(path, target))
            .for_each(|path| add(path, hash));
    }
    for (path, units) in found {
        // Files in the cache itself, and files that cargo treats as immutable.
        if path.starts_with(target) || recorded.key.is_unchangeable(&path) {
            continue;
        }
        let input =
            |seen: CurrentInput| Input { state: seen.state, time: seen.time, units: units.clone() };
        if let Some(seen) = tree::read_link_input(&path) {
            manifest.links.insert(path.to_string(), input(seen));
        }
        if let Some(seen) = tree::read_input(&path) {
            manifest.inputs.insert(path.to_string(), input(seen));
        }
    }
    Ok(manifest)
}

/// Returns the entries below `root` as items below `prefix`, and their times.
fn archive_items(
    prefix: &str,
    root: &Utf8Path,
    entries: &[TreeEntry],
    manifest: &mut CacheManifest,
) -> Vec<ArchiveItem> {
    let mut inodes: BTreeMap<(u64, u64), String> = BTreeMap::new();
    let mut items = Vec::new();
    for entry in entries {
        let name = format!("{prefix}/{}", entry.path);
        let whole = root.join(&entry.path);
        let content = match entry.kind {
            EntryKind::Directory => Content::Directory,
            EntryKind::Link => {
                let text = fs::read_link(&whole).ok();
                match text.and_then(|text| link_text(root, &entry.path, &text)) {
                    Some(to) => Content::Link(to),
                    // Not UTF-8, or removed: cargo then finds it missing, and builds again.
                    None => continue,
                }
            }
            EntryKind::File(_) => match inodes.insert(entry.inode, name.clone()) {
                Some(other) => Content::Same(other),
                None => Content::File(whole, entry.mode),
            },
        };
        if entry.kind != EntryKind::Directory {
            manifest.times.insert(name.clone(), entry.time);
        }
        items.push(ArchiveItem { name, content });
    }
    items
}

/// Adds the parts of zig's cache that the build's links need; returns whether all of them exist.
fn add_zig_parts(
    cx: &Context,
    target: &Utf8Path,
    recorded: &BuildRecord,
    items: &mut Vec<ArchiveItem>,
) -> bool {
    let mut all = !recorded.zig.is_empty();
    for name in &recorded.zig {
        let own = warm::archive_path(cx, name);
        let restored = warm::restored(target).join(format!("{name}.tar"));
        let kept = if warm::is_intact(&own) { own } else { restored };
        if is_zig_part(name) && kept.exists() {
            let name = format!("{ZIG}/{name}.tar");
            items.push(ArchiveItem { name, content: Content::File(kept, 0o644) });
        } else {
            // zig's cache was warm before, so that nothing could be kept of it.
            all = false;
        }
    }
    all
}

/// Renames the archive to its name, then writes the header, then removes files that the header no longer names.
fn publish(directory: &Utf8Path, temporary: &Utf8Path, header: &CacheHeader) -> Result<()> {
    fs::rename(temporary, &directory.join(&header.archive))?;
    let mut text = serde_json::to_string_pretty(header)
        .map_err(|error| Error::build("cannot write JSON").because(error))?;
    text.push('\n');
    fs::write(&directory.join(HEADER), text.as_bytes())?;
    let longshore_flags = |name: &String| {
        let hex = name.strip_suffix(".tar.zst");
        *name != header.archive
            && hex.is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit()))
    };
    fs::names(directory)?
        .iter()
        .filter(|name| longshore_flags(name))
        .try_for_each(|name| fs::remove_file(&directory.join(name)))
}
