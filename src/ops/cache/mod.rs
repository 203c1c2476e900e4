//! `cache save` and `cache restore`: transfer of cargo's output from one machine to the next.

mod fresh;
mod listing;
mod restore;
mod save;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

pub(super) use self::fresh::Freshness;
pub use self::{restore::restore, save::save};
use crate::{
    build::{
        cache::{BuildRecord, CacheKey, SCHEMA, SECRET, Unit, name_hash},
        workspace::Workspace,
    },
    model::{
        collect::{CollectOrdered as _, SortStable as _},
        error::{Error, Result},
        secret::Secret,
    },
    ops::dist::planned::Planned,
    sys::{
        Context, fs,
        toolchain::Rust,
        tree::{self, EntryKind},
    },
};

/// A request of the cache commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheRequest {
    /// The directory that holds it.
    pub directory: Utf8PathBuf,
    /// `--target-dir`.
    pub target_dir: Option<Utf8PathBuf>,
    /// `--manifest-path`.
    pub manifest_path: Option<Utf8PathBuf>,
    /// `--authenticated`: nothing is restored without the secret.
    pub authenticated: bool,
}

/// The file in which the build records data for a later save, in the directory in which cargo builds.
const RECORD: &str = "longshore-units.json";

/// The record of what each unit was compiled from, in the directory in which cargo builds.
const FRESHNESS: &str = "longshore-inputs.json";

/// The archive's directories.
const TARGET: &str = "target";
const ZIG: &str = "zig";

/// Directories of longshore's own below the one in which cargo builds: compressed layers, and parts
/// of archives.
const LAYERS: &str = "layers";
const CHUNKS: &str = "pieces";

/// Returns the secret that caches are authenticated with, if one is set.
fn secret(cx: &Context) -> Result<Option<Secret>> {
    cx.env.var(SECRET).map(crate::build::cache::parse_secret).transpose()
}

/// Acquires the lock that is held while the target directory changes; builds hold it, too.
fn lock(cx: &Context, workspace: &Workspace) -> Result<fs::OutputLock> {
    fs::lock_output(cx, &fs::resolve(&workspace.output_directory())?)
}

/// Returns the properties that the entire cache depends on: programs, and directories that occur in
/// flags, and so in cargo's fingerprints.
fn cache_key(cx: &Context, rust: &Rust, zig: &str, root: &Utf8Path, target: &Utf8Path) -> CacheKey {
    let cargo_home = cx.env.cargo_home().map(Utf8PathBuf::into_string).unwrap_or_default();
    let pairs = [
        ("longshore", env!("CARGO_PKG_VERSION")),
        ("rustc", rust.rustc_version.as_str()),
        ("cargo", rust.cargo_version.as_str()),
        ("host", rust.host.as_str()),
        ("zig", zig),
        ("workspace", root.as_str()),
        ("target directory", target.as_str()),
        ("cargo home", cargo_home.as_str()),
        ("toolchain", rust.sysroot.as_str()),
        ("cache directory of longshore", cx.env.cache.as_str()),
    ];
    CacheKey(BTreeMap::from(pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))))
}

/// Records the units of a build, for a later [`save()`]. `zig` names the parts of zig's cache that its links
/// need.
///
/// # Errors
/// It cannot be written.
pub(super) fn record(
    cx: &Context,
    planned: &Planned,
    mut units: Vec<Unit>,
    zig: BTreeSet<String>,
) -> Result<()> {
    let target = Utf8Path::new(&planned.plan.target_directory);
    let version = planned.zig.as_ref().map(|zig| zig.version.to_string()).unwrap_or_default();
    units.sort_stable_by(|a, b| (&a.package, &a.files).cmp(&(&b.package, &b.files)));
    units.dedup();
    let root = Utf8Path::new(&planned.plan.workspace);
    let key = cache_key(cx, &planned.rust, &version, root, target);
    let text = serde_json::to_string(&BuildRecord { schema: SCHEMA, key, units, zig })
        .map_err(|error| Error::build("cannot write JSON").because(error))?;
    let path = target.join(RECORD);
    // Unchanged content is not written again.
    match fs::read_to_string_if_exists(&path) {
        Ok(Some(old)) if old == text => Ok(()),
        _ => fs::write(&path, text.as_bytes()),
    }
}

/// Removes all files of the units in `dropped` (see [`crate::build::cache::unit_of`]) from the directory
/// `root`, in which cargo builds. Cargo compiles them again, and what depends on them. The files that
/// name their inputs are removed last, so that an interruption leaves nothing that looks fresh.
///
/// # Errors
/// Something cannot be read or removed.
fn drop_units(root: &Utf8Path, dropped: &BTreeSet<String>) -> Result<()> {
    if dropped.is_empty() {
        return Ok(());
    }
    // Units without a hash, by the directory and the name of their files: `libfoo.rlib`, `foo.d`.
    let stem = |name: &str| {
        let stem = name.split('.').next().unwrap_or_default();
        stem.strip_prefix("lib").unwrap_or(stem).to_owned()
    };
    let unhashed: BTreeSet<(Option<&Utf8Path>, String)> = dropped
        .iter()
        .map(Utf8Path::new)
        .filter(|path| path.parent().is_some_and(|parent| !parent.as_str().is_empty()))
        .map(|path| (path.parent(), stem(path.file_name().unwrap_or_default())))
        .collect_set();
    let is_dropped = |path: &Utf8Path| {
        let name = path.file_name().unwrap_or_default();
        name_hash(name).is_some_and(|hash| dropped.contains(hash))
            || unhashed.contains(&(path.parent(), stem(name)))
    };
    let skip = |path: &Utf8Path| {
        let other = [LAYERS, CHUNKS, "incremental"];
        is_dropped(path) || path.file_name().is_some_and(|name| other.contains(&name))
    };
    let entries = tree::walk(root, skip)?;
    let mut entries: Vec<_> = entries.iter().filter(|entry| is_dropped(&entry.path)).collect();
    entries.sort_stable_by_key(|entry| {
        let fingerprint = entry.path.components().any(|part| part.as_str() == ".fingerprint");
        let names_inputs =
            entry.kind == EntryKind::Directory || entry.path.extension() == Some("d");
        if fingerprint { 0 } else { 1 + u8::from(names_inputs) }
    });
    for entry in entries {
        let path = root.join(&entry.path);
        match entry.kind {
            EntryKind::Directory => fs::remove_dir_all(&path)?,
            EntryKind::File(_) | EntryKind::Link => fs::remove_file(&path)?,
        }
    }
    Ok(())
}

/// Formats a time for people.
fn format_seconds(milliseconds: u64) -> String {
    format!("{}.{:02} s", milliseconds / 1000, milliseconds % 1000 / 10)
}
