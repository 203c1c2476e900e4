//! Freshness of units by the content of their inputs, for every build: units that were compiled from
//! other content than that on disk are removed before cargo runs, and the record of what each unit
//! was compiled from is updated after it.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::{FRESHNESS, drop_units, listing::package_files};
use crate::{
    build::cache::{
        CacheKey, INPUT_RECORD_SCHEMA, InputContent, InputRecord, Listing, RecordedUnit, Time,
        Unit, UnitInputs, parse_dep_info, parse_rerun_if_changed, unit_hash,
    },
    model::{
        collect::CollectOrdered as _,
        digest::Digest,
        error::{Error, Result},
    },
    sys::{Context, fs, tree},
};

/// The units of one target directory, while builds run in it.
#[derive(Debug)]
pub(in crate::ops) struct Freshness<'a> {
    cx: &'a Context,
    /// The workspace's root, to which dep-info paths are relative.
    root: Utf8PathBuf,
    target: Utf8PathBuf,
    key: CacheKey,
    record: InputRecord,
    written: InputRecord,
    files: InputContents,
}

/// The content of inputs, each read once.
#[derive(Debug, Default)]
struct InputContents {
    started: Time,
    read: BTreeMap<String, Option<InputContent>>,
}

/// A file below the target directory that names the inputs of a unit.
#[derive(Debug)]
struct InputList {
    /// Its path, relative to the target directory.
    path: Utf8PathBuf,
    /// The file with the time at which cargo started the unit.
    invoked: Utf8PathBuf,
}

impl<'a> Freshness<'a> {
    /// Removes every unit below `target` with an input that differs from what it was compiled from,
    /// and every unit of which this is not recorded, unless all its inputs are immutable.
    ///
    /// # Errors
    /// The target directory cannot be read or changed.
    pub(in crate::ops) fn check(
        cx: &'a Context,
        root: &Utf8Path,
        target: &Utf8Path,
    ) -> Result<Self> {
        let mut this = Freshness::load(cx, root, target)?;
        let (stale, hidden) = this.stale()?;
        if !hidden.is_empty() {
            let shown = hidden.iter().take(3).map(|path| format!("`{path}`"));
            let shown = shown.collect::<Vec<_>>().join(", ");
            let more = match hidden.len().saturating_sub(3) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            cx.status(
                "Rebuilding",
                format!("units of {shown}{more}: changed without a newer time"),
            );
        }
        drop_units(target, &stale)?;
        this.record.units.retain(|path, _| !stale.contains(&unit_hash(path)));
        Ok(this)
    }

    /// Reads the record of `target`.
    pub(super) fn load(cx: &'a Context, root: &Utf8Path, target: &Utf8Path) -> Result<Self> {
        let text = fs::read(&target.join(FRESHNESS)).ok();
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        let record = InputRecord::parse(text.as_deref());
        let home = cx.env.cargo_home().map(Utf8PathBuf::into_string).unwrap_or_default();
        Ok(Freshness {
            cx,
            root: root.to_owned(),
            target: target.to_owned(),
            key: CacheKey(BTreeMap::from([("cargo home".to_owned(), home)])),
            written: record.clone(),
            record,
            // Not in `target`: cargo marks it as a cache when it creates it.
            files: InputContents {
                started: tree::file_system_time(target.parent().unwrap_or(target))?,
                read: BTreeMap::new(),
            },
        })
    }

    /// Returns the inputs that each unit was compiled from, by the path of the file that names its
    /// inputs.
    pub(super) fn sources(&self) -> BTreeMap<String, UnitInputs> {
        let units = self.record.units.iter();
        units.map(|(path, unit)| (path.clone(), unit.sources.clone())).collect_map()
    }

    /// Returns the units that cannot be used as they are, and the changed inputs that are not newer
    /// than the content that was compiled.
    pub(super) fn stale(&mut self) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
        let (mut stale, mut hidden) = (BTreeSet::new(), BTreeSet::new());
        for source in input_lists(&self.target)? {
            let path = source.path.as_str();
            let Some(stamp) = tree::stamp(&self.target.join(path)) else { continue };
            let known = self.record.units.get(path).filter(|unit| unit.stamp == stamp).cloned();
            let Some(unit) = known else {
                // Compiled by a build that was killed, or by another program.
                let compiled_from = self.inputs(&source, &BTreeMap::new(), &BTreeSet::new())?;
                if compiled_from.is_none_or(|from| !from.inputs.is_empty()) {
                    stale.insert(unit_hash(path));
                }
                continue;
            };
            for (input, state) in &unit.sources.inputs {
                let before = self.record.files.get(input).map(|(stamp, _)| stamp.modified);
                if self.files.content(input, &mut self.record) == *state {
                    continue;
                }
                stale.insert(unit_hash(path));
                let now = tree::time(Utf8Path::new(input));
                if before.zip(now).is_some_and(|(before, now)| now <= before) {
                    hidden.insert(input.clone());
                }
            }
            if let Some(package) = &unit.sources.package
                && self.listing(Utf8Path::new(&package.root)).ok().map(|(_, now)| now).as_ref()
                    != Some(package)
            {
                stale.insert(unit_hash(path));
            }
        }
        Ok((stale, hidden))
    }

    /// Records the units that were compiled since the check. `units` are those that cargo reported.
    ///
    /// # Errors
    /// The target directory cannot be read, or the record cannot be written.
    pub(in crate::ops) fn update(&mut self, units: &[Unit]) -> Result<()> {
        self.files.read.clear();
        let roots: BTreeMap<&str, &Utf8Path> = units
            .iter()
            .filter_map(|unit| Some((unit.package.as_str(), unit.root.as_deref()?)))
            .collect_map();
        let mut packages = BTreeMap::new();
        let mut immutable = BTreeSet::new();
        for unit in units.iter().filter(|unit| unit.script) {
            let Some(root) = roots.get(unit.package.as_str()) else { continue };
            for hash in unit.hashes() {
                packages.insert(hash.to_owned(), (*root).to_owned());
                if !unit.is_local() {
                    immutable.insert(hash.to_owned());
                }
            }
        }
        let found = input_lists(&self.target)?;
        if found.is_empty() && units.iter().any(|unit| !unit.script) {
            return Err(Error::build(format!(
                "cargo's dep-info files are not below `{}`",
                self.target
            ))
            .hint("`build.build-dir` in cargo's configuration moves them: unset it"));
        }
        let mut all = BTreeMap::new();
        for source in found {
            let path = source.path.to_string();
            let Some(stamp) = tree::stamp(&self.target.join(&path)) else { continue };
            match self.record.units.remove(&path).filter(|unit| unit.stamp == stamp) {
                Some(unit) => drop(all.insert(path, unit)),
                None => {
                    if let Some(sources) = self.inputs(&source, &packages, &immutable)?
                        && self.is_settled(&source, &sources)
                    {
                        all.insert(path, RecordedUnit { stamp, sources });
                    }
                }
            }
        }
        self.record.units = all;
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        self.record.schema = INPUT_RECORD_SCHEMA;
        self.record.prune();
        if self.record == self.written {
            return Ok(());
        }
        let text = serde_json::to_vec(&self.record)
            .map_err(|error| Error::build("cannot write JSON").because(error))?;
        fs::write(&self.target.join(FRESHNESS), &text)?;
        self.written = self.record.clone();
        Ok(())
    }

    /// Returns whether no input changed since cargo started the unit: rustc then read the content that
    /// was hashed.
    fn is_settled(&self, source: &InputList, sources: &UnitInputs) -> bool {
        let started = tree::time(&self.target.join(&source.invoked));
        let started = started.unwrap_or(self.files.started);
        // rustc takes longer to start than the clock of the file system to tick: what a build script
        // wrote for it in the tick before it started is what it read. Build scripts may be faster.
        let is_rustc = source.path.extension() == Some("d");
        sources.inputs.keys().all(|input| {
            tree::stamp(Utf8Path::new(input)).is_none_or(|stamp| {
                let same_tick = is_rustc && started.1 != 0 && stamp.changed == started;
                stamp.is_older_than(started) || same_tick
            })
        })
    }

    /// Returns the inputs that `source` names, with their current content. `None` if they are unknown:
    /// a build script of a package that is not in `packages` (by the hash of the script's run). Scripts
    /// in `immutable` belong to packages that do not change.
    fn inputs(
        &mut self,
        source: &InputList,
        packages: &BTreeMap<String, Utf8PathBuf>,
        immutable: &BTreeSet<String>,
    ) -> Result<Option<UnitInputs>> {
        let path = self.target.join(&source.path);
        // It may be removed by another process meanwhile.
        let Ok(bytes) = fs::read(&path) else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut package = None;
        let named: Vec<Utf8PathBuf> = if source.path.extension() == Some("d") {
            parse_dep_info(&text).into_iter().map(|path| self.root.join(path)).collect()
        } else {
            let unit = unit_hash(source.path.as_str());
            let root = packages.get(&unit);
            match (parse_rerun_if_changed(&text), root) {
                (Some(named), root) => {
                    let absolute = |path: &String| Utf8Path::new(path).is_absolute();
                    if root.is_none() && !named.iter().all(absolute) {
                        return Ok(None);
                    }
                    let root = root.cloned().unwrap_or_default();
                    let below = |path: &String| tree::tracked_paths(&root.join(path), &self.target);
                    named.iter().flat_map(below).collect()
                }
                (None, Some(_)) if immutable.contains(&unit) => Vec::new(),
                (None, Some(root)) => {
                    // Files that cannot be listed may have changed.
                    let Ok((files, listing)) = self.listing(root) else { return Ok(None) };
                    package = Some(listing);
                    files
                }
                (None, None) => return Ok(None),
            }
        };
        let outside =
            |path: &Utf8PathBuf| !path.starts_with(&self.target) && !self.key.is_unchangeable(path);
        let named: BTreeSet<Utf8PathBuf> = named.into_iter().filter(outside).collect_set();
        let mut inputs = BTreeMap::new();
        for path in named {
            let state = self.files.content(path.as_str(), &mut self.record);
            inputs.insert(path.into_string(), state);
        }
        Ok(Some(UnitInputs { inputs, package }))
    }

    /// Returns the files of the package at `root`, and the identity of this list.
    fn listing(&self, root: &Utf8Path) -> Result<(Vec<Utf8PathBuf>, Listing)> {
        let files = package_files(self.cx, root, &self.target)?;
        let names: Vec<&str> = files.iter().map(|path| path.as_str()).collect();
        let names = Digest::sha256(names.join("\0").as_bytes());
        Ok((files, Listing { root: root.to_string(), names }))
    }
}

impl InputContents {
    /// Returns the content of `path`: from the record if the file still has its stamp, read otherwise.
    fn content(&mut self, path: &str, record: &mut InputRecord) -> Option<InputContent> {
        if let Some(state) = self.read.get(path) {
            return state.clone();
        }
        let file = Utf8Path::new(path);
        let stamp = tree::stamp(file);
        let state = match (stamp, record.files.get(path)) {
            (None, _) => None,
            (Some(now), Some((then, state))) if now == *then => Some(state.clone()),
            (Some(now), _) => {
                record.files.remove(path);
                let state = tree::read_input(file).map(|seen| seen.state);
                // A write in the same tick of the clock would leave the stamp as it is.
                if let Some(state) = &state
                    && now.is_older_than(self.started)
                    && tree::stamp(file) == Some(now)
                {
                    record.files.insert(path.to_owned(), (now, state.clone()));
                }
                state
            }
        };
        self.read.insert(path.to_owned(), state.clone());
        state
    }
}

/// Returns every file below `target` that names the inputs of a unit: the dep-info files of rustc, and
/// the output of build scripts.
fn input_lists(target: &Utf8Path) -> Result<Vec<InputList>> {
    let mut all = Vec::new();
    for profile in profile_directories(target)? {
        let fingerprints: BTreeMap<String, String> =
            fs::names(&target.join(&profile).join(".fingerprint"))?
                .into_iter()
                .map(|name| (unit_hash(&name), name))
                .collect_map();
        let invoked = |path: &Utf8Path| {
            let unit = unit_hash(path.as_str());
            let directory = fingerprints.get(&unit).map_or("", String::as_str);
            profile.join(".fingerprint").join(directory).join("invoked.timestamp")
        };
        for directory in ["deps", "examples"] {
            let directory = profile.join(directory);
            for name in fs::names(&target.join(&directory))? {
                if name.ends_with(".d") {
                    let path = directory.join(name);
                    all.push(InputList { invoked: invoked(&path), path });
                }
            }
        }
        let build = profile.join("build");
        for unit in fs::names(&target.join(&build))? {
            let directory = build.join(unit);
            for name in fs::names(&target.join(&directory)).unwrap_or_default() {
                let path = directory.join(&name);
                if name == "output" {
                    all.push(InputList { invoked: directory.join("invoked.timestamp"), path });
                } else if name.ends_with(".d") {
                    all.push(InputList { invoked: invoked(&path), path });
                }
            }
        }
    }
    Ok(all)
}

/// Returns the directories in which cargo builds, `<profile>` and `<target>/<profile>`, relative to
/// `target`.
fn profile_directories(target: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let is_profile = |path: &Utf8Path| target.join(path).join(".fingerprint").is_dir();
    let mut profiles = Vec::new();
    for first in fs::names(target)? {
        let first = Utf8PathBuf::from(first);
        if is_profile(&first) {
            profiles.push(first);
        } else if target.join(&first).is_dir() {
            let names = fs::names(&target.join(&first)).unwrap_or_default();
            profiles
                .extend(names.iter().map(|name| first.join(name)).filter(|path| is_profile(path)));
        }
    }
    Ok(profiles)
}
